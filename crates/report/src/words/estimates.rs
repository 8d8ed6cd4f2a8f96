//! Figures that samples have a part in go in, phrases about them come out; and the row of bars.

use super::methods::{is_deque, parts};
use super::units::{bytes, bytes_within, count, time};
use crate::model::{Report, Series, Site, Totals};
use crate::rows::cost::only_samples;
use crate::rows::summary::Summary;

/// An estimate, with the digits that it deserves.
pub(crate) fn rounded(estimate: u64) -> u64 {
    let digits = estimate.checked_ilog10().unwrap_or(0);
    let step = 10u64.pow(digits.saturating_sub(1));
    estimate.saturating_add(step / 2) / step * step
}

/// An estimate and its error, with the digits that the error leaves worth telling: its first two.
pub(crate) fn with_error(estimate: u64, error: u64) -> (u64, u64) {
    let digits = error.checked_ilog10().unwrap_or(0);
    let step = 10u64.pow(digits.saturating_sub(1));
    let to_step = |figure: u64| figure.saturating_add(step / 2) / step * step;
    (to_step(estimate), to_step(error))
}

/// The peak of all containers together, as far as it is known: `at most 31 MiB`, `31 MiB or more`.
#[must_use]
pub fn peak_of_all(totals: &Totals) -> String {
    match (totals.peak_at_least, totals.peak_error_bytes) {
        (true, _) if peak_at_least(totals) == 0 => "not known".to_owned(),
        (true, _) => format!("{} or more", bytes(peak_at_least(totals))),
        (false, 0) => bytes(totals.peak_bytes),
        (false, _) => format!("at most {}", bytes(totals.peak_bytes)),
    }
}

/// What the peak of all containers together was at least: an old and a new table were side by side.
pub(crate) fn peak_at_least(totals: &Totals) -> u64 {
    let counted = totals.peak_bytes.saturating_sub(totals.peak_error_bytes);
    counted
        .max(totals.overlap_peak_bytes)
        .max(totals.est_live_bytes)
}

/// Live bytes of all containers, in words: `about 101 MiB` when samples have a part in it.
#[must_use]
pub fn live_of_all(report: &Report) -> String {
    let totals = &report.totals;
    if totals.est_live_bytes > totals.live_bytes {
        format!("about {}", bytes(totals.est_live_bytes))
    } else {
        bytes(totals.live_bytes)
    }
}

/// Live bytes of a site, in words: `about 4.0 MiB` when samples have a good part in it.
#[must_use]
pub fn live(site: &Site) -> String {
    let live = Summary::of(site).live_bytes;
    match live.error {
        Some(_) => format!("about {}", bytes(live.value)),
        None => bytes(live.value),
    }
}

/// What samples add.
pub(crate) fn samples(site: &Site) -> Option<String> {
    let sampled = site.sampled.as_ref()?;
    let of = count(sampled.samples, "sample");
    let range = |value: f64, error: f64| {
        format!(
            "{} +- {}",
            bytes_within(value.max(0.0) as u64, error.max(0.0) as u64),
            bytes(error.max(0.0) as u64)
        )
    };
    if only_samples(site) {
        let (_, part) = parts(site.family);
        let blocks = if site.maps_live.is_some() {
            "table"
        } else {
            part
        };
        let live = match sampled.est_maps_live.max(0.0) as u64 {
            0 => "none live".to_owned(),
            live => format!(
                "about {} live, {}",
                count(rounded(live), blocks),
                range(sampled.est_live_bytes, sampled.est_live_bytes_error),
            ),
        };
        return Some(format!(
            "{live}; {} ever allocated (estimated from {of})",
            range(
                sampled.est_allocated_bytes,
                sampled.est_allocated_bytes_error
            ),
        ));
    }
    let small = (sampled.est_allocs - site.allocs as f64).max(0.0) as u64;
    if small == 0 {
        let nodes = sampled.est_live_bytes - site.live_bytes as f64;
        if nodes < 1.0 {
            return None;
        }
        let nodes = range(nodes, sampled.est_live_bytes_error);
        return Some(format!(
            "of it {nodes} in {} (from {of})",
            match is_deque(site.family) {
                true => "blocks, each for several entries",
                false => "nodes, one for each entry",
            }
        ));
    }
    let small_bytes = sampled.est_allocated_bytes - site.allocated_bytes as f64;
    Some(format!(
        "and about {} not counted one by one, {} ever allocated (from {of})",
        count(rounded(small), "table"),
        range(small_bytes, sampled.est_allocated_bytes_error),
    ))
}

/// Live bytes over time as a row of bars, when there is something to see.
pub(crate) fn bars(series: &Series, room: usize) -> Option<String> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let seen = &series.max_live_bytes;
    let most = seen
        .iter()
        .copied()
        .flatten()
        .max()
        .filter(|&most| most > 0)?;
    if seen.iter().flatten().count() < 4 || seen.len() > room {
        return None;
    }
    let bars: String = series
        .intervals()
        .map(|interval| {
            let height = (u128::from(interval.most) * 7 / u128::from(most)) as usize;
            if interval.most == 0 {
                '.'
            } else {
                BARS[height.min(7)]
            }
        })
        .collect();
    let length = time(series.interval_ns.saturating_mul(seen.len() as u64));
    let bound = if series.exact { "" } else { "at most " };
    let scale = format!(" {bound}{} (ends {length})", bytes(most));
    Some(if bars.chars().count() + scale.len() <= room {
        bars + &scale
    } else {
        bars
    })
}
