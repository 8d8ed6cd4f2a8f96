//! Blocks that are counted and no more: on record with their site, in a table of their own, without a
//! line on the timeline and without a look for what they replaced.

use super::books::insert;
use super::{CERTAIN, Entry, NO_THREAD};
use crate::config::Settings;
use crate::recording::Recording;
use crate::tables::live::LiveRecord;
use crate::tables::untold::Found;
use crate::thread::{self, Cold};
use mapgrow_format::layout::live;
use mapgrow_format::layout::packed::Untold;

/// A block that was allocated and is counted and no more.
pub(super) struct Alone {
    pub(super) entry: Entry,
    pub(super) bytes: usize,
    pub(super) align_log2: u8,
    pub(super) site: u32,
    pub(super) start: u64,
}

impl Alone {
    /// Puts the block on record.
    #[inline(always)]
    pub(super) fn record(
        &self,
        recording: &Recording,
        settings: &Settings,
        cold: &mut Cold,
        address: usize,
    ) {
        let word = Untold {
            site: self.site,
            bytes: said(self.bytes),
            thread: cold.slot,
            zeroed: self.entry == Entry::Zeroed,
            elapsed: 0,
        };
        let bytes = self.bytes as u64;
        // Its time is rounded: where a table that is older would look younger, it must not be.
        let untold = &recording.untold;
        let earliest = untold.earliest(self.start);
        if !cold.pending.any_since(earliest, self.align_log2)
            && untold.put(&mut cold.untold, address, word, self.start)
        {
            let sites = &recording.sites;
            sites.allocated_alone(self.site, bytes, self.align_log2, self.start);
        } else {
            let serial = cold.serial.next();
            let record = record_of(&word, (bytes, self.align_log2), self.start, serial);
            if insert(recording, settings, address, &record, false).is_none() {
                return;
            }
        }
        cold.counters.recorded += 1;
        cold.spent(self.start, recording, settings);
    }
}

/// The block at an address, if it is one of these. To be asked by its owner.
#[inline(always)]
pub(super) fn find<'a>(
    recording: &'a Recording,
    settings: &Settings,
    cold: &mut Cold,
    (address, bytes, align_log2): (usize, usize, u8),
) -> Option<Found<'a>> {
    if !thread::counts_alone(bytes, align_log2, settings) {
        return None;
    }
    recording.untold.find(&mut cold.untold, address)
}

/// A time since which no table may have taken the block's place that did not. The thread that allocated
/// it knew of none that is older and would look younger; of another's block only the latest time is
/// certain.
#[inline(always)]
pub(super) fn since(found: &Found<'_>, cold: &Cold) -> u64 {
    let own = found.block.thread == cold.slot && cold.slot != NO_THREAD;
    if own { found.ticks } else { found.latest }
}

/// Takes a block off record and counts it as freed.
#[inline(always)]
pub(super) fn free(recording: &Recording, found: &Found<'_>, now: u64) {
    found.remove();
    let bytes = u64::from(found.block.bytes);
    recording.sites.freed_alone(found.block.site, bytes, now);
}

/// Takes a block off record without counting it as freed: something goes on from it.
pub(super) fn take(found: &Found<'_>, align_log2: u8, serial: u64) -> LiveRecord {
    found.remove();
    let bytes = u64::from(found.block.bytes);
    record_of(&found.block, (bytes, align_log2), found.ticks, serial)
}

/// Puts back what was taken. False when it has to go into the live table.
pub(super) fn put_back(
    recording: &Recording,
    cold: &mut Cold,
    address: usize,
    record: &LiveRecord,
) -> bool {
    let word = Untold {
        site: record.site,
        bytes: said(record.bytes as usize),
        thread: record.thread,
        zeroed: u64::from(record.flags) & live::FLAG_ZEROED != 0,
        elapsed: 0,
    };
    let untold = &recording.untold;
    untold.put(&mut cold.untold, address, word, record.ticks)
}

/// A size as the table has it. What is larger than a word can say does not fit, however large it is.
#[inline(always)]
fn said(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// The record of a block in the live table.
fn record_of(word: &Untold, (bytes, align_log2): (u64, u8), ticks: u64, serial: u64) -> LiveRecord {
    let zeroed = if word.zeroed { live::FLAG_ZEROED } else { 0 };
    LiveRecord {
        site: word.site,
        bytes,
        ticks,
        serial,
        history: 0,
        thread: word.thread,
        align_log2,
        flags: (live::FLAG_UNTOLD | zeroed) as u8,
        weight: CERTAIN,
        resizes: 0,
        born_ticks: ticks,
        first_serial: serial,
    }
}
