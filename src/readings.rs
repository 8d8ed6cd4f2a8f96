//! Reads the live tables of this process into the recording, before somebody takes a copy that
//! will outlive it.
//!
//! It takes milliseconds: in a signal handler only where the process ends there. Nothing is allocated, no
//! lock is taken, and a block that another thread frees meanwhile does no harm: its bytes are read through the
//! kernel, and count for something only if the live table knew the block before and knows it
//! after.

use core::sync::atomic::Ordering;

use crate::recording::Recording;
use mapgrow_containers::occupancy::memory::{Place, read};
use mapgrow_containers::occupancy::{Limits, Reading};
use mapgrow_format::layout::{header, occupancy, region};
use mapgrow_system::clock;
use mapgrow_system::memory::ProcessMemory;

/// What reading may take by the clock, to its processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A busy machine lets the thread wait for its turn.
    Waits = 10,
    /// Somebody waits for the process to end, and may not for long.
    Hurries = 1,
}

/// Tables are read largest first, roughly: those of at least so many bytes, then the rest.
const PASSES: [(u64, u64); 3] = [
    (1 << 20, u64::MAX),
    (1 << 14, (1 << 20) - 1),
    (0, (1 << 14) - 1),
];

/// Reads all live tables, as far as time and room allow. Does nothing while another thread does.
pub(crate) fn read_tables(recording: &Recording, patience: Patience) {
    // One reader at a time: all write to the same region.
    if recording.being_measured.swap(true, Ordering::Acquire) {
        return;
    }
    let until =
        clock::monotonic_ns().saturating_add(recording.read_ns.saturating_mul(patience as u64));
    let until_cpu = clock::thread_cpu_ns().saturating_add(recording.read_ns);
    let memory = ProcessMemory::of(std::process::id());
    let (mut count, mut skipped) = (0_u64, 0_u64);
    for (least, most) in PASSES {
        recording.live.each(|slot, address| {
            let Some(block) = recording.live.read(slot, address) else {
                return;
            };
            if !(least..=most).contains(&block.bytes) || block.align_log2 >= 63 {
                return;
            }
            if clock::thread_cpu_ns() > until_cpu || clock::monotonic_ns() > until {
                skipped += 1;
                return;
            }
            let limits = Limits {
                seed: block.serial,
                ..Limits::default()
            };
            // The time is taken before the bytes are read, so that whatever was done to the map
            // until then is in them.
            let ticks = clock::ticks();
            let reading = read(
                &memory,
                &Place {
                    address,
                    bytes: block.bytes,
                    align: 1 << block.align_log2,
                    group: recording.load(header::GROUP_WIDTH),
                    foreign: recording.load(header::BACKEND) == header::BACKEND_PROGRAM,
                },
                &limits,
            );
            let Some((survey, foreign)) = reading else {
                return;
            };
            // The whole record: while the bytes were read, a resize that filled them may have ended.
            if recording.live.read(slot, address) != Some(block) {
                return;
            }
            let reading = Reading {
                serial: block.serial,
                ticks,
                survey,
                foreign,
            };
            if store(recording, count, &reading) {
                count += 1;
            } else {
                skipped += 1;
            }
        });
    }
    recording.store(header::OCCUPANCY_COUNT, count);
    recording.store(header::OCCUPANCY_SKIPPED, skipped);
    recording.being_measured.store(false, Ordering::Release);
}

/// Writes record `index`; false when there is no room.
fn store(recording: &Recording, index: u64, reading: &Reading) -> bool {
    let Ok(index) = usize::try_from(index) else {
        return false;
    };
    let upto = (index + 1) * occupancy::WORDS;
    if !recording.commit(region::OCCUPANCY, upto) {
        return false;
    }
    let words = recording.committed_words(region::OCCUPANCY);
    let Some(record) = words.get(index * occupancy::WORDS..upto) else {
        return false;
    };
    // A copy that is taken in between does not add up, and is left out by its reader.
    for (word, value) in record.iter().zip(reading.encode()) {
        word.store(value, Ordering::Relaxed);
    }
    true
}
