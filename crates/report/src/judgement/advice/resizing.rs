//! Advice that comes from how tables were resized and dropped.

use super::{WORTHWHILE_BYTES, advice};
use crate::model::{Advice, AdviceKind, Saving, Site};
use crate::words::methods;
use crate::words::units::{bytes, count, time};
use mapgrow_containers::classify::catalogue::{self, Container};

/// A resize that stalls its thread for longer is worth dividing.
const STALL_NS: u64 = 50_000_000;
/// Moving entries to other places takes a few nanoseconds a byte at most.
const NS_PER_BYTE: u64 = 4;
/// A smaller table that stalls for so long was kept waiting by something else than its size.
const SPLIT_BYTES: u64 = 16 << 20;
/// More parts than this nobody wants.
const MOST_PARTS: u64 = 16;
/// Containers made and dropped, for one that is live: fewer are no habit.
const TURNOVER: u64 = 16;

/// Whether nothing says that it has keys by which it could be divided.
fn has_no_keys(family: Option<&str>) -> bool {
    let kind = family.and_then(catalogue::named).map(|of| of.container);
    kind == Some(Container::Vector) || matches!(family, Some("unknown_container" | "go_slice"))
}

/// One resize moves so much that its thread stalls: several maps move less each.
pub(super) fn split(site: &Site) -> Option<Advice> {
    if has_no_keys(site.family) {
        return None;
    }
    let overlap = site
        .overlap_peak_bytes
        .filter(|&overlap| overlap >= SPLIT_BYTES)?;
    // One that shrank was asked to.
    if site.grows == Some(0) {
        return None;
    }
    // A stall longer than moving so many bytes takes had another cause: another thread or process
    // ran.
    let longest = overlap.saturating_mul(NS_PER_BYTE);
    let worst = site.pause_ns.as_ref()?.max?;
    let stall = worst.min(longest);
    if stall <= STALL_NS {
        return None;
    }
    let stalled = match stall < worst {
        true => format!(
            "Of the worst stall, {}, moving the entries is {} at most",
            time(worst),
            time(stall)
        ),
        false => format!("The worst one now stalls for {}", time(worst)),
    };
    let parts = stall.div_ceil(STALL_NS).next_power_of_two().min(MOST_PARTS);
    let each = overlap / parts;
    let text = format!(
        "divide it into {parts} maps by a hash of the key: a resize then has {} of old and new \
         table at once instead of {}. {stalled}",
        bytes(each),
        bytes(overlap),
    );
    Some(Advice {
        saves: Saving {
            overlap_bytes: Some(overlap - each),
            ..Saving::default()
        },
        ..advice(AdviceKind::Split, text)
    })
}

/// Containers that are filled and dropped over and over, each growing from nothing.
pub(super) fn reuse(site: &Site) -> Option<Advice> {
    let made = site.maps_created?.saturating_add(site.maps_late?);
    let (grows, live) = (site.grows?, site.maps_live?);
    let peak = site.peak_live_bytes?;
    let largest = site.largest_table_bytes.filter(|&bytes| bytes > 0)?;
    // As many at a time as fit into the peak, where one of them may just have been growing.
    let at_once = peak
        .div_ceil(largest.saturating_mul(3) / 2)
        .max(live)
        .max(1);
    let habit = made / at_once >= TURNOVER && grows >= made;
    let start = site.smallest_table_bytes.filter(|&bytes| bytes > 0)?;
    let growing = u64::from((largest / start).checked_ilog2()?).saturating_mul(at_once);
    // All tables that one map of the largest size goes through.
    let kept = largest.saturating_mul(2).saturating_mul(at_once);
    let allocated = site.allocated_bytes.saturating_sub(kept);
    if !habit || allocated < WORTHWHILE_BYTES.saturating_mul(16) {
        return None;
    }
    let resizes = grows.saturating_sub(growing);
    let text = format!(
        "keep one and {} it instead of making a new one each time: {} were made, not more than {} \
         at once; it saves {} and {} of tables",
        methods::of(site.family).clear,
        count(made, "container"),
        at_once,
        count(resizes, "resize"),
        bytes(allocated),
    );
    Some(Advice {
        saves: Saving {
            resizes: Some(resizes),
            allocated_bytes: Some(allocated),
            copied_bytes: site
                .copied_bytes
                .map(|copied| copied.saturating_sub(largest.saturating_mul(at_once))),
            ..Saving::default()
        },
        ..advice(AdviceKind::Reuse, text)
    })
}

#[cfg(test)]
mod tests {
    use super::split;
    use crate::model::{Pauses, Site};

    #[test]
    fn only_what_has_keys_is_divided_by_them() {
        let of = |family: &'static str| Site {
            family: Some(family),
            overlap_peak_bytes: Some(96 << 20),
            pause_ns: Some(Pauses {
                count: 1,
                total: Some(120_000_000),
                p50: None,
                p50_error: None,
                p99: None,
                p99_error: None,
                max: Some(120_000_000),
            }),
            ..Site::default()
        };
        for family in ["hashbrown", "ska_flat", "go_map"] {
            assert!(split(&of(family)).is_some(), "{family}");
        }
        for family in [
            "raw_vec",
            "libstdcxx_vector",
            "unknown_container",
            "go_slice",
        ] {
            assert!(split(&of(family)).is_none(), "{family}");
        }
    }
}
