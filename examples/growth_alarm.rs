//! A program that hears of its own growth while it runs, and raises an alarm.
//!
//! ```text
//! cargo run --release --example growth_alarm
//! ```
//!
//! Events arrive through a bounded channel, some tens of milliseconds after the fact. Nothing
//! waits for a slow reader: what does not fit is dropped and counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

const ALARM_BYTES: u64 = 8 << 20;

static OVER: AtomicBool = AtomicBool::new(false);

/// Prints alarms until the program is over and nothing has come for a while.
fn watch(events: &crossbeam_channel::Receiver<mapgrow::GrowthEvent>) -> u32 {
    let mut alarms = 0;
    loop {
        match events.recv_timeout(Duration::from_millis(200)) {
            Ok(event) if event.new_bytes >= ALARM_BYTES => {
                alarms += 1;
                let place = match &event.caller {
                    Some(caller) => caller.function.as_str(),
                    None => "somewhere",
                };
                if event
                    .next_resize
                    .is_some_and(|next| next.fits == Some(false))
                {
                    println!("alarm: there is no memory left for its next growth");
                }
                println!(
                    "alarm: a container in {place} grew to {} MiB and stalled its thread for {:?}",
                    event.new_bytes >> 20,
                    event.pause.unwrap_or_default(),
                );
            }
            Ok(_) => {}
            Err(_) if OVER.load(Ordering::Relaxed) => return alarms,
            Err(_) => {}
        }
    }
}

fn take_orders() -> HashMap<u64, [u64; 4]> {
    let mut orders = HashMap::new();
    for id in 0..1_000_000 {
        orders.insert(id, [id; 4]);
    }
    orders
}

fn main() {
    let events = mapgrow::growth_events();
    let watcher = thread::spawn(move || watch(&events));
    let orders = take_orders();
    OVER.store(true, Ordering::Relaxed);
    let alarms = watcher.join().expect("the watcher ends well");
    println!("{} orders, {alarms} alarms", orders.len());
}
