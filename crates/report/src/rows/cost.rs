//! A row goes in; what it holds, what it costs, and where it stands among others come out.

use crate::figures::samples::MATTERS;
use crate::model::{Coverage, Sampled, Site};
use std::cmp::Reverse;

/// Live bytes of a site and their standard error: an estimate where samples stand for more than
/// was counted.
pub(crate) fn held(site: &Site) -> (u64, Option<u64>) {
    held_of(site.live_bytes, site.sampled.as_ref())
}

/// The same from the bytes that were counted and what samples stand for.
pub(crate) fn held_of(counted: u64, sampled: Option<&Sampled>) -> (u64, Option<u64>) {
    where_it_matters(counted, sampled.map_or((counted, 0), Sampled::live))
}

/// Bytes ever allocated, in the same way.
pub(crate) fn allocated(site: &Site) -> (u64, Option<u64>) {
    where_it_matters(site.allocated_bytes, site.allocated())
}

/// The most that a site held at one moment, as far as it is known: at least so much, and at most.
///
/// Counted blocks have a peak, which may be a bound. Blocks that samples stand for are in none: where
/// they were no small part and are gone, some or all of them may have been live at that moment.
pub(crate) fn peak(site: &Site) -> Option<(u64, u64)> {
    let counted = site.peak_live_bytes?;
    let least = counted.saturating_sub(site.peak_live_error_bytes.unwrap_or(0));
    let (all, error) = site.allocated();
    let more = all.saturating_sub(site.allocated_bytes);
    let seen = more.saturating_sub(error) > counted / MATTERS;
    let most = counted.saturating_add(if seen { more } else { 0 });
    Some((least.max(site.live_bytes), most))
}

/// An estimate with its error where it is more than was counted, else the count.
fn where_it_matters(counted: u64, (estimate, error): (u64, u64)) -> (u64, Option<u64>) {
    match estimate > counted.saturating_add(counted / MATTERS) {
        true => (estimate, Some(error)),
        false => (counted, None),
    }
}

/// Whether samples are all that is known of a site.
pub(crate) fn only_samples(site: &Site) -> bool {
    site.sampled.is_some() && (site.coverage == Coverage::Sampled || site.allocs == 0)
}

/// A key that sorts rows.
type Order = Reverse<(u64, u64, u64, Reverse<u32>)>;

/// Puts blocks in order, most harmful first.
pub(crate) fn order(block: &Site) -> Order {
    order_by(harm(block), block)
}

/// Puts places in order, most harmful first. What maps keep for nothing says nothing of a place: it
/// is told of whole blocks.
pub(crate) fn order_of_places(place: &Site) -> Order {
    order_by(cost(place), place)
}

fn order_by(cost: u64, row: &Site) -> Order {
    let peak = row.peak_live_bytes.unwrap_or(0);
    Reverse((cost, peak, row.allocated_bytes, Reverse(row.id)))
}

/// What a site costs, in bytes, with what it does not need of what it holds once more.
pub(crate) fn harm(site: &Site) -> u64 {
    cost(site).saturating_add(site.retained_bytes.unwrap_or(0))
}

/// What a site costs, in bytes: what it holds, or half of what it once held, the largest old and new
/// table side by side, its longest stall and an eighth of all stalls together, a nanosecond as a
/// byte, since memory is moved at about that pace. A stall that is longer than
/// that had another cause, such as a thread that waited for its turn: it counts for what was moved.
fn cost(site: &Site) -> u64 {
    let overlap = site.overlap_peak_bytes.unwrap_or(0);
    let moved = site.copied_bytes.unwrap_or(0);
    let pauses = site.pause_ns.as_ref();
    let stall = |ns: Option<u64>, bytes: u64| ns.unwrap_or(0).min(bytes);
    let once = site.peak_live_bytes.unwrap_or(0);
    let once = once.saturating_sub(site.peak_live_error_bytes.unwrap_or(0));
    let parts = [
        held(site).0.max(once / 2),
        overlap,
        stall(pauses.and_then(|pauses| pauses.max), overlap),
        stall(pauses.and_then(|pauses| pauses.total), moved) / 8,
    ];
    parts.into_iter().fold(0, u64::saturating_add)
}
