//! What the fast path touches of a thread, and the token that says the recorder works for it.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};

use super::{Cold, FLUSH, HOT, LARGE, LARGE_FREE, free_floor};
use crate::config::Settings;

/// Countdowns of the fast path, and what the slow one needs before it has the rest.
///
/// What was counted since the last flush is always the chunk less what is left of the countdown.
#[repr(C)]
pub(crate) struct Hot {
    /// Bytes until the fast path is left to flush the totals or to sample.
    pub(crate) allocate_countdown: Cell<i64>,
    /// Bytes until the fast path of frees is left to flush the totals.
    pub(crate) free_countdown: Cell<i64>,
    /// What `allocate_countdown` began at; [`SPENT`]: every allocation leaves the fast path.
    allocate_chunk: Cell<i64>,
    /// What `free_countdown` began at; [`SPENT`]: every free leaves the fast path.
    free_chunk: Cell<i64>,
    /// Bytes of table-shaped blocks until the fast path is left to sample one.
    pub(crate) tables_countdown: Cell<i64>,
    /// Allocated bytes from which on a flush is due.
    allocate_due: Cell<i64>,
    /// Blocks of at least this size are recorded, as long as the budget lasts.
    pub(crate) floor: Cell<usize>,
    /// Frees of at least this size are looked up whatever the filter says.
    pub(crate) free_floor: Cell<usize>,
    /// Blocks below this size go the short way through the recorder; 0 while the thread has no part
    /// in a recording.
    pub(crate) short_below: Cell<usize>,
    phase: Cell<Phase>,
    /// Whether the recorder works for this thread: what is allocated meanwhile, in a signal
    /// handler say, is not recorded.
    busy: Cell<Activity>,
    pub(super) cold: Cell<*mut Cold>,
    /// What a calibration works with, while this thread is at one: see `calibration::lesson`.
    pub(crate) lesson: Cell<*mut ()>,
}

/// A countdown that has run out before it began.
pub(super) const SPENT: i64 = -1;
/// Words at the beginning of [`Hot`] that are [`SPENT`] at first: two countdowns and their chunks.
#[allow(dead_code)] // Only where the variable is defined in assembly.
pub(super) const SPENT_WORDS: usize = 4;
const _: () = assert!(core::mem::offset_of!(Hot, tables_countdown) == SPENT_WORDS * 8);

/// How far a thread has come.
///
/// ```text
/// new --prime--> counting --switch_off_here--> off
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// It has not allocated yet.
    New = 0,
    /// Its blocks are counted.
    Counting,
    /// None of its blocks will ever be recorded.
    Off,
}

impl Hot {
    /// What the fast path finds in a thread that has not allocated yet.
    #[allow(dead_code)] // Where the variable is defined in assembly.
    pub(super) const fn new() -> Self {
        Self {
            allocate_countdown: Cell::new(SPENT),
            free_countdown: Cell::new(SPENT),
            tables_countdown: Cell::new(0),
            allocate_chunk: Cell::new(SPENT),
            free_chunk: Cell::new(SPENT),
            allocate_due: Cell::new(0),
            floor: Cell::new(0),
            free_floor: Cell::new(0),
            short_below: Cell::new(0),
            phase: Cell::new(Phase::New),
            busy: Cell::new(Activity::None),
            cold: Cell::new(ptr::null_mut()),
            lesson: Cell::new(ptr::null_mut()),
        }
    }

    /// Bytes allocated since the last flush.
    #[inline]
    pub(crate) fn allocated(&self) -> i64 {
        self.allocate_chunk.get() - self.allocate_countdown.get()
    }

    /// Bytes freed since the last flush.
    #[inline]
    pub(crate) fn freed(&self) -> i64 {
        self.free_chunk.get() - self.free_countdown.get()
    }

    /// Counts bytes that the fast path did not.
    #[inline]
    pub(crate) fn count_allocated(&self, bytes: usize) {
        let left = self.allocate_countdown.get();
        self.allocate_countdown.set(left.wrapping_sub(bytes as i64));
    }

    /// Counts bytes that the fast path did not.
    #[inline]
    pub(crate) fn count_freed(&self, bytes: usize) {
        let left = self.free_countdown.get();
        self.free_countdown.set(left.wrapping_sub(bytes as i64));
    }

    /// Whether the totals are to be flushed, or a block of the heap to be sampled.
    #[inline]
    pub(crate) fn flush_is_due(&self) -> bool {
        self.allocated() > self.allocate_due.get() || self.freed() >= FLUSH
    }

    /// Begins to count anew, until `due` bytes are allocated.
    pub(super) fn begin_chunk(&self, due: i64) {
        self.allocate_due.set(due);
        self.allocate_countdown.set(self.allocate_chunk.get());
        self.free_countdown.set(self.free_chunk.get());
        self.arm_allocations();
    }

    /// Sets the countdown of allocations by what is to leave the fast path; what was counted stays.
    fn arm_allocations(&self) {
        let allocated = self.allocated();
        // A floor below the fast path's: each block is looked at.
        let chunk = match self.floor.get() < LARGE {
            true => SPENT,
            false => self.allocate_due.get(),
        };
        self.allocate_chunk.set(chunk);
        self.allocate_countdown.set(chunk - allocated);
    }

    /// The same of frees.
    fn arm_frees(&self) {
        let freed = self.freed();
        let chunk = match self.free_floor.get() < LARGE_FREE {
            true => SPENT,
            false => FLUSH,
        };
        self.free_chunk.set(chunk);
        self.free_countdown.set(chunk - freed);
    }

    /// Has blocks of at least this size recorded.
    pub(super) fn set_floor(&self, floor: usize) {
        self.floor.set(floor);
        self.arm_allocations();
    }

    /// Has frees of at least this size looked up.
    pub(super) fn set_free_floor(&self, floor: usize) {
        self.free_floor.set(floor);
        self.arm_frees();
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
///
/// The work stays between its beginning and its end for a signal handler, too, that looks whether
/// the thread is busy.
pub(crate) struct Busy(PhantomData<*mut ()>);

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
            compiler_fence(Ordering::SeqCst);
            Some(Self(PhantomData))
        })
    }
}

impl Drop for Busy {
    #[inline]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        HOT.with(|hot| hot.busy.set(Activity::None));
    }
}

/// Whether the calling thread is where it must not allocate.
pub(crate) fn must_not_allocate() -> bool {
    HOT.with(|hot| hot.busy.get() == Activity::Recording)
}

/// Does what the program asked its allocator for: that may allocate in its turn.
#[inline(always)]
pub(crate) fn forwarding<R>(act: impl FnOnce() -> R) -> R {
    if !cfg!(debug_assertions) {
        return act();
    }
    let before = HOT.with(|hot| hot.busy.replace(Activity::Reporting));
    let result = act();
    HOT.with(|hot| hot.busy.set(before));
    result
}

/// Makes the calling thread leave this recorder alone for good: but for large blocks nothing it
/// allocates leaves the fast path.
pub(crate) fn switch_off_here() {
    HOT.with(|hot| {
        hot.phase.set(Phase::Off);
        hot.short_below.set(0);
        for countdown in [
            &hot.allocate_countdown,
            &hot.free_countdown,
            &hot.tables_countdown,
        ] {
            countdown.set(i64::MAX);
        }
    });
}

/// Whether the calling thread leaves the recorder alone for good.
#[inline]
pub(crate) fn is_off_here() -> bool {
    HOT.with(|hot| hot.phase.get() == Phase::Off)
}

/// Sets the thresholds of a thread that allocates for the first time.
#[inline]
pub(crate) fn prime(hot: &Hot, settings: &Settings) {
    if hot.phase.get() == Phase::New {
        prime_anew(hot, settings);
    }
}

#[cold]
fn prime_anew(hot: &Hot, settings: &Settings) {
    hot.phase.set(Phase::Counting);
    hot.floor.set(settings.floor);
    hot.free_floor.set(free_floor(settings));
    hot.allocate_due.set(FLUSH);
    hot.arm_allocations();
    hot.arm_frees();
}
