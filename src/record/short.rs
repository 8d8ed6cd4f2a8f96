//! The short way through the recorder, which in exact mode most blocks go: those below the default
//! floor. What they have in common with others (a flush that is due, recording paused, a watch, a
//! child of `fork`, a block that may have taken another's place) goes the long way.
//!
//! Boxes, strings and short vectors ([`Cold::follows`](crate::thread::Cold::follows)) are counted and no
//! more. Each is in the live table and counted at its site as any other; nobody looks for what took
//! its place, and it has no line on the timeline unless it turns out to be what a container began
//! with.

use super::books::{count_freed, site_of};
use super::follow::{Leaving, drop_map, tell_birth, untold};
use super::{CERTAIN, Entry};
use crate::life::{State, existing_recording};
use crate::lineage::Block;
use crate::recording::Recording;
use crate::stack::Registers;
use crate::tables::live::LiveRecord;
use crate::tables::sites::BlockFigures;
use crate::thread::{self, Busy, HOT};
use mapgrow_format::layout::{header, live};
use mapgrow_system::clock;

/// One call into the recorder for a block that goes the short way.
pub(crate) struct Short {
    busy: Busy,
    state: &'static State,
    recording: &'static Recording,
    bytes: usize,
    align_log2: u8,
    start: u64,
}

impl Short {
    /// Enters the recorder for a block of this size and alignment, if nothing but the block is to be
    /// seen to.
    #[inline(always)]
    pub(crate) fn begin(bytes: usize, align: usize) -> Option<Self> {
        if !HOT.with(|hot| bytes < hot.short_below.get() && !hot.flush_is_due()) {
            return None;
        }
        let busy = Busy::enter()?;
        Some(Self {
            busy,
            state: State::get()?,
            recording: existing_recording()?,
            bytes,
            align_log2: align.trailing_zeros() as u8,
            start: clock::ticks(),
        })
    }

    /// The same for a block that is about to be allocated.
    #[inline(always)]
    pub(crate) fn begin_allocation(bytes: usize, align: usize) -> Option<Self> {
        let mut short = Self::begin(bytes, align)?;
        let goes = !short.recording.paused()
            && thread::attached(&mut short.busy, short.recording).is_some();
        goes.then_some(short)
    }

    /// Records the block, now that it was allocated.
    ///
    /// Inlined, for stacks begin at the function that it is part of.
    #[inline(always)]
    pub(crate) fn allocated(&mut self, entry: Entry, address: usize) {
        let recording = self.recording;
        let Some(cold) = thread::attached(&mut self.busy, recording) else {
            return;
        };
        let follows = cold.follows(self.bytes, self.align_log2, &self.state.settings);
        // SAFETY: the registers are those of the function in which this is inlined, which returns
        // after the capture; `Busy` proves that `stacks` is in use nowhere else on this thread.
        let mut capture = unsafe {
            cold.stacks
                .capture_for_site(&Registers::here(), &self.state.entry_frames)
        };
        cold.counters.captured(&capture);
        let site = site_of(recording, entry, &mut capture);
        let stack = capture.stack();
        let serial = cold.serial.next();
        let zeroed = if entry == Entry::Zeroed {
            live::FLAG_ZEROED
        } else {
            0
        };
        let record = LiveRecord {
            site,
            bytes: self.bytes as u64,
            ticks: self.start,
            serial,
            history: 0,
            thread: cold.slot,
            align_log2: self.align_log2,
            flags: (zeroed | if follows { 0 } else { live::FLAG_UNTOLD }) as u8,
            weight: CERTAIN,
            resizes: 0,
            born_ticks: self.start,
            first_serial: serial,
        };
        let Some(slot) = recording.live.insert(address as u64, &record) else {
            recording.count(header::TABLES_UNTRACKED, 1);
            return;
        };
        let figures = BlockFigures {
            bytes: record.bytes,
            weight: CERTAIN,
            align_log2: self.align_log2,
            late: false,
            untold: !follows,
        };
        recording.sites.allocated(site, &figures, self.start);
        if follows {
            let block = Block {
                address,
                slot,
                bytes: self.bytes,
                align_log2: self.align_log2,
                site,
                serial,
                start_ticks: self.start,
                weight: CERTAIN,
            };
            cold.pending.push(&block, &stack);
            tell_birth(recording, cold.slot, &record);
        }
        cold.counters.recorded += 1;
        cold.spent(self.start, recording, &self.state.settings);
    }

    /// Takes a block that is about to be freed off record. False when it goes the long way, for which
    /// nothing was done yet.
    #[inline(always)]
    pub(crate) fn freed(&mut self, address: usize) -> bool {
        let (state, recording) = (self.state, self.recording);
        let Some(cold) = thread::attached(&mut self.busy, recording) else {
            return false;
        };
        let Some(slot) = recording.live.find(address as u64) else {
            return false;
        };
        let since = recording.live.ticks(slot);
        if cold.pending.any_since(since, self.align_log2) || state.may_be_unwinding() {
            return false;
        }
        let Some(record) = recording.live.remove(slot, address as u64) else {
            return false;
        };
        if self.bytes >= thread::LARGE_FREE {
            HOT.with(|hot| hot.count_freed(self.bytes));
        }
        let untold = untold(&record);
        count_freed(recording, &record, self.start, untold);
        if !untold {
            let leaving = Leaving {
                record: Some(&record),
                bytes: record.bytes,
                now: self.start,
            };
            drop_map(recording, cold.slot, &leaving);
            recording.history.release_chain(record.history);
            cold.pending.forget(address);
        }
        cold.spent(self.start, recording, &state.settings);
        true
    }
}
