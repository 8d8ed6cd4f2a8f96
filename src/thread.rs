//! What the recorder keeps for each thread.
//!
//! [`Hot`] lies in thread-local storage and is all that the fast path touches: its countdowns. It
//! has no destructor and needs no registration, both of which would allocate.
//! [`Cold`] holds the rest (stack memo, pending tables, samplers) in private pages outside the
//! heap, reached through `Hot` once the thread has recorded something. A thread cannot tell us
//! that it ends, so the pages of an ended one are found by asking the kernel for its id, and
//! handed on to the next thread that starts.

use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use crate::config::Settings;
use crate::lineage::PendingStack;
#[cfg(feature = "report")]
use crate::process::State;
use crate::recording::Recording;
use crate::sampler::Sampler;
use crate::sandbox;
use crate::stack::ThreadStacks;
use crate::tables::edges::EdgeMemo;
use mapgrow_format::layout::{header, thread};
use mapgrow_system::clock;

/// Alignment from which a small block is treated as a possible table: hashbrown's control group.
pub(crate) const TABLE_ALIGN: usize = 16;

/// Blocks of at least this size always leave the fast path: the default floor.
pub(crate) const LARGE: usize = 1024;
/// The same of blocks that are freed. Half of it, less the control bytes of a table, because the
/// old table of one that grows across the floor is that large.
pub(crate) const LARGE_FREE: usize = LARGE / 2 - 16;

mod budget;
mod counters;
mod hot;
pub(crate) mod tls;

pub(crate) use counters::{Counters, Serials};
#[cfg(feature = "preload")]
pub(crate) use hot::forwarding;
pub(crate) use hot::{Busy, Hot, is_off_here, must_not_allocate, prime, switch_off_here};
pub(crate) use tls::HOT;

/// Bytes between two flushes of a thread's totals.
const FLUSH: i64 = thread::FLUSH_BYTES as i64;

/// Everything else that is kept for a thread.
pub(crate) struct Cold {
    /// Owner, 0 while the pages are being set up.
    owner: AtomicI32,
    next: *mut Cold,
    /// The recording that `slot` belongs to.
    recording_id: u64,
    /// Slot in the recording's thread table.
    pub(crate) slot: u16,
    pub(crate) pending: PendingStack,
    /// Edges of the recording.
    pub(crate) edges: EdgeMemo,
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
    budget_checked: u32,
    /// Frees that are still to be looked at whatever their page: see [`Cold::expect_frees`].
    expected_frees: u32,
    /// Test watches on this thread; while there are any, everything is recorded.
    watches: u32,
    started: u64,
    ticks_per_ms: u64,
    pub(crate) stacks: ThreadStacks,
}

/// All `Cold`s ever made; pages are handed on, never given back.
static COLDS: AtomicPtr<Cold> = AtomicPtr::new(ptr::null_mut());
/// Where the search for an ended thread goes on.
static CURSOR: AtomicPtr<Cold> = AtomicPtr::new(ptr::null_mut());

/// Id of the calling thread; 0 where the system must not be asked.
fn own_tid() -> i32 {
    if sandbox::entered() {
        return 0;
    }
    // SAFETY: `gettid` has no preconditions.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// Whether no thread of this process has that id.
pub(crate) fn is_gone(tid: i32) -> bool {
    if sandbox::entered() {
        return false;
    }
    // SAFETY: signal 0 is only a question.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) };
    answer == -1 && mapgrow_system::sys::errno() == libc::ESRCH
}

/// The thread's `Cold` if it has been attached already.
///
/// # Safety
/// The caller holds a [`Busy`] for the calling thread for as long as it uses the result, and uses
/// one result at a time.
pub(crate) unsafe fn cold<'a>(
    _: &'a mut Busy,
    recording: &Recording,
    settings: &Settings,
) -> Option<&'a mut Cold> {
    let existing = HOT.with(|hot| hot.cold.get());
    // SAFETY: `hot.cold` is null or the calling thread's own pages, which nobody else touches
    // while it lives but for the atomic `owner`; `Busy` excludes a second borrow.
    if let Some(cold) = unsafe { existing.as_mut() }.filter(|c| c.recording_id == recording.id()) {
        return Some(cold);
    }
    attach(recording, settings)
}

/// Pages for the calling thread: those of an ended thread, else new ones.
#[cold]
#[inline(never)]
fn attach<'a>(recording: &Recording, settings: &Settings) -> Option<&'a mut Cold> {
    let _errno = mapgrow_system::sys::ErrnoGuard::save();
    let existing = HOT.with(|hot| hot.cold.get());
    let pages = if existing.is_null() {
        adopt().or_else(|| create(recording))?
    } else {
        existing
    };
    let seed = mapgrow_system::sys::random();
    let now = clock::ticks();
    // SAFETY: the pages are ours alone: new, adopted by a CAS on `owner`, or attached to this
    // thread before. Every field is valid for any earlier content; `stacks` is valid as it is.
    unsafe {
        (*pages).recording_id = recording.id();
        (*pages).slot = recording.thread_slot(own_tid() as u32);
        (*pages).pending.clear();
        (*pages).edges.clear();
        (*pages).tables = Sampler::new(seed, settings.sample_tables);
        (*pages).heap = Sampler::new(seed.rotate_left(17), settings.sample_heap);
        (*pages).floor = settings.floor;
        (*pages).allocated = 0;
        (*pages).freed = 0;
        (*pages).serial = Serials::default();
        (*pages).counters = Counters::default();
        (*pages).untimed = 0;
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
        cold.allocated = hot.allocated() as u64;
        cold.freed = hot.freed() as u64;
        cold.refill(hot);
        // What a new thread allocated so far counts; what is left of another recording does not.
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
/// Where the size is not known no block is found by it: the filter holds all that are recorded.
pub(crate) fn free_floor(settings: &Settings) -> usize {
    if !settings.sizes_known {
        return usize::MAX;
    }
    (settings.floor / 2).saturating_sub(16)
}

/// Makes the calling thread record everything, whatever its size and cost, until
/// [`end_watch`]. Watches nest. The thread's id; `None` when nothing is recorded.
#[cfg(feature = "report")]
pub(crate) fn begin_watch() -> Option<u32> {
    // An allocation, so that there is a state to watch with.
    drop(std::hint::black_box(Box::new(0u64)));
    let mut busy = Busy::enter()?;
    let state = State::get()?;
    let recording = crate::process::recording(state)?;
    // SAFETY: the token is this thread's and outlives the use.
    let cold = unsafe { cold(&mut busy, recording, &state.settings) }?;
    cold.watches += 1;
    cold.floor = 0;
    HOT.with(|hot| hot.set_floor(0));
    Some(own_tid() as u32)
}

/// Ends a watch.
#[cfg(feature = "report")]
pub(crate) fn end_watch() {
    let Some(mut busy) = Busy::enter() else {
        return;
    };
    let Some((state, recording)) = State::get().zip(crate::process::existing_recording()) else {
        return;
    };
    // SAFETY: as in `begin_watch`.
    let Some(cold) = (unsafe { cold(&mut busy, recording, &state.settings) }) else {
        return;
    };
    cold.watches = cold.watches.saturating_sub(1);
    if cold.watches == 0 {
        cold.floor = state.settings.floor;
        HOT.with(|hot| hot.set_floor(state.settings.floor));
    }
}

/// The pages of a thread that has ended.
fn adopt() -> Option<*mut Cold> {
    let mut at = CURSOR.load(Ordering::Acquire);
    for _ in 0..8 {
        if at.is_null() {
            at = COLDS.load(Ordering::Acquire);
        }
        // SAFETY: `Cold`s are never unmapped; only the atomic and the immutable `next` are read.
        let (owner, next) = unsafe { (&at.as_ref()?.owner, (*at).next) };
        let tid = owner.load(Ordering::Acquire);
        if tid != 0
            && is_gone(tid)
            && owner
                .compare_exchange(tid, own_tid(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        {
            CURSOR.store(next, Ordering::Release);
            return Some(at);
        }
        at = next;
    }
    CURSOR.store(at, Ordering::Release);
    None
}

fn create(recording: &Recording) -> Option<*mut Cold> {
    let size = core::mem::size_of::<Cold>();
    let pages = crate::recording::private_pages(size)?.cast::<Cold>();
    recording.count(header::PRIVATE_BYTES, size as u64);
    let mut head = COLDS.load(Ordering::Acquire);
    loop {
        // SAFETY: fresh zeroed pages that nobody else knows; zero is valid for these fields.
        unsafe {
            (*pages).owner.store(own_tid(), Ordering::Relaxed);
            (*pages).next = head;
        }
        match COLDS.compare_exchange_weak(head, pages, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(pages),
            Err(now) => head = now,
        }
    }
}

impl Cold {
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

    /// After a table was recorded whose predecessor may lie below what frees are looked at by
    /// size and on no page of the filter: the next few frees leave the fast path. That is so for
    /// sampled tables, for those that grew by more than the usual factor, and, where sizes are
    /// not known, for all that just crossed the floor.
    pub(crate) fn expect_frees(&mut self, bytes: usize, settings: &Settings) {
        /// Frees between the allocation of a new table and that of the old one: usually none,
        /// but hashers may use the heap.
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

/// Name of the calling thread, as words for its slot.
pub(crate) fn own_name() -> [u64; thread::NAME_WORDS] {
    let mut name = [0u8; 16];
    if sandbox::entered() {
        return [0; thread::NAME_WORDS];
    }
    // SAFETY: `PR_GET_NAME` writes at most 16 bytes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let mut words = [0; thread::NAME_WORDS];
    for (word, bytes) in words.iter_mut().zip(name.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or([0; 8]));
    }
    words
}
