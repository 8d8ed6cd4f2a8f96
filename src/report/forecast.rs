//! When a map grows next, and what that takes.

use super::chains::Chain;
use super::clock::Clock;
use super::contents::Content;
use super::model::NextResize;
use crate::occupancy::capacity_of;

/// Resizes foretold.
const AHEAD: usize = 3;
/// A rate is taken from no shorter time than this.
const LEAST_NS: u64 = 1_000_000;

/// The next resizes of a map, if it goes on growing as it did since its table was allocated.
///
/// A table that was grown into had, at that moment, one entry more than the one before could
/// take; what was added since, over the time since, is the rate.
pub(super) fn upcoming(content: &Content, chain: &Chain, clock: &Clock) -> Vec<NextResize> {
    let occupancy = &content.occupancy;
    let (Some(buckets), Some(capacity), Some(left)) =
        (occupancy.buckets, occupancy.capacity, occupancy.growth_left)
    else {
        return Vec::new();
    };
    let entries = occupancy.entries.value;
    let rate = rate(content, chain, clock, capacity_of(buckets / 2));
    let mut at = entries.saturating_add(left).saturating_add(1);
    if at <= capacity / 2 {
        // Mostly tombstones: they are cleared in place, and it grows when it is really full.
        at = capacity.saturating_add(1);
    }
    let mut upcoming = Vec::new();
    let mut buckets = buckets;
    for _ in 0..AHEAD {
        let Some(next) = buckets.checked_mul(2) else {
            break;
        };
        // Padding hides the size of an element of a small table only: the next has none.
        let Some(needs_bytes) = occupancy
            .element_bytes
            .and_then(|element| content.block.bytes_with(next, element))
        else {
            break;
        };
        let eta = rate.map(|per_ns| (at.saturating_sub(entries)) as f64 / per_ns);
        upcoming.push(NextResize {
            at_entries: at,
            needs_bytes,
            eta_ns: eta.filter(|eta| *eta < 1e19).map(|eta| eta as u64),
        });
        buckets = next;
        at = capacity_of(next).saturating_add(1);
    }
    upcoming
}

/// Entries per nanosecond; `None` when there were not more of them than at the beginning, or it
/// began too recently.
fn rate(content: &Content, chain: &Chain, clock: &Clock, before: u64) -> Option<f64> {
    let block = &chain.block;
    let grown = chain.sizes().len() > 1;
    let first = if grown { before.saturating_add(1) } else { 0 };
    let added = content.occupancy.entries.value.checked_sub(first)?;
    let time = clock.span(content.ticks.checked_sub(block.ticks)?)?;
    (added > 0 && time >= LEAST_NS).then(|| added as f64 / time as f64)
}
