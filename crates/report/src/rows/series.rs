//! Series of several sites as one, and what a series says of intervals in which nothing happened.

use crate::model::{Series, Site};

/// Live bytes in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// The largest number of live bytes within it.
    pub most: u64,
    /// What was live at its end. An upper bound where events were dropped.
    pub last: u64,
}

impl Series {
    /// All intervals. What lasts from one to the next is what the first ended with, not the
    /// largest that it had: old and new table of a resize are there together for its pause only.
    pub fn intervals(&self) -> impl Iterator<Item = Interval> {
        let mut before = Interval::default();
        // Whether `before.last` is known and not a bound.
        let mut known = true;
        self.max_live_bytes
            .iter()
            .enumerate()
            .map(move |(index, &seen)| {
                let last = self.last_live_bytes.get(index).copied().flatten();
                // At its beginning an interval still has what the one before ended with.
                let most = match seen {
                    Some(seen) if known => seen.max(before.last),
                    Some(seen) => seen,
                    None => before.last,
                };
                before = Interval {
                    most: most.max(last.unwrap_or(0)),
                    last: last.unwrap_or_else(|| seen.unwrap_or(before.last)),
                };
                known = last.is_some() || (known && seen.is_none());
                before
            })
    }
}

/// Live bytes of all sites together over time: an upper bound, since the sites need not have
/// reached their largest of an interval at the same moment. An interval in which nothing
/// happened to a site counts with what the one before ended with. `None` if of a site that held
/// anything no series is known, as after a merge: there is no bound then.
#[must_use]
pub fn together(sites: &[Site]) -> Option<Series> {
    let without = |site: &Site| site.series.is_none() && site.allocated_bytes > 0;
    if sites.iter().any(without) {
        return None;
    }
    let all = || sites.iter().filter_map(|site| site.series.as_ref());
    let interval_ns = all().map(|series| series.interval_ns).max()?.max(1);
    let length = all().map(|series| slots(series, interval_ns)).max()?;
    let mut sums = vec![Interval::default(); length];
    for series in all() {
        let mut own: Vec<Option<Interval>> = vec![None; length];
        for (index, interval) in series.intervals().enumerate() {
            let slot = &mut own[slot(series, index, interval_ns)];
            let most = slot.map_or(0, |slot| slot.most).max(interval.most);
            *slot = Some(Interval { most, ..interval });
        }
        let mut last = 0;
        for (sum, interval) in sums.iter_mut().zip(own) {
            let interval = interval.unwrap_or(Interval { most: last, last });
            last = interval.last;
            sum.most = sum.most.saturating_add(interval.most);
            sum.last = sum.last.saturating_add(interval.last);
        }
    }
    Some(Series {
        interval_ns,
        max_live_bytes: sums.iter().map(|sum| Some(sum.most)).collect(),
        last_live_bytes: sums.iter().map(|sum| Some(sum.last)).collect(),
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
