//! What follows from a free: the edge between two blocks, and the history that the new one
//! inherits.

use super::CERTAIN;
use super::books::sampled_flag;
use crate::lineage::Outcome;
use crate::recording::Recording;
use crate::recording::layout::{edge, event, header, live};
use crate::tables::edges::{EdgeKey, ReplaceFigures};
use crate::tables::history::Earlier;
use crate::tables::live::LiveRecord;
use crate::thread::Cold;
use crate::timeline::Event;

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

/// Weight of a replacement. Once a new table is recorded the free of the old one is looked for
/// whatever is known of that one, so a replacement is seen exactly as often as the new block is
/// recorded. `None`: not to be counted, as the new block is recorded by chance of an earlier one.
fn weight_of_replacement(new: &LiveRecord) -> Option<u32> {
    (u64::from(new.flags) & live::FLAG_FOLLOWED == 0).then_some(new.weight)
}

/// Makes an edge of what a free turned out to be, and hands the old block's history on. `None`
/// when the block was dropped, which is then on the timeline.
pub(super) fn settle(
    recording: &Recording,
    cold: &mut Cold,
    old_bytes: u64,
    old: Option<&LiveRecord>,
    outcome: &Outcome,
    now: u64,
) -> Option<Freed> {
    let (pending, join) = match outcome {
        Outcome::Replaced(pending, join) | Outcome::Abandoned(pending, join) => (pending, join),
        Outcome::Dropped => {
            let old = old?;
            recording.births.publish(&Event {
                ticks: now,
                old_serial: old.serial,
                old_bytes,
                subject: old.site,
                thread: cold.slot,
                kind: event::KIND_DROP as u8,
                flags: sampled_flag(old.weight),
                ..Event::default()
            });
            return None;
        }
    };
    let kind = outcome.kind()?;
    let abandoned = kind == edge::KIND_ABANDON;
    let mut new = match old {
        Some(old) if abandoned => *old,
        _ => recording.live.read(pending.slot, pending.address as u64)?,
    };
    if new.serial != pending.serial {
        return None;
    }
    let weight = if abandoned {
        Some(new.weight)
    } else {
        weight_of_replacement(&new)
    };
    let old_site = match old {
        Some(old) if certain(old) && weight == Some(CERTAIN) => old.site,
        _ => edge::NO_SITE,
    };
    let key = EdgeKey {
        new_site: pending.site,
        old_site,
        join: join.frame,
        kind: kind as u8,
        free_pc: join.free_pc,
    };
    let edge = cold
        .edges
        .find_or_create(&recording.edges, &key, join.free_callee_pc);
    let event = Event {
        ticks: now,
        old_serial: old.map_or(0, |old| old.serial),
        new_serial: new.serial,
        old_bytes,
        new_bytes: new.bytes,
        subject: edge,
        thread: cold.slot,
        kind: kind as u8,
        flags: sampled_flag(new.weight),
        pause_ticks: 0,
    };
    let figures = ReplaceFigures {
        old_bytes,
        new_bytes: new.bytes,
        copied: if abandoned {
            0
        } else {
            old_bytes.min(new.bytes)
        },
        overlap: if abandoned { 0 } else { old_bytes + new.bytes },
        in_place: false,
        pause_ticks: 0,
        end_ticks: now,
        weight: weight.unwrap_or(0),
    };
    if abandoned {
        recording.edges.count(edge, &figures);
        recording.births.publish(&event);
        return None;
    }
    continue_history(recording, &mut new, old, old_bytes, edge, now);
    recording
        .live
        .update(pending.slot, pending.address as u64, &new);
    Some(Freed {
        edge,
        figures,
        event,
        start: pending.start_ticks,
    })
}

/// Makes `new` the successor of `old` (`None`: a block that was not recorded).
pub(super) fn continue_history(
    recording: &Recording,
    new: &mut LiveRecord,
    old: Option<&LiveRecord>,
    old_bytes: u64,
    edge: u32,
    now: u64,
) {
    let mut previous = 0;
    match old {
        Some(old) => {
            previous = old.history;
            new.resizes = old.resizes.saturating_add(1);
            new.born_ticks = old.born_ticks;
            new.first_serial = old.first_serial;
            new.flags |= old.flags & (live::FLAG_LATE | live::FLAG_HISTORY_CUT) as u8;
            if new.resizes.is_multiple_of(HISTORY_MOST) {
                recording.history.release_chain(previous);
                previous = 0;
                new.flags |= live::FLAG_HISTORY_CUT as u8;
            }
        }
        None => {
            new.resizes = 1;
            new.flags |= live::FLAG_LATE as u8;
        }
    }
    let earlier = Earlier {
        previous,
        edge,
        bytes: old_bytes,
        serial: old.map_or(0, |old| old.serial),
        ticks: now,
    };
    match recording.history.push(&earlier) {
        Some(chain) => new.history = chain,
        None => {
            recording.count(header::HISTORY_DROPPED, 1);
            new.history = previous;
            new.flags |= live::FLAG_HISTORY_CUT as u8;
        }
    }
}
