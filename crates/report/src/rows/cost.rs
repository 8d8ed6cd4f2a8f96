//! What a row holds, and what it costs.

use crate::figures::samples::MATTERS;
use crate::model::{Coverage, Site};

/// Live bytes of a site and their standard error: an estimate where samples stand for more than
/// was counted.
pub(crate) fn held(site: &Site) -> (u64, Option<u64>) {
    where_it_matters(site.live_bytes, site.live())
}

/// Bytes ever allocated, in the same way.
pub(crate) fn allocated(site: &Site) -> (u64, Option<u64>) {
    where_it_matters(site.allocated_bytes, site.allocated())
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

/// Sorts rows, most harmful first.
pub(crate) fn sort(rows: &mut [Site]) {
    rows.sort_by_key(|site| {
        let peak = site.peak_live_bytes.unwrap_or(0);
        let oldest = std::cmp::Reverse(site.id);
        std::cmp::Reverse((harm(site), peak, site.allocated_bytes, oldest))
    });
}

/// What a site costs, in bytes: what it holds, what of that it does not need once more, the
/// largest old and new table side by side, its longest stall and an eighth of all stalls together,
/// a nanosecond as a byte, since memory is moved at about that pace. A stall that is longer than
/// that had another cause, such as a thread that waited for its turn: it counts for what was moved.
pub(crate) fn harm(site: &Site) -> u64 {
    let overlap = site.overlap_peak_bytes.unwrap_or(0);
    let moved = site.copied_bytes.unwrap_or(0);
    let pauses = site.pause_ns.as_ref();
    let stall = |ns: Option<u64>, bytes: u64| ns.unwrap_or(0).min(bytes);
    let parts = [
        held(site).0,
        site.retained_bytes.unwrap_or(0),
        overlap,
        stall(pauses.and_then(|pauses| pauses.max), overlap),
        stall(pauses.and_then(|pauses| pauses.total), moved) / 8,
    ];
    parts.into_iter().fold(0, u64::saturating_add)
}
