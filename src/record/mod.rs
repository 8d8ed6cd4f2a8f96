//! What happens to a block that the fast path did not let pass.
//!
//! A new block is recorded after the backend gave it, a freed one is taken out before the backend
//! takes it back, and a reallocated one is taken out before and put in after: an address is in
//! the live table only while it belongs to the program, so no two threads ever claim one.

mod alone;
mod books;
pub(crate) mod driver;
mod follow;
mod outside;
mod realloc;
mod short;

pub(crate) use outside::forget;
#[cfg(feature = "preload")]
pub(crate) use outside::{recorded, recorded_since};
pub(crate) use realloc::Moved;

use crate::calibration;
use crate::config::{Defaults, Mode, Settings};
use crate::hook::FILTER;
use crate::life::{LIFE, Phase, State, existing_recording};
use crate::lineage::{Block, FreedBlock, Outcome};
use crate::recording::Recording;
use crate::stack::Registers;
use crate::start;
use crate::tables::edges::ReplaceFigures;
use crate::tables::live::LiveRecord;
use crate::thread::{self, Busy, Cold, HOT};
use crate::timeline::Event;
use books::{count_freed, in_filter, site_of, surely_large, take_out};
use follow::{Following, Freed, Leaving, certain, settle};
use mapgrow_format::layout::{WEIGHT_ONE, header, live, site};
use mapgrow_system::clock;

/// Slot of a thread that has none.
const NO_THREAD: u16 = 0;
/// Certain, in fixed point.
const CERTAIN: u32 = WEIGHT_ONE as u32;

/// Which entry point a block came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `alloc`, `malloc` and kin.
    Alloc,
    /// `alloc_zeroed`, `calloc`.
    Zeroed,
    /// `realloc`.
    Realloc,
}

impl Entry {
    /// Flags of a block from there: `live::FLAG_*`.
    fn flags(self) -> u8 {
        match self {
            Self::Zeroed => live::FLAG_ZEROED as u8,
            _ => 0,
        }
    }

    fn code(self) -> u8 {
        (match self {
            Self::Alloc => site::ENTRY_ALLOC,
            Self::Zeroed => site::ENTRY_ZEROED,
            Self::Realloc => site::ENTRY_REALLOC,
        }) as u8
    }
}

/// One call into the recorder. Nothing that is allocated while it lives is recorded.
pub(crate) struct Session {
    /// `None` while the entry frames are being learnt, inside another session.
    busy: Option<Busy>,
    state: Option<&'static State>,
}

/// A block that is about to be allocated and will be recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AllocationPlan {
    entry: Entry,
    bytes: usize,
    align_log2: u8,
    weight: u32,
    start: u64,
}

/// Debug builds end the process when the recorder itself allocates: in a release build that
/// would go unnoticed until it deadlocks in somebody's service. (A signal handler that allocates
/// while it interrupts the recorder ends here too; it has no business doing so.)
pub(crate) fn refuse_own_allocation() {
    if cfg!(debug_assertions) && thread::must_not_allocate() && !calibration::calibrating() {
        mapgrow_system::sys::complain(&[b"the recorder allocated from the heap that it records"]);
        std::process::abort();
    }
}

impl Session {
    /// Enters the recorder; `None` when the thread is in it already, or nothing is recorded.
    #[inline]
    pub(crate) fn begin(defaults: &Defaults, backend: u64) -> Option<Self> {
        let Some(busy) = Busy::enter() else {
            return calibration::calibrating().then_some(Self {
                busy: None,
                state: None,
            });
        };
        if thread::is_off_here() {
            return None;
        }
        let state = start::state(defaults, backend)?;
        if state.settings.mode == Mode::Off {
            thread::switch_off_here();
            return None;
        }
        Some(Self {
            busy: Some(busy),
            state: Some(state),
        })
    }

    /// The thread's pages and the recording, both created if need be. `None` while recording is
    /// paused or cannot be had.
    fn attach(&mut self) -> Option<(&'static State, &'static Recording, &mut Cold)> {
        let state = self.state?;
        let Some(recording) = start::recording(state) else {
            // Only when recording is off for good: while another thread makes the recording, this
            // one may be handed blocks that are in it.
            if matches!(LIFE.phase(), Phase::Off) {
                thread::switch_off_here();
            }
            return None;
        };
        // SAFETY: `busy` is this thread's and is borrowed for as long as the pages are.
        let cold = unsafe { thread::cold(self.busy.as_mut()?, recording, &state.settings) }?;
        Some((state, recording, cold))
    }

    /// Prepares all that recording will need once no system call may be made any more.
    #[cfg(feature = "preload")]
    pub(crate) fn prepare_for_sandbox(&mut self) {
        if let Some((_, recording, _)) = self.attach() {
            recording.prepare_for_sandbox();
        }
    }

    /// Bytes that the thread has allocated.
    #[cfg(feature = "preload")]
    pub(crate) fn allocated_so_far(&mut self) -> Option<u64> {
        let (_, _, cold) = self.attach()?;
        Some(cold.allocated_so_far())
    }

    /// Decides whether a block that is about to be allocated is recorded.
    #[inline]
    pub(crate) fn plan_allocation(
        &mut self,
        entry: Entry,
        bytes: usize,
        align: usize,
    ) -> Option<AllocationPlan> {
        let plan = |weight| AllocationPlan {
            entry,
            bytes,
            align_log2: align.trailing_zeros() as u8,
            weight,
            start: clock::ticks(),
        };
        let Some(state) = self.state else {
            return Some(plan(CERTAIN));
        };
        let settings = &state.settings;
        let (flush_due, floor) = HOT.with(|hot| {
            // Counts what the fast path has not: a large block in both countdowns, and a table that
            // the first countdown turned away in the countdown of tables.
            let too_large = bytes >= thread::LARGE;
            let table = align >= thread::TABLE_ALIGN;
            if table && (too_large || hot.allocate_countdown.get() < 0) {
                hot.tables_countdown
                    .set(hot.tables_countdown.get() - bytes as i64);
            }
            if too_large {
                hot.count_allocated(bytes);
            }
            thread::prime(hot, settings);
            (hot.flush_is_due(), hot.floor.get())
        });
        if bytes < floor && align < thread::TABLE_ALIGN && !flush_due {
            return None;
        }
        let (_, recording, cold) = self.attach()?;
        let heap_sample = flush_due && cold.flush(recording);
        // The samplers go on while recording is paused, or the first block afterwards would stand
        // for all that was not recorded.
        let weight = cold.weigh(bytes, align, heap_sample);
        if recording.paused() {
            return None;
        }
        match weight {
            Some(weight) => Some(plan(weight)),
            None => {
                if bytes >= settings.floor {
                    recording.count(header::BUDGET_SKIPPED, 1);
                    recording.count(header::BUDGET_SKIPPED_BYTES, bytes as u64);
                }
                None
            }
        }
    }

    /// Records a block that was allocated as planned.
    #[inline(never)]
    pub(crate) fn allocated(&mut self, plan: &AllocationPlan, address: usize) {
        if self.state.is_none() {
            // SAFETY: the registers are this function's, which has not returned.
            return unsafe { calibration::learn(&Registers::here()) };
        }
        let Some((state, recording, cold)) = self.attach() else {
            return;
        };
        let follows = cold.follows(plan.bytes, plan.align_log2, &state.settings);
        // SAFETY: the registers are this function's, which returns after the capture; `Busy` proves
        // that `stacks` is in use nowhere else on this thread.
        let mut capture = unsafe {
            cold.stacks
                .capture_for_site(&Registers::here(), &state.entry_frames)
        };
        cold.counters.captured(capture.outcome);
        let site = site_of(recording, plan.entry, &mut capture);
        let settings = &state.settings;
        if !follows {
            return alone::record(recording, settings, cold, plan, (site, address));
        }
        let stack = capture.stack();
        let following = Following {
            thread: cold.slot,
            serials: &mut cold.serial,
            pending: &mut cold.pending,
        };
        follow::begin(
            recording,
            settings,
            following,
            plan,
            (site, address, &stack),
        );
        cold.expect_frees(plan.bytes, &state.settings);
        cold.counters.recorded += 1;
        cold.spent(plan.start, recording, &state.settings);
    }

    /// Takes a block that is about to be freed out of the live table. If another block replaced it,
    /// the result has to go to [`finish_free`](Self::finish_free) once it is freed.
    #[inline(never)]
    pub(crate) fn freed(&mut self, address: usize, bytes: usize, align: usize) -> Option<Freed> {
        let Some(state) = self.state else {
            // SAFETY: the registers are this function's, which has not returned.
            unsafe { calibration::learn(&Registers::here()) };
            return None;
        };
        let settings = &state.settings;
        let (flush_due, by_filter) = HOT.with(|hot| {
            // Where sizes are not known none is counted: the fast path sees a size of 0.
            if settings.sizes_known && bytes >= thread::LARGE_FREE {
                hot.count_freed(bytes);
            }
            thread::prime(hot, settings);
            (hot.flush_is_due(), bytes < hot.free_floor.get())
        });
        // It left the fast path only because this thread's floor is lower, or because a recorded
        // block is near: nothing is recorded at this address.
        let align_log2 = align.trailing_zeros() as u8;
        if by_filter && !flush_due && !FILTER.may_be(address) {
            return None;
        }
        // Nothing can be recorded of this block if nothing is recorded at all.
        if existing_recording().is_none() {
            if surely_large(settings, bytes) {
                start::early_frees::count();
            }
            return None;
        }
        let Some((_, recording, cold)) = self.attach() else {
            // Another thread, for which there was memory, may have recorded this block.
            forget(address);
            return None;
        };
        if flush_due {
            cold.flush(recording);
        }
        let expected = cold.one_free_less(settings);
        #[cfg(feature = "preload")]
        if bytes >= thread::LARGE
            && crate::stack::python::takes_down()
            && recording.live.find(address as u64).is_some()
        {
            cold.flush(recording);
            crate::dumps::before_take_down(recording, state);
        }
        let start = clock::ticks();
        let block = (address, bytes, align_log2);
        let (old, since) = off_record(recording, settings, cold, block, expected, start)?;
        let freed = FreedBlock {
            address,
            bytes,
            align_log2,
            serial: old.as_ref().map_or(0, |old| old.serial),
            since,
            site: old.as_ref().map(|old| old.site),
            certain: old.as_ref().is_some_and(certain),
        };
        let outcome = what_became_of(&freed, expected, state, recording, cold);
        let leaving = Leaving {
            record: old.as_ref(),
            bytes: bytes as u64,
            now: start,
        };
        let freed = settle(recording, cold, &leaving, &outcome);
        if freed.is_none() {
            cold.spent(start, recording, settings);
        }
        freed
    }

    /// Completes the record of a resize once the old block is freed.
    pub(crate) fn finish_free(&mut self, freed: &Freed) {
        let Some((state, recording, cold)) = self.attach() else {
            return;
        };
        let end = clock::ticks();
        let pause = end.saturating_sub(freed.start);
        let figures = ReplaceFigures {
            pause_ticks: pause,
            end_ticks: end,
            ..freed.figures
        };
        recording.edges.count(freed.edge, &figures);
        let event = Event {
            ticks: end,
            pause_ticks: pause,
            ..freed.event
        };
        recording.resizes.publish(&event);
        cold.spent(end, recording, &state.settings);
    }
}

/// Takes off record what is known of a block that is freed, and says since when a table may have been
/// there that took its place. No record: it is none, but may have been replaced. `None`: nobody need know
/// that it was there.
#[inline(always)]
fn off_record(
    recording: &Recording,
    settings: &Settings,
    cold: &mut Cold,
    (address, bytes, align_log2): (usize, usize, u8),
    expected: bool,
    start: u64,
) -> Option<(Option<LiveRecord>, u64)> {
    if let Some(found) = alone::find(recording, settings, cold, (address, bytes, align_log2)) {
        let since = alone::since(&found, cold);
        let record = alone::take(&found, align_log2, cold.serial.next());
        count_freed(recording, &record, start);
        return Some((Some(record), since));
    }
    if let Some(slot) = recording.live.find(address as u64) {
        let record = take_out(recording, settings, slot, address, start)?;
        return Some((Some(record), record.ticks));
    }
    // It is here for its size, or as one of the expected frees, not only because a recorded block
    // shares its page.
    let replaced = (expected || !in_filter(settings, bytes))
        && cold.pending.could_replace(bytes, align_log2, expected);
    if !replaced && surely_large(settings, bytes) {
        recording.count(header::FREES_UNKNOWN, 1);
    }
    replaced.then_some((None, 0))
}

/// Whether another block took the place of one that is freed.
///
/// A stack is worth its cost only if it can tell something: whether a newer block took this one's
/// place, or whether an unwinding growth gives up the block it had just made. Where tables of this size
/// are only sampled, the block that took its place may not be recorded: then it is looked for only
/// among the frees expected after a recorded growth (`expect_frees`).
///
/// Inlined, for stacks begin at the function that it is part of.
#[inline(always)]
fn what_became_of(
    freed: &FreedBlock,
    expected: bool,
    state: &State,
    recording: &Recording,
    cold: &mut Cold,
) -> Outcome {
    let own = state.may_be_unwinding() && cold.pending.holds(freed.address);
    let wanted = freed.certain || expected || freed.site.is_none();
    let newer = wanted && cold.pending.any_since(freed.since, freed.align_log2);
    if !own && !newer {
        cold.pending.forget(freed.address);
        return Outcome::Dropped;
    }
    // SAFETY: the registers are those of the function in which this is inlined, which returns after
    // the capture; `Busy` proves that `stacks` is in use nowhere else on this thread.
    let capture = unsafe { cold.stacks.capture(&Registers::here(), &state.entry_frames) };
    cold.counters.captured(capture.outcome);
    let is_there = |block: &Block| recording.live.holds(block.slot, block.serial);
    cold.pending.resolve(freed, &capture.stack(), is_there)
}
