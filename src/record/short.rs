//! The short way through the recorder, which in exact mode most blocks go: those that the fast path
//! counts. What they have in common with others (a flush that is due, recording paused, a watch, a
//! child of `fork`, a block that may have taken another's place) goes the long way.
//!
//! Boxes, strings and short vectors ([`Cold::follows`](crate::thread::Cold::follows)) are counted and no
//! more ([`alone`]). Nobody looks for what took the place of one, and it has no line on the timeline
//! unless it turns out to be what a container began with.

use super::books::{site_of, take_out};
use super::follow::{self, Following, Leaving, drop_map, untold};
use super::{AllocationPlan, CERTAIN, Entry, alone};
use crate::life::{State, existing_recording};
use crate::recording::Recording;
use crate::stack::{Outcome, Registers};
use crate::thread::{self, Busy, HOT};
use mapgrow_system::clock;

/// One call into the recorder for a block that goes the short way.
pub(crate) struct Short {
    busy: Busy,
    state: &'static State,
    recording: &'static Recording,
    start: u64,
}

impl Short {
    /// Enters the recorder for a block of this size, if nothing but the block is to be seen to. `bytes`
    /// is 0 for a block that is freed where its size is not said.
    #[inline(always)]
    pub(crate) fn begin(bytes: usize) -> Option<Self> {
        if !HOT.with(|hot| bytes < hot.short_below.get() && !hot.flush_is_due()) {
            return None;
        }
        let busy = Busy::enter()?;
        Some(Self {
            busy,
            state: State::get()?,
            recording: existing_recording()?,
            start: clock::ticks(),
        })
    }

    /// The same for a block that is about to be allocated.
    #[inline(always)]
    pub(crate) fn begin_allocation(bytes: usize) -> Option<Self> {
        let mut short = Self::begin(bytes)?;
        let goes = !short.recording.paused()
            && thread::attached(&mut short.busy, short.recording).is_some();
        goes.then_some(short)
    }

    /// Records the block, now that it was allocated.
    ///
    /// Inlined, for stacks begin at the function that it is part of.
    #[inline(always)]
    pub(crate) fn allocated(
        &mut self,
        entry: Entry,
        (bytes, align): (usize, usize),
        address: usize,
    ) {
        let (recording, settings) = (self.recording, &self.state.settings);
        let Some(cold) = thread::attached(&mut self.busy, recording) else {
            return;
        };
        let align_log2 = align.trailing_zeros() as u8;
        let follows = cold.follows(bytes, align_log2, settings);
        let plan = AllocationPlan {
            entry,
            bytes,
            align_log2,
            weight: CERTAIN,
            start: self.start,
        };
        let entry_frames = &self.state.entry_frames;
        // One place in the code for both, for stacks are known by where they begin.
        let registers = Registers::here();
        if !follows {
            // SAFETY: the registers are those of the function in which this is inlined, which returns
            // after the look; `Busy` proves that `stacks` is in use nowhere else on this thread.
            let known = unsafe { cold.stacks.known_site(&registers, entry_frames) };
            if let Some(site) = known {
                cold.counters.captured(Outcome::Hit);
                return alone::record(recording, settings, cold, &plan, (site, address));
            }
        }
        // SAFETY: as above, for the capture.
        let mut capture = unsafe { cold.stacks.capture_for_site(&registers, entry_frames) };
        cold.counters.captured(capture.outcome);
        let site = site_of(recording, entry, &mut capture);
        if !follows {
            return alone::record(recording, settings, cold, &plan, (site, address));
        }
        let stack = capture.stack();
        let following = Following {
            thread: cold.slot,
            serials: &mut cold.serial,
            pending: &mut cold.pending,
        };
        let block = (site, address, &stack);
        if !follow::begin(recording, settings, following, &plan, block) {
            return;
        }
        cold.counters.recorded += 1;
        cold.spent(self.start, recording, settings);
    }

    /// Takes a block that is about to be freed off record. False when it goes the long way, for which
    /// nothing was done yet. `bytes` as for [`begin`](Self::begin).
    #[inline(always)]
    pub(crate) fn freed(&mut self, (bytes, align): (usize, usize), address: usize) -> bool {
        let (state, recording) = (self.state, self.recording);
        let Some(cold) = thread::attached(&mut self.busy, recording) else {
            return false;
        };
        let settings = &state.settings;
        let align_log2 = align.trailing_zeros() as u8;
        let block = (address, bytes, align_log2);
        if bytes != 0
            && let Some(found) = alone::find(recording, settings, cold, block)
        {
            let since = alone::since(&found, cold);
            if cold.pending.any_since(since, align_log2) {
                return false;
            }
            // What is not large the fast path has counted.
            if bytes >= thread::LARGE_FREE {
                HOT.with(|hot| hot.count_freed(bytes));
            }
            alone::free(recording, &found, self.start);
            cold.spent(self.start, recording, settings);
            return true;
        }
        let Some(slot) = recording.live.find(address as u64) else {
            return false;
        };
        let Some(own) = recording.live.own(slot) else {
            return false;
        };
        let goes = own.bytes < thread::LARGE as u64
            && !cold.pending.any_since(own.ticks, own.align_log2)
            && !(state.may_be_unwinding() && cold.pending.holds(address));
        if !goes {
            return false;
        }
        let Some(record) = take_out(recording, settings, slot, address, self.start) else {
            return false;
        };
        // What is not large the fast path has counted.
        if bytes >= thread::LARGE_FREE {
            HOT.with(|hot| hot.count_freed(bytes));
        }
        let leaving = Leaving {
            record: Some(&record),
            bytes: record.bytes,
            now: self.start,
        };
        drop_map(recording, cold.slot, &leaving);
        if !untold(&record) {
            recording.history.release_chain(record.history);
            cold.pending.forget(address);
        }
        cold.spent(self.start, recording, settings);
        true
    }
}
