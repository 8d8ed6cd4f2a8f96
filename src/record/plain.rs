//! Blocks that are counted and no more: in exact mode the boxes, strings and short vectors, which are
//! most of what a program asks for ([`Cold::follows`](crate::thread::Cold::follows)).
//!
//! Theirs is a short way through the recorder. Each is in the live table and counted at its site
//! as any other; nobody looks for what took its place, and it has no line on the timeline unless it
//! turns out to be what a container began with. What a block of this kind has in common with others
//! (a flush that is due, recording paused, a child of `fork`, a larger block that may have taken its
//! place) goes the long way.

use super::books::{count_freed, site_of};
use super::follow::{Leaving, drop_map, untold};
use super::{CERTAIN, Entry};
use crate::life::{State, existing_recording};
use crate::recording::Recording;
use crate::stack::Registers;
use crate::tables::live::LiveRecord;
use crate::tables::sites::BlockFigures;
use crate::thread::{self, Busy, HOT, TABLE_ALIGN};
use mapgrow_format::layout::{header, live};
use mapgrow_system::clock;

/// One call into the recorder for a block that is only counted.
pub(crate) struct Plain {
    busy: Busy,
    state: &'static State,
    recording: &'static Recording,
    bytes: usize,
    align_log2: u8,
    start: u64,
}

impl Plain {
    /// Enters the recorder for a block of this size and alignment, if it is only counted and nothing
    /// else is to be done meanwhile.
    #[inline(always)]
    pub(crate) fn begin(bytes: usize, align: usize) -> Option<Self> {
        let plain = HOT.with(|hot| bytes < hot.counted_below.get() && !hot.flush_is_due());
        if !plain || align >= TABLE_ALIGN {
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
        let mut plain = Self::begin(bytes, align)?;
        let goes = !plain.recording.paused()
            && thread::attached(&mut plain.busy, plain.recording).is_some();
        goes.then_some(plain)
    }

    /// Counts the block, now that it was allocated.
    ///
    /// Inlined, for stacks begin at the function that it is part of.
    #[inline(always)]
    pub(crate) fn allocated(&mut self, entry: Entry, address: usize) {
        let recording = self.recording;
        let Some(cold) = thread::attached(&mut self.busy, recording) else {
            return;
        };
        // SAFETY: the registers are those of the function in which this is inlined, which returns
        // after the capture; `Busy` proves that `stacks` is in use nowhere else on this thread.
        let mut capture = unsafe {
            cold.stacks
                .capture_for_site(&Registers::here(), &self.state.entry_frames)
        };
        cold.counters.captured(&capture);
        let site = site_of(recording, entry, &mut capture);
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
            flags: (live::FLAG_UNTOLD | zeroed) as u8,
            weight: CERTAIN,
            resizes: 0,
            born_ticks: self.start,
            first_serial: serial,
        };
        if recording.live.insert(address as u64, &record).is_none() {
            recording.count(header::TABLES_UNTRACKED, 1);
            return;
        }
        let figures = BlockFigures {
            bytes: record.bytes,
            weight: CERTAIN,
            align_log2: self.align_log2,
            late: false,
            untold: true,
        };
        recording.sites.allocated(site, &figures, self.start);
        cold.counters.recorded += 1;
        cold.spent(self.start, recording, &self.state.settings);
    }

    /// Counts a block as freed that is about to be. False when it goes the long way.
    #[inline(always)]
    pub(crate) fn freed(&mut self, address: usize) -> bool {
        let recording = self.recording;
        let Some(cold) = thread::attached(&mut self.busy, recording) else {
            return false;
        };
        let Some(slot) = recording.live.find(address as u64) else {
            return false;
        };
        let since = recording.live.ticks(slot);
        if cold.pending.any_since(since, self.align_log2) {
            return false;
        }
        let Some(record) = recording.live.remove(slot, address as u64) else {
            return true;
        };
        let untold = untold(&record);
        count_freed(recording, &record, self.start, untold);
        if !untold {
            let leaving = Leaving {
                record: Some(&record),
                bytes: record.bytes,
                now: self.start,
            };
            drop_map(recording, cold.slot, &leaving);
        }
        if record.history != 0 {
            recording.history.release_chain(record.history);
        }
        cold.spent(self.start, recording, &self.state.settings);
        true
    }
}
