//! What the recorder keeps for each thread.
//!
//! [`Hot`] lies in thread-local storage and is all that the fast path touches: thresholds and
//! countdowns. It has no destructor and needs no registration, both of which would allocate.
//! [`Cold`] holds the rest (stack memo, pending tables, samplers) in private pages outside the
//! heap, reached through `Hot` once the thread has recorded something. A thread cannot tell us
//! that it ends, so the pages of an ended one are found by asking the kernel for its id, and
//! handed on to the next thread that starts.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use crate::config::{Mode, Settings};
use crate::lineage::PendingStack;
use crate::process::Lesson;
#[cfg(feature = "report")]
use crate::process::State;
use crate::recording::Recording;
use crate::sampler::Sampler;
use crate::sandbox;
use crate::stack::ThreadStacks;
use crate::tables::edges::EdgeMemo;
use mapgrow_format::layout::{WEIGHT_ONE, header, thread};
use mapgrow_system::clock;

/// Alignment from which a small block is treated as a possible table: hashbrown's control group.
pub(crate) const TABLE_ALIGN: usize = 16;

/// Thresholds and countdowns of the fast path.
pub(crate) struct Hot {
    /// Blocks of at least this size leave the fast path. 0 until the thread is set up.
    pub(crate) floor: Cell<usize>,
    /// Blocks of at least this alignment also count down `tables_countdown`.
    pub(crate) align_floor: Cell<usize>,
    /// Bytes of such blocks until the fast path is left to sample one.
    pub(crate) tables_countdown: Cell<i64>,
    /// Bytes until the fast path is left to flush the totals or to sample.
    pub(crate) allocate_countdown: Cell<i64>,
    /// Frees of at least this size leave the fast path.
    pub(crate) free_floor: Cell<usize>,
    /// Bytes until the fast path of frees is left to flush the totals.
    pub(crate) free_countdown: Cell<i64>,
    /// Whether the recorder works for this thread: what is allocated meanwhile, in a signal
    /// handler say, is not recorded.
    busy: Cell<Activity>,
    cold: Cell<*mut Cold>,
    /// Set during a calibration: see [`crate::process::calibrating`].
    pub(crate) lesson: Cell<*mut Lesson>,
}

mod counters;
#[cfg(all(feature = "preload", target_arch = "x86_64"))]
mod initial_exec;

pub(crate) use counters::{Counters, Serials};

#[cfg(not(all(feature = "preload", target_arch = "x86_64")))]
thread_local! {
    pub(crate) static HOT: Hot = const { Hot::new() };
}
#[cfg(all(feature = "preload", target_arch = "x86_64"))]
pub(crate) use initial_exec::HOT;

impl Hot {
    /// That of a thread which was never here: all zero.
    #[cfg_attr(all(feature = "preload", target_arch = "x86_64"), allow(dead_code))]
    const fn new() -> Self {
        Self {
            floor: Cell::new(0),
            align_floor: Cell::new(0),
            tables_countdown: Cell::new(0),
            allocate_countdown: Cell::new(0),
            free_floor: Cell::new(0),
            free_countdown: Cell::new(0),
            busy: Cell::new(Activity::None),
            cold: Cell::new(ptr::null_mut()),
            lesson: Cell::new(ptr::null_mut()),
        }
    }
}

/// What the recorder does on a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Activity {
    /// Nothing.
    None = 0,
    /// It records, and must not allocate.
    Recording,
    /// It reports, in the program's own time, and may.
    Reporting,
}

/// Proof that the recorder works for this thread and that nothing re-enters it.
pub(crate) struct Busy(());

impl Busy {
    /// Enters the recorder; `None` when the thread is already in it.
    #[inline]
    pub(crate) fn enter() -> Option<Self> {
        Self::begin(Activity::Recording)
    }

    /// Keeps the recorder off for work on the recording that allocates; `None` when the thread
    /// is already in it.
    pub(crate) fn report() -> Option<Self> {
        Self::begin(Activity::Reporting)
    }

    #[inline]
    fn begin(activity: Activity) -> Option<Self> {
        HOT.with(|hot| {
            if hot.busy.get() != Activity::None {
                return None;
            }
            hot.busy.set(activity);
            Some(Self(()))
        })
    }
}

impl Drop for Busy {
    #[inline]
    fn drop(&mut self) {
        HOT.with(|hot| hot.busy.set(Activity::None));
    }
}

/// Whether the calling thread is where it must not allocate.
pub(crate) fn must_not_allocate() -> bool {
    HOT.with(|hot| hot.busy.get() == Activity::Recording)
}

/// Does what the program asked its allocator for: that may allocate in its turn.
#[cfg(feature = "preload")]
#[inline]
pub(crate) fn forwarding<R>(act: impl FnOnce() -> R) -> R {
    if !cfg!(debug_assertions) {
        return act();
    }
    let before = HOT.with(|hot| hot.busy.replace(Activity::Reporting));
    let result = act();
    HOT.with(|hot| hot.busy.set(before));
    result
}

/// Makes the calling thread leave this recorder alone for good: nothing it allocates leaves the
/// fast path.
pub(crate) fn switch_off_here() {
    HOT.with(|hot| {
        hot.floor.set(usize::MAX);
        hot.align_floor.set(usize::MAX);
        hot.allocate_countdown.set(i64::MAX);
        hot.free_floor.set(usize::MAX);
        hot.free_countdown.set(i64::MAX);
    });
}

/// How far beyond its share of the CPU the recorder may go before it records less: what it may
/// spend at once, as when a program starts and each stack is new, in nanoseconds.
const BUDGET_BURST_NS: u64 = 50_000_000;
/// The budget never raises the floor above this.
const FLOOR_MOST: usize = 1 << 20;
/// Reading the clock costs as much as a table access: one recorded block in so many is timed.
const TIMED_ONE_IN: u32 = 8;
/// A block that took longer waited for its turn on the processor: that is no work of ours, and
/// counted as such it would keep a thread on a busy machine over its budget for good.
const TIMED_MOST_NS: u64 = 200_000;
/// Timed blocks between two looks at the budget.
const BUDGET_CHECK: u32 = 8;

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
    allocate_chunk: i64,
    free_chunk: i64,
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
        (*pages).allocate_chunk = 0;
        (*pages).free_chunk = 0;
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
        cold.allocated = (FLUSH - hot.allocate_countdown.get()) as u64;
        cold.freed = (FLUSH - hot.free_countdown.get()) as u64;
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

/// Sets the thresholds of a thread that allocates for the first time.
pub(crate) fn prime(hot: &Hot, settings: &Settings) {
    if hot.align_floor.get() != 0 {
        return;
    }
    hot.floor.set(settings.floor);
    hot.align_floor.set(TABLE_ALIGN);
    hot.free_floor.set(free_floor(settings));
    hot.allocate_countdown
        .set(hot.allocate_countdown.get().saturating_add(FLUSH));
    hot.free_countdown
        .set(hot.free_countdown.get().saturating_add(FLUSH));
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
    HOT.with(|hot| hot.floor.set(0));
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
        HOT.with(|hot| hot.floor.set(state.settings.floor));
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
            let allocated = self.allocate_chunk - hot.allocate_countdown.get();
            let freed = self.free_chunk - hot.free_countdown.get();
            self.allocated = self.allocated.wrapping_add(allocated as u64);
            self.freed = self.freed.wrapping_add(freed as u64);
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
        let counting = HOT.with(|hot| self.allocate_chunk - hot.allocate_countdown.get());
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
            self.expected_frees = FREES;
            HOT.with(|hot| hot.free_floor.set(0));
        }
    }

    /// Counts a free that left the fast path. True when it was one of those expected.
    pub(crate) fn one_free_less(&mut self, settings: &Settings) -> bool {
        let expected = self.expected_frees > 0;
        if expected {
            self.expected_frees -= 1;
            if self.expected_frees == 0 {
                HOT.with(|hot| hot.free_floor.set(free_floor(settings)));
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
        self.allocate_chunk = FLUSH.min(self.heap.left());
        self.free_chunk = FLUSH;
        hot.allocate_countdown.set(self.allocate_chunk);
        hot.free_countdown.set(self.free_chunk);
    }

    /// Weight with which a block is to be recorded; `None`: not at all. `heap_sample` is what
    /// [`flush`](Self::flush) said. A table-shaped block has been counted by `tables_countdown`.
    pub(crate) fn weigh(&mut self, bytes: usize, align: usize, heap_sample: bool) -> Option<u32> {
        let table = align >= TABLE_ALIGN;
        let table_sample = table && HOT.with(|hot| self.tables.passed(&hot.tables_countdown));
        let weight = if bytes >= self.floor {
            WEIGHT_ONE
        } else if table {
            table_sample.then(|| self.tables.weight(bytes))?
        } else {
            heap_sample.then(|| self.heap.weight(bytes))?
        };
        Some(weight as u32)
    }

    /// Adds the time spent on one block in so many, which stands for the others, and now and
    /// then compares the sum with the budget: over it, the thread's floor doubles; well under
    /// it, the floor comes down again.
    #[inline]
    pub(crate) fn spent(&mut self, from: u64, recording: &Recording, settings: &Settings) {
        self.untimed += 1;
        if self.untimed >= TIMED_ONE_IN {
            self.time_spent(from, recording, settings);
        }
    }

    #[inline(never)]
    fn time_spent(&mut self, from: u64, recording: &Recording, settings: &Settings) {
        self.untimed = 0;
        let now = clock::ticks();
        let share = now
            .saturating_sub(from)
            .min(self.ticks_per_ms * TIMED_MOST_NS / 1_000_000)
            .saturating_mul(u64::from(TIMED_ONE_IN));
        self.counters.recorder_ticks = self.counters.recorder_ticks.wrapping_add(share);
        self.budget_checked += 1;
        if self.budget_checked < BUDGET_CHECK {
            return;
        }
        self.budget_checked = 0;
        self.publish_counters(recording);
        if settings.budget_ppm == 0 || settings.mode == Mode::Exact || self.watches > 0 {
            return;
        }
        let elapsed = now.saturating_sub(self.started);
        let allowed = (elapsed / 1_000_000).saturating_mul(settings.budget_ppm)
            + self.ticks_per_ms * (BUDGET_BURST_NS / 1_000_000);
        let spent = self.counters.recorder_ticks;
        if spent > allowed {
            self.floor = (self.floor * 2).clamp(settings.floor.max(1), FLOOR_MOST);
        } else if spent < allowed / 2 && self.floor > settings.floor {
            self.floor = (self.floor / 2).max(settings.floor);
        }
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
