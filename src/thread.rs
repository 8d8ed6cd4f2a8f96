//! What the recorder keeps for each thread.
//!
//! [`Hot`] lies in thread-local storage and is all that the fast path touches: its countdowns. It
//! has no destructor and needs no registration, both of which would allocate.
//! [`Cold`] holds the rest (stack memo, pending tables, samplers) in private pages outside the
//! heap, reached through `Hot` once the thread has recorded something.

use crate::config::{Mode, Settings};
use crate::lineage::PendingStack;
pub(crate) use crate::lineage::TABLE_ALIGN;
use crate::recording::Recording;
use crate::sampler::Sampler;
use crate::stack::ThreadStacks;
use crate::tables::edges::EdgeMemo;
use crate::tables::untold::KnownRecords;
use crate::task::own_tid;
use mapgrow_format::layout::thread;
use mapgrow_system::clock;

/// Blocks of at least this size always leave the fast path: the default floor.
pub(crate) const LARGE: usize = 1024;
/// The same for blocks that are freed: half of it, less a table's control bytes, which is the size
/// of the old table when one grows across the floor.
pub(crate) const LARGE_FREE: usize = LARGE / 2 - 16;

mod budget;
mod counters;
mod hot;
mod pages;
pub(crate) mod tls;

pub(crate) use counters::{Counters, Serials};
pub(crate) use hot::{
    Busy, Hot, forwarding, is_off_here, must_not_allocate, prime, switch_off_here,
};
pub(crate) use tls::HOT;

/// Bytes between two flushes of a thread's totals.
const FLUSH: i64 = thread::FLUSH_BYTES as i64;

/// Everything else that is kept for a thread.
pub(crate) struct Cold {
    /// The recording that `slot` belongs to.
    recording_id: u64,
    /// Slot in the recording's thread table.
    pub(crate) slot: u16,
    pub(crate) pending: PendingStack,
    /// Edges of the recording.
    pub(crate) edges: EdgeMemo,
    /// Where blocks that are only counted are on record.
    pub(crate) untold: KnownRecords,
    tables: Sampler,
    heap: Sampler,
    /// Blocks of at least this size are recorded with certainty: the configured floor, or more
    /// while the thread is over its budget.
    pub(crate) floor: usize,
    allocated: u64,
    freed: u64,
    pub(crate) serial: Serials,
    pub(crate) counters: Counters,
    untimed: u32,
    /// One recorded block in so many is timed.
    timed_one_in: u32,
    budget_checked: u32,
    /// Frees that are still to be looked at whatever their page: see [`Cold::expect_frees`].
    expected_frees: u32,
    /// Test watches on this thread; while there are any, everything is recorded.
    watches: u32,
    started: u64,
    ticks_per_ms: u64,
    pub(crate) stacks: ThreadStacks,
}

/// The thread's `Cold` if it has been attached already.
///
/// # Safety
/// The caller holds a [`Busy`] for the calling thread for as long as it uses the result, and uses
/// one result at a time.
pub(crate) unsafe fn cold<'a>(
    busy: &'a mut Busy,
    recording: &Recording,
    settings: &Settings,
) -> Option<&'a mut Cold> {
    let existing = HOT.with(|hot| hot.cold.get());
    // SAFETY: `hot.cold` is null or lies in the calling thread's own pages, and nobody else touches
    // it while the thread lives; `Busy` excludes a second borrow.
    if let Some(cold) = unsafe { existing.as_mut() }.filter(|c| c.recording_id == recording.id()) {
        return Some(cold);
    }
    // SAFETY: `busy` is the calling thread's, held as long as the result is used, and no other
    // result is in use (this contract).
    unsafe { attach(busy, recording, settings) }
}

/// The thread's `Cold`, if it is attached to this recording.
#[inline(always)]
pub(crate) fn attached<'a>(_: &'a mut Busy, recording: &Recording) -> Option<&'a mut Cold> {
    let cold = HOT.with(|hot| hot.cold.get());
    // SAFETY: null, or in the calling thread's own pages, which nobody else touches while the thread
    // lives. `Busy` is borrowed for as long as the result is, so there is no other.
    let cold = unsafe { cold.as_mut() }?;
    (cold.recording_id == recording.id()).then_some(cold)
}

/// Begins the calling thread's part in a recording.
///
/// # Safety
/// As [`cold`].
#[cold]
#[inline(never)]
unsafe fn attach<'a>(
    _: &'a mut Busy,
    recording: &Recording,
    settings: &Settings,
) -> Option<&'a mut Cold> {
    let _errno = mapgrow_system::sys::ErrnoGuard::save();
    let existing = HOT.with(|hot| hot.cold.get());
    let pages = if existing.is_null() {
        pages::take(recording)?
    } else {
        // SAFETY: this thread's own, taken earlier.
        unsafe { pages::keep(existing) };
        existing
    };
    let seed = mapgrow_system::sys::random();
    let now = clock::ticks();
    // SAFETY: the pages are this thread's alone: it has just taken them, or it was attached before.
    // Every field is valid for any earlier content; `stacks` is valid as it is.
    unsafe {
        (*pages).recording_id = recording.id();
        (*pages).slot = recording.thread_slot(own_tid() as u32);
        (*pages).pending.clear();
        (*pages).edges.clear();
        (*pages).untold.forget();
        (*pages).tables = Sampler::new(seed, settings.sample_tables);
        (*pages).heap = Sampler::new(seed.rotate_left(17), settings.sample_heap);
        (*pages).floor = settings.floor;
        (*pages).allocated = 0;
        (*pages).freed = 0;
        (*pages).serial = Serials::default();
        (*pages).counters = Counters::default();
        (*pages).untimed = 0;
        (*pages).timed_one_in = budget::timed_one_in(settings);
        (*pages).budget_checked = 0;
        (*pages).watches = 0;
        (*pages).expected_frees = 0;
        (*pages).started = now;
        (*pages).ticks_per_ms = recording.ticks_per_ms();
        // Sites that earlier captures belong to may be those of another recording.
        (*pages).stacks.forget();
    }
    // SAFETY: initialised above, reachable for mutation through this thread's `hot.cold` alone.
    let cold = unsafe { &mut *pages };
    HOT.with(|hot| {
        hot.cold.set(pages);
        prime(hot, settings);
        hot.set_floor(settings.floor);
        hot.set_free_floor(free_floor(settings));
        hot.short_below.set(short_below(settings));
        cold.allocated = hot.allocated() as u64;
        cold.freed = hot.freed() as u64;
        cold.refill(hot);
        // In a new thread the countdown holds the tables that it has allocated so far, and they
        // count; what is left over from another recording is dropped.
        let before = if existing.is_null() {
            hot.tables_countdown.get()
        } else {
            0
        };
        hot.tables_countdown
            .set(cold.tables.left().saturating_add(before));
    });
    Some(cold)
}

/// Size from which a freed block is looked for whatever its address. The old table of one that
/// grows across the floor is half its size, and hashbrown's control bytes make it a little less.
///
/// Where frees do not tell the size, no block is looked up by its size: the page filter then counts
/// every recorded block.
pub(crate) fn free_floor(settings: &Settings) -> usize {
    if !settings.sizes_known {
        return usize::MAX;
    }
    (settings.floor / 2).saturating_sub(16)
}

/// Blocks below this size go the short way through the recorder; 0: none. Where all are recorded no
/// sampler and no budget has a say, and the fast path has counted those that are not large.
fn short_below(settings: &Settings) -> usize {
    let all = settings.mode == Mode::Exact && settings.floor == 0;
    if all { LARGE } else { 0 }
}

/// Whether a recorded block of this kind is counted and no more, unless a test watches.
#[inline]
pub(crate) fn counts_alone(bytes: usize, align_log2: u8, settings: &Settings) -> bool {
    bytes < settings.follow_floor && 1 << align_log2 < TABLE_ALIGN
}

impl Cold {
    /// Has everything recorded, whatever its size and cost, until [`end_watch`](Self::end_watch).
    /// Watches nest.
    #[cfg(feature = "report")]
    pub(crate) fn begin_watch(&mut self) {
        self.watches += 1;
        self.floor = 0;
        HOT.with(|hot| {
            hot.set_floor(0);
            hot.short_below.set(0);
        });
    }

    /// Ends a watch.
    #[cfg(feature = "report")]
    pub(crate) fn end_watch(&mut self, settings: &Settings) {
        self.watches = self.watches.saturating_sub(1);
        if self.watches == 0 {
            self.floor = settings.floor;
            HOT.with(|hot| {
                hot.set_floor(settings.floor);
                hot.short_below.set(short_below(settings));
            });
        }
    }

    /// Whether a recorded block may be a container's table that took another's place. Others are boxes,
    /// strings and short vectors, which grow by `realloc` if at all: of what such blocks replace when
    /// a program does nothing else there is no end.
    pub(crate) fn follows(&self, bytes: usize, align_log2: u8, settings: &Settings) -> bool {
        !counts_alone(bytes, align_log2, settings) || self.watches > 0
    }

    /// Takes over what the fast path has counted. True when the block that was just allocated
    /// is to be recorded as a sample of the heap.
    pub(crate) fn flush(&mut self, recording: &Recording) -> bool {
        let (sampled, allocated, freed) = HOT.with(|hot| {
            let allocated = hot.allocated();
            self.allocated = self.allocated.wrapping_add(allocated as u64);
            self.freed = self.freed.wrapping_add(hot.freed() as u64);
            let sampled = self.heap.advance(allocated);
            self.refill(hot);
            (sampled, self.allocated, self.freed)
        });
        recording.store_thread(self.slot, thread::ALLOCATED, allocated);
        recording.store_thread(self.slot, thread::FREED, freed);
        self.publish_counters(recording);
        sampled
    }

    /// Bytes that the thread has allocated.
    #[cfg(feature = "preload")]
    pub(crate) fn allocated_so_far(&self) -> u64 {
        let counting = HOT.with(Hot::allocated);
        self.allocated.wrapping_add(counting as u64)
    }

    /// Makes the next few frees leave the fast path, if the table just recorded may have replaced
    /// one that is too small to be looked up by its size and lies on no page of the filter: a
    /// sampled table, one that grew by more than the usual factor, or, where sizes are not known,
    /// one that just crossed the floor.
    pub(crate) fn expect_frees(&mut self, bytes: usize, settings: &Settings) {
        /// Frees that may come between the allocation of the new table and the free of the old one:
        /// usually none, but a hasher may use the heap.
        const FREES: u32 = 4;
        if bytes / 4 < settings.floor {
            if self.expected_frees == 0 {
                HOT.with(|hot| hot.set_free_floor(0));
            }
            self.expected_frees = FREES;
        }
    }

    /// Counts a free that left the fast path. True when it was one of those expected.
    pub(crate) fn one_free_less(&mut self, settings: &Settings) -> bool {
        let expected = self.expected_frees > 0;
        if expected {
            self.expected_frees -= 1;
            if self.expected_frees == 0 {
                HOT.with(|hot| hot.set_free_floor(free_floor(settings)));
            }
        }
        expected
    }

    fn publish_counters(&self, recording: &Recording) {
        let c = &self.counters;
        for (word, value) in [
            (thread::CAPTURES, c.captures),
            (thread::MEMO_HITS, c.memo_hits),
            (thread::MEMO_CHECKS, c.memo_checks),
            (thread::MEMO_MISMATCHES, c.memo_mismatches),
            (thread::RECORDER_TICKS, c.recorder_ticks),
            (thread::RECORDED, c.recorded),
        ] {
            recording.store_thread(self.slot, word, value);
        }
    }

    fn refill(&mut self, hot: &Hot) {
        hot.begin_chunk(FLUSH.min(self.heap.left()));
    }
}
