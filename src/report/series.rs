//! Series of several sites as one.

use super::model::{Series, Site};

/// Live bytes of all sites together over time: an upper bound, since the sites need not have
/// reached their largest of an interval at the same moment. An interval in which nothing
/// happened to a site counts with what the one before had.
#[must_use]
pub fn together(sites: &[Site]) -> Option<Series> {
    let all = || sites.iter().filter_map(|site| site.series.as_ref());
    let interval_ns = all().map(|series| series.interval_ns).max()?.max(1);
    let length = all().map(|series| slots(series, interval_ns)).max()?;
    let mut sums = vec![0u64; length];
    for series in all() {
        let mut own: Vec<Option<u64>> = vec![None; length];
        for (index, live) in series.max_live_bytes.iter().enumerate() {
            let slot = &mut own[slot(series, index, interval_ns)];
            *slot = (*slot).max(*live);
        }
        let mut last = 0;
        for (sum, live) in sums.iter_mut().zip(own) {
            last = live.unwrap_or(last);
            *sum = sum.saturating_add(last);
        }
    }
    Some(Series {
        interval_ns,
        max_live_bytes: sums.into_iter().map(Some).collect(),
        exact: false,
    })
}

/// Which of the long intervals one of a series falls into.
fn slot(series: &Series, index: usize, interval_ns: u64) -> usize {
    let begin = u128::from(series.interval_ns) * index as u128;
    (begin / u128::from(interval_ns)) as usize
}

fn slots(series: &Series, interval_ns: u64) -> usize {
    match series.max_live_bytes.len() {
        0 => 0,
        length => slot(series, length - 1, interval_ns) + 1,
    }
}
