//! A program with a handler of its own for the signal that MapGrow would take, or one that
//! ignores it (argument `ignore`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

static CAUGHT: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_signal(_: i32) {
    CAUGHT.fetch_add(1, Relaxed);
}

fn main() {
    let map: HashMap<u32, u32> = (0..10_000).map(|i| (i, i)).collect();
    let handler = match std::env::args().nth(1).as_deref() {
        Some("ignore") => libc::SIG_IGN,
        _ => on_signal as *const () as libc::sighandler_t,
    };
    // SAFETY: the handler only adds to an atomic.
    let before = unsafe { libc::signal(libc::SIGUSR1, handler) };
    assert_ne!(before, libc::SIG_ERR, "the handler is installed");
    for _ in 0..3 {
        // SAFETY: raising a signal that is handled or ignored.
        unsafe { libc::raise(libc::SIGUSR1) };
    }
    println!("caught {} with {} entries", CAUGHT.load(Relaxed), map.len());
}
