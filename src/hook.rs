//! The fast path: may this block pass without a further look?
//!
//! Everything here is inlined into the allocator's entry points and comes to two compares and a
//! subtraction on thread-local words, plus one byte of a shared table for frees. It reads no
//! shared memory that anyone writes often, and writes only the thread's own.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::thread::{self, HOT};

/// Whether an allocation needs no record. Counts its bytes if it is below the floor.
#[inline(always)]
pub(crate) fn allocation_is_fast(size: usize, align: usize) -> bool {
    if cfg!(debug_assertions) && thread::must_not_allocate() {
        return false;
    }
    HOT.with(|hot| {
        if size >= hot.floor.get() {
            return false;
        }
        let left = hot.allocate_countdown.get() - size as i64;
        hot.allocate_countdown.set(left);
        if left < 0 {
            return false;
        }
        if align < hot.align_floor.get() {
            return true;
        }
        // Table-shaped: sampled more densely, by a countdown of its own.
        let left = hot.tables_countdown.get() - size as i64;
        hot.tables_countdown.set(left);
        left >= 0
    })
}

/// Whether the block to be freed has no record. Counts its bytes if it is below the floor.
#[inline(always)]
pub(crate) fn free_is_fast(address: usize, size: usize) -> bool {
    HOT.with(|hot| {
        if size >= hot.free_floor.get() {
            return false;
        }
        let left = hot.free_countdown.get() - size as i64;
        hot.free_countdown.set(left);
        left >= 0 && !FILTER.may_hold(address)
    })
}

/// Whether a block can be reallocated without a record before or after. Counts both sizes if
/// both are below the floors.
#[inline(always)]
pub(crate) fn realloc_is_fast(address: usize, old: usize, new: usize) -> bool {
    if cfg!(debug_assertions) && thread::must_not_allocate() {
        return false;
    }
    HOT.with(|hot| {
        if new >= hot.floor.get() {
            return false;
        }
        if old >= hot.free_floor.get() {
            return false;
        }
        let allocate_left = hot.allocate_countdown.get() - new as i64;
        let free_left = hot.free_countdown.get() - old as i64;
        hot.allocate_countdown.set(allocate_left);
        hot.free_countdown.set(free_left);
        allocate_left | free_left >= 0 && !FILTER.may_hold(address)
    })
}

/// Tells frees of small blocks that none of the recorded ones lies near: a count of recorded
/// small blocks for each page address modulo the table's span.
pub(crate) struct PageFilter {
    counts: [AtomicU8; PageFilter::ENTRIES],
}

/// The filter for blocks that are recorded though they lie below the floor of frees.
pub(crate) static FILTER: PageFilter = PageFilter::new();

impl PageFilter {
    /// 32 Ki pages: a span of 128 MiB before two pages share an entry.
    const ENTRIES: usize = 1 << 15;
    /// A count that got here stays: the entry then always answers "maybe".
    const STUCK: u8 = u8::MAX;

    const fn new() -> Self {
        Self {
            counts: [const { AtomicU8::new(0) }; Self::ENTRIES],
        }
    }

    #[inline(always)]
    fn entry(&self, address: usize) -> &AtomicU8 {
        &self.counts[(address >> 12) % Self::ENTRIES]
    }

    #[inline(always)]
    fn may_hold(&self, address: usize) -> bool {
        self.entry(address).load(Ordering::Relaxed) != 0
    }

    /// A small block at `address` is now recorded.
    pub(crate) fn add(&self, address: usize) {
        self.update(address, |count| count + 1);
    }

    /// A small block at `address` is no longer recorded.
    pub(crate) fn remove(&self, address: usize) {
        self.update(address, |count| count.saturating_sub(1));
    }

    fn update(&self, address: usize, change: impl Fn(u8) -> u8) {
        let _ = self
            .entry(address)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count != Self::STUCK).then(|| change(count))
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_counts_and_sticks() {
        static FILTER: PageFilter = PageFilter::new();
        let address = 0x7f00_1234_5000;
        assert!(!FILTER.may_hold(address));
        FILTER.add(address);
        FILTER.add(address + 64);
        FILTER.remove(address);
        assert!(
            FILTER.may_hold(address),
            "one block of the page is still recorded"
        );
        FILTER.remove(address + 64);
        assert!(!FILTER.may_hold(address));
        for _ in 0..300 {
            FILTER.add(address);
        }
        for _ in 0..300 {
            FILTER.remove(address);
        }
        assert!(
            FILTER.may_hold(address),
            "an overflowed entry must never deny a block"
        );
    }
}
