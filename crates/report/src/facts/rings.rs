//! What the rings still have: events go in, the moment from which on none is missing comes out.

use super::blocks::Blocks;
use super::tick_scale::TickScale;
use mapgrow_format::layout::{event, header, site};
use mapgrow_format::reader::{BlockEvent, Recording};

/// From when on no resize is missing from the rings, and no event at all: never, where some blocks
/// are only counted.
pub(crate) fn complete_from(recording: &Recording, blocks: &Blocks) -> (u64, u64) {
    let lost = |head: usize, events: &[BlockEvent]| {
        let oldest = events.first().map_or(u64::MAX, |event| event.ticks);
        let all = recording.header(head) <= events.len() as u64;
        if all { 0 } else { oldest }
    };
    let resizes_from = lost(header::RESIZE_HEAD, &blocks.resizes);
    let untold = recording
        .sites()
        .any(|site| site.word(site::UNTOLD_ALLOCS) != 0);
    let all_from = if untold {
        u64::MAX
    } else {
        resizes_from.max(lost(header::BIRTH_HEAD, &blocks.births))
    };
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
            let oldest = kept.iter().map(|event| event.ticks).min();
            let newest = recording.header(header::NOW_TICKS);
            from = from.max(clock.moment(oldest.unwrap_or(newest))?);
        }
    }
    Some(from)
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
