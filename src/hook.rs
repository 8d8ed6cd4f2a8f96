//! The fast path: may this block pass without a further look?
//!
//! Everything here is inlined into the allocator's entry points. An allocation is a compare of its
//! size with a constant and a countdown in thread-local storage; a free is the same and one byte of
//! a shared table. What is known where a block is asked for, its size and its alignment more often
//! than not, the compiler has already compared.
//!
//! The countdown is all that tells states apart: it stays below 0 for a thread that was never here
//! and for one that records everything, and never gets there while recording is off. Nothing
//! here reads shared memory that anyone writes often, and only the thread's own is written.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::thread::{self, HOT, LARGE, LARGE_FREE, TABLE_ALIGN, tls};

/// Whether an allocation needs no record. Counts its bytes if it is not [`LARGE`].
#[inline(always)]
pub(crate) fn allocation_is_fast(size: usize, align: usize) -> bool {
    if cfg!(debug_assertions) && thread::must_not_allocate() {
        return false;
    }
    if size >= LARGE {
        return false;
    }
    if !tls::count_allocated(size) {
        return false;
    }
    // Table-shaped blocks are sampled more densely, by a countdown of their own.
    align < TABLE_ALIGN || tls::count_table(size)
}

/// Whether the block to be freed has no record. Counts its bytes if it is not [`LARGE_FREE`].
#[inline(always)]
pub(crate) fn free_is_fast(address: usize, size: usize, align: usize) -> bool {
    if size >= LARGE_FREE {
        return false;
    }
    tls::count_freed(size) && !FILTER.may_hold(address, align)
}

/// Whether a block that is freed has left the fast path for nothing but a recorded one nearby.
pub(crate) fn was_only_near(address: usize, size: usize) -> bool {
    size < LARGE_FREE && HOT.with(|hot| hot.free_countdown.get() >= 0) && !FILTER.may_be(address)
}

/// [`free_is_fast`] where the size is not said. Counts nothing.
#[cfg(feature = "preload")]
#[inline(always)]
pub(crate) fn free_of_unknown_size_is_fast(address: usize) -> bool {
    tls::frees_pass() && !FILTER.may_hold(address, 1)
}

/// Whether a block can be reallocated without a record before or after. Counts both sizes if
/// [`counts_reallocation`].
#[inline(always)]
pub(crate) fn realloc_is_fast(address: usize, old: usize, new: usize, align: usize) -> bool {
    if cfg!(debug_assertions) && thread::must_not_allocate() {
        return false;
    }
    if !counts_reallocation(old, new) {
        return false;
    }
    let allocations_pass = tls::count_allocated(new);
    let frees_pass = tls::count_freed(old);
    allocations_pass && frees_pass && !FILTER.may_hold(address, align)
}

/// Whether the fast path of reallocations counts these sizes.
#[inline(always)]
pub(crate) fn counts_reallocation(old: usize, new: usize) -> bool {
    old < LARGE_FREE && new < LARGE
}

/// Tells frees of small blocks that none of the recorded ones lies near: a count of recorded
/// small blocks for each granule of the address space, modulo the table's span.
///
/// A granule is so large that a cache line of the table stands for a mebibyte of heap. Recorded
/// blocks are that dense only if they have the shape of a table, which the entry points that know
/// the alignment can tell: those are counted by granules of their own, as large as a page.
///
/// What lies near one is looked at more closely by those who left the fast path for it: whether
/// some recorded block has an address of the same hash.
pub(crate) struct PageFilter {
    counts: [AtomicU8; PageFilter::ENTRIES],
    hashes: [AtomicU8; PageFilter::HASHES],
}

/// The filter for blocks that are recorded though they lie below the floor of frees.
pub(crate) static FILTER: PageFilter = PageFilter::new();

impl PageFilter {
    /// What is left of the low half of an address: its granules take no more than a shift to tell.
    /// They span 4 GiB before two share an entry.
    const ENTRIES: usize = 1 << (u32::BITS - PageFilter::GRANULE_BITS);
    /// A granule is 16 KiB long.
    const GRANULE_BITS: u32 = 14;
    /// One of table-shaped blocks is 4 KiB long.
    const TABLES_GRANULE_BITS: u32 = 12;
    const HASHES: usize = 1 << PageFilter::HASH_BITS;
    const HASH_BITS: u32 = 12;
    /// A count that got here stays: the entry then always answers "maybe".
    const STUCK: u8 = u8::MAX;

    const fn new() -> Self {
        Self {
            counts: [const { AtomicU8::new(0) }; Self::ENTRIES],
            hashes: [const { AtomicU8::new(0) }; Self::HASHES],
        }
    }

    /// Number of the entry that counts blocks at this address with this alignment.
    #[inline(always)]
    fn entry(address: usize, align: usize) -> usize {
        if align < TABLE_ALIGN {
            (address as u32 >> Self::GRANULE_BITS) as usize
        } else {
            (address >> Self::TABLES_GRANULE_BITS) % Self::ENTRIES
        }
    }

    #[inline(always)]
    pub(crate) fn may_hold(&self, address: usize, align: usize) -> bool {
        !is_zero(&self.counts, Self::entry(address, align))
    }

    /// The closer look: whether the block at this very address may be recorded.
    pub(crate) fn may_be(&self, address: usize) -> bool {
        self.hashes[Self::hash(address)].load(Ordering::Relaxed) != 0
    }

    fn hash(address: usize) -> usize {
        let mixed = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> (u64::BITS - Self::HASH_BITS)) as usize
    }

    /// A small block at `address` is now recorded.
    pub(crate) fn add(&self, address: usize, align: usize) {
        self.update(address, align, |count| count + 1);
    }

    /// Blocks in these bytes, none of them table-shaped, are never to be taken for unrecorded.
    #[cfg(feature = "preload")]
    pub(crate) fn add_range(&self, address: usize, bytes: usize) {
        let granule = 1 << Self::GRANULE_BITS;
        for at in (address / granule * granule..address + bytes).step_by(granule) {
            self.add(at, 1);
        }
    }

    /// A small block at `address` is no longer recorded. The alignment is that of [`add`](Self::add).
    pub(crate) fn remove(&self, address: usize, align: usize) {
        self.update(address, align, |count| count.saturating_sub(1));
    }

    fn update(&self, address: usize, align: usize, change: impl Fn(u8) -> u8) {
        let near = &self.counts[Self::entry(address, align)];
        let hashed = &self.hashes[Self::hash(address)];
        for count in [near, hashed] {
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count != Self::STUCK).then(|| change(count))
            });
        }
    }
}

/// Whether this counter is 0.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn is_zero(counts: &[AtomicU8; PageFilter::ENTRIES], entry: usize) -> bool {
    debug_assert!(entry < counts.len());
    // The compiler never compares an atomic where it lies: it loads it first.
    // SAFETY: reads one byte of the table, as a relaxed load does.
    unsafe {
        core::arch::asm!(
            "cmp byte ptr [{counts} + {entry}], 0",
            "jne {found}",
            counts = in(reg) counts.as_ptr(),
            entry = in(reg) entry,
            found = label { return false },
            options(nostack, readonly),
        );
    }
    true
}

/// Whether this counter is 0.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline(always)]
fn is_zero(counts: &[AtomicU8; PageFilter::ENTRIES], entry: usize) -> bool {
    counts[entry].load(Ordering::Relaxed) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_counts_and_sticks() {
        static FILTER: PageFilter = PageFilter::new();
        let address = 0x7f00_1234_5000;
        for (align, address) in [(8, address), (TABLE_ALIGN, address + (1 << 20))] {
            assert!(!FILTER.may_hold(address, align));
            FILTER.add(address, align);
            assert!(FILTER.may_be(address));
            assert!(!FILTER.may_be(address + 64));
            FILTER.add(address + 64, align);
            FILTER.remove(address, align);
            assert!(!FILTER.may_be(address));
            assert!(
                FILTER.may_hold(address, align),
                "one block of the granule is still recorded"
            );
            FILTER.remove(address + 64, align);
            assert!(!FILTER.may_hold(address, align));
            for _ in 0..300 {
                FILTER.add(address, align);
            }
            for _ in 0..300 {
                FILTER.remove(address, align);
            }
            assert!(
                FILTER.may_hold(address, align),
                "an overflowed entry must never deny a block"
            );
        }
    }

    /// The last entries are there, whatever the address.
    #[test]
    fn every_address_has_an_entry() {
        static FILTER: PageFilter = PageFilter::new();
        for align in [1, TABLE_ALIGN] {
            for address in [0, usize::MAX, u32::MAX as usize, 1 << 47] {
                FILTER.add(address, align);
                assert!(FILTER.may_hold(address, align));
                assert!(!FILTER.may_hold(address ^ 1 << 20, align));
                FILTER.remove(address, align);
            }
        }
    }
}
