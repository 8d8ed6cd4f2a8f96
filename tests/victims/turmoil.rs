//! Eight threads insert into maps, delete, clone, shrink and drop them, while the first reads what
//! they hold, for so long and at least so often: `victim_turmoil SECONDS SNAPSHOTS`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

static STOP: AtomicBool = AtomicBool::new(false);

/// Maps of one thread at most, so that a long run takes no more memory than a short one.
const MAPS: usize = 64;

fn work(mut seed: u64) -> u64 {
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut maps: Vec<HashMap<u64, [u64; 2]>> = Vec::new();
    let mut done = 0;
    while !STOP.load(Ordering::Relaxed) {
        done += 1;
        let number = random();
        match number % 16 {
            0 if maps.len() < MAPS => maps.push(HashMap::new()),
            0 | 1 if !maps.is_empty() => {
                let at = random() as usize % maps.len();
                maps.swap_remove(at);
            }
            2 if maps.len() < MAPS => maps.extend(maps.first().cloned()),
            3 => maps.iter_mut().for_each(HashMap::shrink_to_fit),
            4 => maps.iter_mut().take(2).for_each(HashMap::clear),
            5 if maps.len() < MAPS => {
                maps.push(HashMap::with_capacity(random() as usize % 5_000));
            }
            6 | 7 => {
                if let Some(map) = maps.last_mut() {
                    map.retain(|key, _| key % 3 != 0);
                }
            }
            _ => {
                let count = random() % 3_000;
                let length = maps.len().max(1);
                if let Some(map) = maps.get_mut(random() as usize % length) {
                    for _ in 0..count {
                        map.insert(random() % 20_000, [number; 2]);
                    }
                }
            }
        }
    }
    done
}

fn main() {
    let argument = |at| std::env::args().nth(at).and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(argument(1).unwrap_or(5));
    let least = argument(2).unwrap_or(1);
    let threads: Vec<_> = (1..=8_u64)
        .map(|seed| std::thread::spawn(move || work(seed * 0x9E37_79B9)))
        .collect();
    let (mut snapshots, mut read) = (0_u64, 0_u64);
    while Instant::now() < until || snapshots < least {
        let Some(report) = mapgrow::snapshot() else {
            continue;
        };
        snapshots += 1;
        for map in &report.maps {
            let (Some(entries), Some(tombstones)) = (map.entries, map.tombstones) else {
                continue;
            };
            read += 1;
            let capacity = map.capacity.unwrap_or(u64::MAX);
            assert!(entries + tombstones <= capacity, "{map:?}");
        }
    }
    STOP.store(true, Ordering::Relaxed);
    let steps: u64 = threads
        .into_iter()
        .map(|t| t.join().expect("it works"))
        .sum();
    println!("{snapshots} snapshots, {read} tables read inside, {steps} steps of work");
    let report = mapgrow::snapshot().expect("recording is on");
    for thread in &report.threads {
        println!(
            "{}: {:?} ns in the recorder",
            thread.label, thread.recorder_ns
        );
    }
}
