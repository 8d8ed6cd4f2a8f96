//! What a thread counts for itself before it tells the recording.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::stack::Outcome;

/// Source of serials, in blocks.
static SERIALS: AtomicU64 = AtomicU64::new(1);
const SERIAL_BLOCK: u64 = 4096;

/// Numbers for blocks, taken from the process' in runs.
#[derive(Default)]
pub(crate) struct Serials {
    next: u64,
    end: u64,
}

impl Serials {
    /// A number that no other block of the process has.
    pub(crate) fn next(&mut self) -> u64 {
        if self.next == self.end {
            self.next = SERIALS.fetch_add(SERIAL_BLOCK, Ordering::Relaxed);
            self.end = self.next + SERIAL_BLOCK;
        }
        self.next += 1;
        self.next - 1
    }
}

/// Counts that are kept here and copied to the thread's slot when its totals are flushed.
#[derive(Default, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) captures: u64,
    pub(crate) memo_hits: u64,
    pub(crate) memo_checks: u64,
    pub(crate) memo_mismatches: u64,
    pub(crate) recorder_ticks: u64,
    pub(crate) recorded: u64,
}

impl Counters {
    /// Counts a stack capture.
    #[inline]
    pub(crate) fn captured(&mut self, outcome: Outcome) {
        self.captures += 1;
        match outcome {
            Outcome::Hit => self.memo_hits += 1,
            Outcome::Checked => {
                self.memo_hits += 1;
                self.memo_checks += 1;
            }
            Outcome::Mismatch => {
                self.memo_checks += 1;
                self.memo_mismatches += 1;
            }
            _ => {}
        }
    }
}
