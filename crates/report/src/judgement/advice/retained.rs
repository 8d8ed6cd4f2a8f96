//! Advice that comes from what is in live maps.

use super::{PILED_ENTRIES, WORTHWHILE_BYTES, advice};
use crate::figures::holdings::{Held, Holdings};
use crate::model::{Advice, AdviceKind, Saving, Site};
use crate::rows::cost::held;
use crate::words::held::entries;
use crate::words::methods;
use crate::words::units::{bytes, count, estimated_bytes, thousands, time};
use mapgrow_containers::occupancy::HashVerdict;

/// Only a map of at least so many bytes is told to stop growing, unless it will not fit.
const BOUND_BYTES: u64 = 64 << 20;
/// Tombstones are worth a word from one slot in so many.
const TOMBSTONE_SHARE: u64 = 8;
/// Buckets of a control group that a look-up goes through at once.
const GROUP: f64 = 16.0;

/// Maps that keep at least half of their memory for nothing.
pub(super) fn shrink(site: &Site, capacity: Option<u64>) -> Option<Advice> {
    let retained = site.retained_bytes?;
    let call = methods::of(site.family).shrink?;
    if retained < WORTHWHILE_BYTES || retained < held(site).0 / 2 {
        return None;
    }
    let room = capacity.filter(|_| site.capacity.is_some());
    let room = room.map_or_else(
        || format!("in {}", bytes(held(site).0)),
        |room| format!("in tables for {}", thousands(room)),
    );
    let text = format!(
        "{call} would give back {}: {} left {room}",
        estimated_bytes(retained, site.retained_error_bytes),
        entries(site.entries?, site.entries_error),
    );
    Some(Advice {
        saves: Saving {
            live_bytes: Some(retained),
            ..Saving::default()
        },
        ..advice(AdviceKind::Shrink, text)
    })
}

/// A map of another container than hashbrown's of which hardly any room is in use. What a smaller
/// table takes nobody knows of these to the byte.
pub(super) fn shrink_foreign(site: &Site, holdings: &Holdings) -> Option<Advice> {
    let call = methods::of(site.family).shrink?;
    let emptied = holdings.emptied()?;
    if emptied.bytes < WORTHWHILE_BYTES {
        return None;
    }
    let text = format!(
        "{call} would give back most of {}: {} left in a table for {}",
        bytes(emptied.bytes),
        entries(emptied.entries, None),
        thousands(emptied.room),
    );
    Some(advice(AdviceKind::Shrink, text))
}

/// A map that is about to double because of tombstones, where its entries would fit as it is.
pub(super) fn rebuild(site: &Site, holdings: &Holdings) -> Option<Advice> {
    let held = holdings.most_tombstones()?;
    let occupancy = &held.occupancy;
    let (capacity, left) = (occupancy.capacity?, occupancy.inserts_before_growth()?);
    let (there, tombstones) = (occupancy.entries.value, occupancy.tombstones.value);
    let next = held.forecast.upcoming.first()?.needs_bytes;
    let saved = next.saturating_sub(held.bytes);
    // With fewer entries the tombstones are cleared in place, with hardly any it is no matter.
    let pays = tombstones >= capacity / TOMBSTONE_SHARE
        && there > capacity / 2
        && occupancy.retained_bytes == Some(0)
        && saved >= WORTHWHILE_BYTES;
    let text = format!(
        "entries come and go, and {} fill its table: after about {} more it doubles to {}. Rebuilt \
         ({}) it takes {} more as it is",
        count(tombstones, "tombstone"),
        entries(left, None),
        bytes(next),
        methods::of(site.family).rebuild,
        entries(capacity.saturating_sub(there), None),
    );
    pays.then(|| Advice {
        saves: Saving {
            resizes: Some(1),
            live_bytes: Some(saved),
            copied_bytes: Some(held.bytes),
            ..Saving::default()
        },
        ..advice(AdviceKind::Rebuild, text)
    })
}

/// A map that only ever grew, and goes on.
pub(super) fn bound(site: &Site, holdings: &Holdings) -> Option<Advice> {
    let held = holdings.growing()?;
    let next = held.forecast.upcoming.first()?;
    let rate = thousands(held.forecast.entries_per_s?.round() as u64);
    let no_room = held
        .forecast
        .upcoming
        .iter()
        .any(|next| next.fits == Some(false));
    if !held.forecast.steady || site.shrinks != Some(0) || held.bytes < BOUND_BYTES && !no_room {
        return None;
    }
    // No time is foretold for a process that has ended: unless it ran out of room, its maps were as
    // large as they had to be.
    let (when, until) = match next.eta_ns {
        Some(eta) => ("now", format!(" in about {}", time(eta))),
        None if no_room => ("at the end", String::new()),
        None => return None,
    };
    let text = format!(
        "set it a limit: it only ever grew, {when} by {rate} entries/s. Held at its {} it saves \
         the growth to {}{until}",
        entries(held.occupancy.entries.value, None),
        bytes(next.needs_bytes),
    );
    Some(Advice {
        saves: Saving {
            resizes: Some(1),
            live_bytes: Some(next.needs_bytes.saturating_sub(held.bytes)),
            copied_bytes: Some(held.bytes),
            overlap_bytes: Some(next.needs_bytes.saturating_add(held.bytes)),
            ..Saving::default()
        },
        ..advice(AdviceKind::Bound, text)
    })
}

/// A hash that makes look-ups slow. One that makes entries pile up makes them the slower the more
/// there are, and a map with it never gets large: it counts from a thousand entries on.
pub(super) fn hasher(site: &Site, holdings: &Holdings) -> Option<Advice> {
    let held = holdings.worst_hash()?;
    let quality = held.occupancy.quality?;
    let there = held.occupancy.entries.value;
    let piled = quality.verdict == HashVerdict::Clustered;
    if held.bytes < WORTHWHILE_BYTES && !(piled && there >= PILED_ENTRIES) {
        return None;
    }
    let comparisons = comparisons(held);
    let cost = match comparisons {
        Some((now, good)) => format!(
            ": a look-up of an absent key compares about {now:.1} keys, {good:.1} with a good one"
        ),
        None if piled => {
            let in_the_way = quality.packed * there as f64;
            let compared = in_the_way * (quality.tag_repeats / 128.0).min(1.0);
            format!(
                ": the entries pile up, and one insert or look-up may go through {} slots and \
                 compare {}",
                thousands(in_the_way as u64),
                count(compared as u64, "key")
            )
        }
        None => String::new(),
    };
    let text = format!(
        "look at the hash of the keys: it is {}{cost}. Take {}",
        quality.verdict.name(),
        methods::of(site.family).hash,
    );
    Some(Advice {
        saves: Saving {
            comparisons: comparisons.map(|(now, good)| now - good),
            ..Saving::default()
        },
        ..advice(AdviceKind::Hasher, text)
    })
}

/// Keys that a look-up of an absent key compares: now, and with a good hash. Known only where the
/// places of the entries are as good as random and the tags alone are bad.
fn comparisons(held: &Held) -> Option<(f64, f64)> {
    let (quality, buckets) = (held.occupancy.quality?, held.occupancy.buckets?);
    if quality.verdict != HashVerdict::ConstantTopBits {
        return None;
    }
    let taken = held
        .occupancy
        .entries
        .value
        .saturating_add(held.occupancy.tombstones.value);
    let load = taken as f64 / buckets as f64;
    // It goes on to the next group while it meets no empty bucket.
    let groups = 1.0 / (1.0 - load.powi(GROUP as i32)).max(0.01);
    let there = held.occupancy.entries.value as f64 / buckets as f64;
    let full = GROUP * there * groups;
    Some((full * quality.tag_repeats / 128.0, full / 128.0))
}
