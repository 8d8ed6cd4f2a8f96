//! Fills a map and ends in the way that its argument names.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{env, process, thread};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

static ROUNDS: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn fill_the_map(entries: u64) -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    for i in 0..entries {
        map.insert(i, i * i);
    }
    map
}

/// Threads that never end by themselves.
fn start_threads() {
    for _ in 0..4 {
        thread::spawn(|| {
            loop {
                let map = fill_the_map(20_000);
                ROUNDS.fetch_add(map.len() as u64 / 20_000, Relaxed);
            }
        });
    }
    while ROUNDS.load(Relaxed) < 20 {
        thread::yield_now();
    }
}

fn main() {
    mapgrow::mark("main begins");
    let way = env::args().nth(1).unwrap_or_default();
    let map = fill_the_map(100_000);
    println!("sum {}", map.values().sum::<u64>());
    match way.as_str() {
        "return" => {}
        "exit" => process::exit(3),
        "exit-in-thread" => {
            let ender = thread::spawn(|| process::exit(4));
            let _ = ender.join();
        }
        "threads-running" => start_threads(),
        "threads-running-exit" => {
            start_threads();
            process::exit(5);
        }
        "panic" => panic!("as asked"),
        "abort" => process::abort(),
        other => {
            eprintln!("no such way to end: {other:?}");
            process::exit(2);
        }
    }
}
