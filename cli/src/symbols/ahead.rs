//! Looks up many addresses of one object file at once, on all processors.
//!
//! Each thread reads the file for itself and takes a run of neighbouring addresses, so that
//! hardly any unit of the debug information is read twice. What it read is given back when it
//! is done; only the answers stay.

use std::thread;

use mapgrow_report::symbols::Frame;

use super::files::{Files, OpenObject};
use super::object_file::ObjectFile;

/// What debug information says about an address.
pub struct Told {
    /// Functions, innermost first.
    pub frames: Vec<Frame>,
    /// Element type of the container whose function lies there.
    pub element_type: Option<String>,
}

/// Fewer addresses than this are not worth a thread.
const LEAST: usize = 2_000;
/// More threads would read more twice than they gain.
const MOST_THREADS: usize = 4;

/// Looks up addresses of an object file. Nothing when there are few of them.
pub fn look_up(opened: &OpenObject<'_>, mut addresses: Vec<u64>) -> Vec<(u64, Told)> {
    let processors = thread::available_parallelism().map_or(1, |count| count.get());
    let threads = processors.min(MOST_THREADS).min(addresses.len() / LEAST);
    if threads < 2 {
        return Vec::new();
    }
    addresses.sort_unstable();
    let share = addresses.len().div_ceil(threads);
    thread::scope(|scope| {
        let workers: Vec<_> = addresses
            .chunks(share)
            .map(|chunk| scope.spawn(move || tell(opened, chunk)))
            .collect();
        // A thread that panicked told nothing: its addresses are looked up one by one.
        let told = workers.into_iter().map(|worker| worker.join());
        told.flat_map(Result::unwrap_or_default).collect()
    })
}

fn tell(opened: &OpenObject<'_>, addresses: &[u64]) -> Vec<(u64, Told)> {
    let files = Files::new();
    let Ok(again) = opened.again() else {
        return Vec::new();
    };
    let object = ObjectFile::new(&files, again);
    let tell = |&address: &u64| {
        let told = Told {
            frames: object.frames(address),
            element_type: object.element_type(address),
        };
        (address, told)
    };
    addresses.iter().map(tell).collect()
}
