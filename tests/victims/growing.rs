//! Inserts into a map at steady rates, one after the other, 0 for a rest:
//! `victim_growing [ENTRIES_PER_SECOND SECONDS]...`. Says at the end by how many nanoseconds it
//! was behind its schedule at worst.

use std::collections::HashMap;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

#[inline(never)]
fn add_session(sessions: &mut HashMap<u64, [u64; 15]>, number: u64) {
    sessions.insert(number, [number; 15]);
}

fn main() {
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("a number"))
        .collect();
    let mut sessions = HashMap::new();
    let mut behind = Duration::ZERO;
    for phase in arguments.chunks_exact(2) {
        let (rate, seconds) = (phase[0], phase[1]);
        if rate == 0 {
            std::thread::sleep(Duration::from_secs(seconds));
            continue;
        }
        let interval = Duration::from_nanos(1_000_000_000 / rate);
        let (start, before) = (Instant::now(), sessions.len() as u64);
        for number in 0..rate * seconds {
            let due = interval * number as u32;
            let mut now = start.elapsed();
            while now < due {
                std::thread::sleep((due - now).max(Duration::from_millis(1)));
                now = start.elapsed();
            }
            // A sleep is a little too long, always: that is no delay. Whatever else kept it is:
            // a processor that others had, or the growth of the map.
            behind = behind.max(now.saturating_sub(due + Duration::from_millis(2)));
            add_session(&mut sessions, before + number);
        }
    }
    println!("{} {}", sessions.len(), behind.as_nanos());
    std::mem::forget(sessions);
}
