//! A service in small: a cache under load on several threads, a resize that stalls every one
//! of them, deletes, and a map that keeps its memory long after its entries are gone.
//!
//! ```text
//! MAPGROW_AT_EXIT=report cargo run --release --example service
//! ```
//!
//! What it prints are its own observations. The report says why: which map, which line, how
//! long each resize held the lock, and how much memory the emptied index still holds.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

const WORKERS: u64 = 4;
const REQUESTS: u64 = 400_000;

struct Response {
    body: String,
    _fetched_at: Instant,
}

#[derive(Default)]
struct Service {
    /// Every worker takes this lock, so every worker waits when the map behind it resizes.
    cache: Mutex<HashMap<u64, Response>>,
    /// Which worker saw a key last. Filled early, emptied later, never shrunk.
    last_seen: Mutex<HashMap<u64, u64>>,
    slowest_ns: AtomicU64,
}

impl Service {
    fn answer(&self, key: u64, worker: u64) -> usize {
        let started = Instant::now();
        self.note_seen(key, worker);
        let len = self.look_up(key);
        let ns = started.elapsed().as_nanos() as u64;
        self.slowest_ns.fetch_max(ns, Relaxed);
        len
    }

    fn look_up(&self, key: u64) -> usize {
        let mut cache = self.cache.lock().expect("no worker panics");
        let response = cache.entry(key).or_insert_with(|| fetch(key));
        response.body.len()
    }

    fn note_seen(&self, key: u64, worker: u64) {
        let mut seen = self.last_seen.lock().expect("no worker panics");
        seen.insert(key, worker);
    }

    /// Forgets nearly everything. The entries go; the table stays as large as it was.
    fn expire(&self) {
        let mut seen = self.last_seen.lock().expect("no worker panics");
        seen.retain(|key, _| key % 1000 == 0);
    }
}

fn fetch(key: u64) -> Response {
    Response {
        body: format!("response to request {key}"),
        _fetched_at: Instant::now(),
    }
}

/// A cheap pseudo-random walk over the keys: new ones keep coming.
fn key(worker: u64, request: u64) -> u64 {
    let mixed = (worker << 32 | request).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed >> 32
}

fn main() {
    let service = Service::default();
    mapgrow::mark("load begins");
    let bytes: usize = thread::scope(|scope| {
        let service = &service;
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                scope.spawn(move || {
                    (0..REQUESTS)
                        .map(|request| service.answer(key(worker, request), worker))
                        .sum::<usize>()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no worker panics"))
            .sum()
    });
    mapgrow::mark("load over, expiry begins");
    service.expire();

    let cached = service.cache.lock().expect("no worker panics").len();
    let seen = service.last_seen.lock().expect("no worker panics").len();
    println!("answered {} requests, {bytes} bytes", WORKERS * REQUESTS);
    println!("cache holds {cached} responses; the index of keys is down to {seen}");
    let slowest = Duration::from_nanos(service.slowest_ns.load(Relaxed));
    eprintln!("slowest request: {slowest:?}");
    // A service does not take itself apart when it is stopped: what it held at the end is what
    // the report shows.
    std::process::exit(0);
}
