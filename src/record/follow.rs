//! What follows from a free: the edge between two blocks, and the history that the new one
//! inherits.

use super::books::{insert, sampled_flag};
use super::{AllocationPlan, CERTAIN};
use crate::config::Settings;
use crate::lineage::{Block, Join, Outcome, PendingStack};
use crate::recording::Recording;
use crate::stack::Stack;
use crate::tables::edges::{EdgeKey, ReplaceFigures};
use crate::tables::history::Earlier;
use crate::tables::live::{Heritage, LiveRecord};
use crate::thread::{Cold, Serials};
use crate::timeline::Event;
use mapgrow_format::layout::{edge, event, header, live};

/// Tables of one map whose sizes are kept; an older history is cut off.
const HISTORY_MOST: u32 = 64;

/// A block that was replaced by another and is about to be freed.
pub(crate) struct Freed {
    pub(super) edge: u32,
    pub(super) figures: ReplaceFigures,
    pub(super) event: Event,
    pub(super) start: u64,
}

/// Whether the block was recorded with certainty.
pub(super) fn certain(record: &LiveRecord) -> bool {
    record.weight == CERTAIN && u64::from(record.flags) & live::FLAG_FOLLOWED == 0
}

/// What a thread follows blocks with.
pub(super) struct Following<'a> {
    pub(super) thread: u16,
    pub(super) serials: &'a mut Serials,
    pub(super) pending: &'a mut PendingStack,
}

/// Puts a block that was allocated as planned on record, to be followed. False when there was no room.
#[inline(always)]
pub(super) fn begin(
    recording: &Recording,
    settings: &Settings,
    following: Following<'_>,
    plan: &AllocationPlan,
    (site, address, stack): (u32, usize, &Stack<'_>),
) -> bool {
    let serial = following.serials.next();
    let record = LiveRecord {
        site,
        bytes: plan.bytes as u64,
        ticks: plan.start,
        serial,
        history: 0,
        thread: following.thread,
        align_log2: plan.align_log2,
        flags: plan.entry.flags(),
        weight: plan.weight,
        resizes: 0,
        born_ticks: plan.start,
        first_serial: serial,
    };
    let Some(slot) = insert(recording, settings, address, &record, false) else {
        return false;
    };
    let block = Block {
        address,
        slot,
        bytes: plan.bytes,
        align_log2: plan.align_log2,
        site,
        serial,
        start_ticks: plan.start,
        weight: plan.weight,
    };
    following.pending.push(&block, stack);
    tell_birth(recording, following.thread, &record, 0);
    true
}

/// A block that is taken off record because it is freed.
pub(super) struct Leaving<'a> {
    /// What was recorded of it, if it was.
    pub(super) record: Option<&'a LiveRecord>,
    /// Its size.
    pub(super) bytes: u64,
    /// When it is freed.
    pub(super) now: u64,
}

impl Leaving<'_> {
    fn serial(&self) -> u64 {
        self.record.map_or(0, |record| record.serial)
    }

    fn history(&self) -> u32 {
        self.record.map_or(0, |record| record.history)
    }
}

/// Makes an edge of what a free turned out to be, and hands the old block's history on, or gives
/// it back. `None` unless another block took its place; all is then on the timeline.
#[inline]
pub(super) fn settle(
    recording: &Recording,
    cold: &mut Cold,
    old: &Leaving<'_>,
    outcome: &Outcome,
) -> Option<Freed> {
    match outcome {
        Outcome::Replaced(new, join) => {
            let freed = replace(recording, cold, old, new, join);
            if freed.is_some() {
                return freed;
            }
            // The new block went meanwhile, with all that is known of it.
            drop_map(recording, cold.slot, old);
        }
        Outcome::Abandoned(own, join) => {
            abandon(recording, cold, old, own, join);
            recording.history.release_chain(old.history());
        }
        Outcome::Dropped => {
            drop_map(recording, cold.slot, old);
            recording.history.release_chain(old.history());
        }
    }
    None
}

/// Puts the beginning of a map on the timeline. `flags` beside those of the record: `event::FLAG_*`.
pub(super) fn tell_birth(recording: &Recording, thread: u16, record: &LiveRecord, flags: u64) {
    recording.births.publish(&Event {
        ticks: record.ticks,
        new_serial: record.serial,
        new_bytes: record.bytes,
        subject: record.site,
        thread,
        kind: event::KIND_CREATE as u8,
        flags: sampled_flag(record.weight) | flags as u8,
        ..Event::default()
    });
}

/// Tells of a block's beginning that was left untold, now that another took its place.
pub(super) fn tell_late(recording: &Recording, record: Option<&LiveRecord>) {
    if let Some(record) = record.filter(|record| untold(record)) {
        tell_birth(recording, record.thread, record, event::FLAG_TOLD_LATE);
        recording.sites.is_told(record.site);
    }
}

/// Whether a block's beginning is not on the timeline.
#[inline]
pub(super) fn untold(record: &LiveRecord) -> bool {
    u64::from(record.flags) & live::FLAG_UNTOLD != 0
}

/// Puts the end of a map on the timeline, if its beginning is there.
#[inline]
pub(super) fn drop_map(recording: &Recording, thread: u16, old: &Leaving<'_>) {
    let Some(record) = old.record else { return };
    if untold(record) {
        return recording.sites.went_untold(record.site);
    }
    recording.births.publish(&Event {
        ticks: old.now,
        old_serial: record.serial,
        old_bytes: old.bytes,
        subject: record.site,
        thread,
        kind: event::KIND_DROP as u8,
        flags: sampled_flag(record.weight),
        ..Event::default()
    });
}

/// A growth that was given up: its new table is freed.
#[inline(never)]
fn abandon(recording: &Recording, cold: &mut Cold, old: &Leaving<'_>, own: &Block, join: &Join) {
    let certain = old.record.filter(|record| certain(record));
    let edge = edge_of(recording, cold, certain, own, join, edge::KIND_ABANDON);
    let figures = ReplaceFigures {
        old_bytes: old.bytes,
        new_bytes: own.bytes as u64,
        copied: 0,
        overlap: 0,
        in_place: false,
        pause_ticks: 0,
        end_ticks: old.now,
        weight: own.weight,
    };
    recording.edges.count(edge, &figures);
    let event = event_of(cold, old, own, edge, edge::KIND_ABANDON);
    recording.births.publish(&event);
}

/// Makes `new` the successor. `None` when it is no longer there: the old block's history is then
/// given back.
///
/// Once a new table is recorded the free of the old one is looked for whatever is known of that
/// one, so a replacement is seen exactly as often as the new block is recorded, and weighs as much.
#[inline(never)]
fn replace(
    recording: &Recording,
    cold: &mut Cold,
    old: &Leaving<'_>,
    new: &Block,
    join: &Join,
) -> Option<Freed> {
    let both_certain = old
        .record
        .filter(|record| certain(record) && new.weight == CERTAIN);
    let edge = edge_of(recording, cold, both_certain, new, join, edge::KIND_REPLACE);
    let heritage = heritage_of(recording, old, edge);
    // Last of all: from here on the history belongs to whoever owns the new block.
    if !recording.live.inherit(new.slot, new.serial, &heritage) {
        recording.history.release_chain(heritage.history);
        return None;
    }
    tell_late(recording, old.record);
    let new_bytes = new.bytes as u64;
    let figures = ReplaceFigures {
        old_bytes: old.bytes,
        new_bytes,
        copied: old.bytes.min(new_bytes),
        overlap: old.bytes + new_bytes,
        in_place: false,
        pause_ticks: 0,
        end_ticks: old.now,
        weight: new.weight,
    };
    Some(Freed {
        edge,
        figures,
        event: event_of(cold, old, new, edge, edge::KIND_REPLACE),
        start: new.start_ticks,
    })
}

/// The edge to `new` from the block that `old` is the record of, if it is to be counted there.
fn edge_of(
    recording: &Recording,
    cold: &mut Cold,
    old: Option<&LiveRecord>,
    new: &Block,
    join: &Join,
    kind: u64,
) -> u32 {
    let key = EdgeKey {
        new_site: new.site,
        old_site: old.map_or(edge::NO_SITE, |old| old.site),
        join: join.frame,
        kind: kind as u8,
        free_pc: join.free_pc,
    };
    cold.edges
        .find_or_create(&recording.edges, &key, join.free_callee_pc)
}

fn event_of(cold: &Cold, old: &Leaving<'_>, new: &Block, edge: u32, kind: u64) -> Event {
    Event {
        ticks: old.now,
        old_serial: old.serial(),
        new_serial: new.serial,
        old_bytes: old.bytes,
        new_bytes: new.bytes as u64,
        subject: edge,
        thread: cold.slot,
        kind: kind as u8,
        flags: sampled_flag(new.weight),
        pause_ticks: 0,
    }
}

/// What the successor of `old` by `edge` takes over. The history in it belongs to the caller.
pub(super) fn heritage_of(recording: &Recording, old: &Leaving<'_>, edge: u32) -> Heritage {
    let mut previous = old.history();
    let mut heritage = Heritage {
        history: 0,
        resizes: 1,
        flags: live::FLAG_LATE as u8,
        origin: None,
    };
    if let Some(record) = old.record {
        heritage.resizes = record.resizes.saturating_add(1);
        heritage.flags = record.flags & (live::FLAG_LATE | live::FLAG_HISTORY_CUT) as u8;
        heritage.origin = Some((record.born_ticks, record.first_serial));
        if heritage.resizes.is_multiple_of(HISTORY_MOST) {
            recording.history.release_chain(previous);
            previous = 0;
            heritage.flags |= live::FLAG_HISTORY_CUT as u8;
        }
    }
    let earlier = Earlier {
        previous,
        edge,
        bytes: old.bytes,
        serial: old.serial(),
        ticks: old.now,
    };
    match recording.history.push(&earlier) {
        Some(chain) => heritage.history = chain,
        None => {
            recording.count(header::HISTORY_DROPPED, 1);
            heritage.history = previous;
            heritage.flags |= live::FLAG_HISTORY_CUT as u8;
        }
    }
    heritage
}
