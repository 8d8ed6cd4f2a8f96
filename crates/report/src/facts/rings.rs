//! What the rings still have: events go in, the moment from which on none is missing comes out.

use super::blocks::Blocks;
use super::tick_scale::TickScale;
use mapgrow_format::layout::{event, header};
use mapgrow_format::reader::{BlockEvent, Recording};

/// From when on no resize is missing from the rings, and no event at all (but those of blocks that are
/// only counted).
pub(crate) fn complete_from(recording: &Recording, blocks: &Blocks) -> (u64, u64) {
    let lost = |head: usize, events: &[BlockEvent]| {
        let oldest = oldest(events).unwrap_or(u64::MAX);
        let all = recording.header(head) <= events.len() as u64;
        if all { 0 } else { oldest }
    };
    let resizes_from = lost(header::RESIZE_HEAD, &blocks.resizes);
    let all_from = resizes_from.max(lost(header::BIRTH_HEAD, &blocks.births));
    (resizes_from, all_from)
}

/// From when on both rings have every event. The youngest of the moments at which one that lost
/// events begins.
pub(crate) fn complete_from_ns(
    recording: &Recording,
    blocks: &Blocks,
    clock: &TickScale,
) -> Option<u64> {
    let rings = [
        (header::RESIZE_HEAD, &blocks.resizes),
        (header::BIRTH_HEAD, &blocks.births),
    ];
    let mut from = clock.span(0)?;
    for (head, kept) in rings {
        if recording.header(head) > kept.len() as u64 {
            let oldest = oldest(kept);
            let newest = recording.header(header::NOW_TICKS);
            from = from.max(clock.moment(oldest.unwrap_or(newest))?);
        }
    }
    Some(from)
}

/// When the oldest event happened that is left in a ring. (One that was told late is there by chance:
/// what happened between then and its neighbours may be gone.)
fn oldest(events: &[BlockEvent]) -> Option<u64> {
    let in_time = |event: &&BlockEvent| event.flags & event::FLAG_TOLD_LATE == 0;
    events.iter().find(in_time).map(|event| event.ticks)
}

/// Whether a block was recorded with certainty.
pub(crate) fn counted(event: &&BlockEvent) -> bool {
    event.flags & event::FLAG_SAMPLED == 0
}

/// Whether a `realloc` had both blocks while it copied.
pub(crate) fn copies(event: &BlockEvent) -> bool {
    event.kind == event::KIND_REALLOC
        && event.flags & event::FLAG_IN_PLACE == 0
        && event.old_serial != 0
}
