//! Blocks that are counted and no more: on record with their site, in a table of their own, without a
//! line on the timeline and without a look for what they replaced.

use super::books::insert;
use super::{AllocationPlan, CERTAIN, Entry, NO_THREAD};
use crate::config::Settings;
use crate::recording::Recording;
use crate::tables::live::LiveRecord;
use crate::tables::untold::Found;
use crate::thread::{self, Cold};
use mapgrow_format::layout::live;
use mapgrow_format::layout::packed::Untold;

/// Puts a block that was allocated as planned on record.
#[inline(always)]
pub(super) fn record(
    recording: &Recording,
    settings: &Settings,
    cold: &mut Cold,
    plan: &AllocationPlan,
    (site, address): (u32, usize),
) {
    let word = Untold {
        site,
        bytes: said(plan.bytes),
        thread: cold.slot,
        zeroed: plan.entry == Entry::Zeroed,
        elapsed: 0,
    };
    let bytes = plan.bytes as u64;
    // Its time is rounded: where a table that is older would look younger, it must not be.
    let untold = &recording.untold;
    let earliest = untold.earliest(plan.start);
    if !cold.pending.any_since(earliest, plan.align_log2)
        && untold.put(&mut cold.untold, address, word, plan.start)
    {
        let sites = &recording.sites;
        sites.allocated_alone(site, bytes, plan.align_log2, plan.start);
    } else {
        let serial = cold.serial.next();
        let record = record_of(&word, (bytes, plan.align_log2), plan.start, serial);
        if insert(recording, settings, address, &record, false).is_none() {
            return;
        }
    }
    cold.counters.recorded += 1;
    cold.spent(plan.start, recording, settings);
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
