//! A program that hears of its own growth while it runs, and raises an alarm.
//!
//! ```text
//! cargo run --release --example growth_alarm
//! ```
//!
//! Events arrive through a bounded channel. Nothing waits for a slow reader: what does not fit
//! is dropped and counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

const ALARM_BYTES: u64 = 8 << 20;

static OVER: AtomicBool = AtomicBool::new(false);

fn main() {
    let events = mapgrow::growth_events();
    let watcher = thread::spawn(move || {
        let mut alarms = 0;
        while !OVER.load(Ordering::Relaxed) || !events.is_empty() {
            let Ok(event) = events.recv_timeout(Duration::from_millis(20)) else {
                continue;
            };
            if event.new_bytes >= ALARM_BYTES {
                alarms += 1;
                println!(
                    "alarm: a container grew from {} to {} MiB and stalled its thread for {:?}",
                    event.old_bytes.unwrap_or(0) >> 20,
                    event.new_bytes >> 20,
                    event.pause.unwrap_or_default(),
                );
            }
        }
        alarms
    });

    let mut orders: HashMap<u64, [u64; 4]> = HashMap::new();
    for id in 0..1_000_000 {
        orders.insert(id, [id; 4]);
    }

    OVER.store(true, Ordering::Relaxed);
    let alarms = watcher.join().expect("the watcher ends well");
    println!("{} orders, {alarms} alarms", orders.len());
}
