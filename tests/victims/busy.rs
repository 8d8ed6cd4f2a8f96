//! Eight threads that fill, shrink, hand over and drop containers until standard input closes.
//! Every round has to give the same result; the program fails if one does not. With the argument
//! `alone` the only thread of the process does so, until it is killed.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{io, thread};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

static OVER: AtomicBool = AtomicBool::new(false);
static ROUNDS: AtomicU64 = AtomicU64::new(0);

type Map = HashMap<u64, String>;

const ENTRIES: u64 = 3000;

#[inline(never)]
fn fill(map: &mut Map) {
    for i in 0..ENTRIES {
        map.insert(i, i.to_string());
    }
}

#[inline(never)]
fn digits(map: &Map) -> u64 {
    map.values().map(|text| text.len() as u64).sum()
}

#[inline(never)]
fn sequence() -> u64 {
    let mut numbers = Vec::new();
    for i in 0..ENTRIES {
        numbers.push(i);
    }
    numbers.iter().sum()
}

/// A round: a map of its own, one from a neighbour that is dropped here, a vector.
fn round(to: &Sender<Map>, from: &Receiver<Map>) -> u64 {
    let mut map = Map::new();
    fill(&mut map);
    let sum = digits(&map) + sequence();
    map.retain(|key, _| key % 16 == 0);
    map.shrink_to_fit();
    let _ = to.send(map);
    let passed = from.try_iter().count();
    std::hint::black_box(passed);
    sum
}

fn expected() -> u64 {
    // 10 numbers of one digit, 90 of two, 900 of three, the rest of four.
    let digits = 10 + 2 * 90 + 3 * 900 + 4 * (ENTRIES - 1000);
    digits + ENTRIES * (ENTRIES - 1) / 2
}

fn alone() -> ! {
    let (to, from) = channel();
    for _ in 0..50 {
        assert_eq!(round(&to, &from), expected(), "a round went wrong");
    }
    println!("ready");
    let _ = io::stdout().flush();
    loop {
        assert_eq!(round(&to, &from), expected(), "a round went wrong");
    }
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("alone") {
        alone();
    }
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let (sender, receiver) = channel();
        senders.push(sender);
        receivers.push(receiver);
    }
    senders.rotate_left(1);
    let workers: Vec<_> = senders
        .into_iter()
        .zip(receivers)
        .map(|(to, from)| {
            thread::spawn(move || {
                while !OVER.load(Relaxed) {
                    assert_eq!(round(&to, &from), expected(), "a round went wrong");
                    ROUNDS.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    while ROUNDS.load(Relaxed) < 50 {
        thread::yield_now();
    }
    println!("ready");
    let _ = io::stdout().flush();
    let _ = io::stdin().read(&mut [0]);
    OVER.store(true, Relaxed);
    for worker in workers {
        worker.join().expect("every round gave the same result");
    }
    println!("result {} in every round", expected());
}
