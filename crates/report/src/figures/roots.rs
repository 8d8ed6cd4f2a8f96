//! The peaks and series of single roots go in, which the recorder kept; those of sites together come
//! out, as bounds.

use crate::facts::analysis::Analysis;
use crate::facts::tick_scale::TickScale;
use crate::model::Series;
use mapgrow_format::layout::{self, site};
use mapgrow_format::reader::{Recording, Site};
use std::collections::BTreeMap;

/// A peak: an upper bound, how far below it the true one may lie, and when it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Peak {
    pub bytes: u64,
    pub error: u64,
    pub ticks: Option<u64>,
}

impl Peak {
    /// Never less than what was live side by side. A `realloc` that copies has both blocks, which the
    /// recorder counts one after the other: how much of that was in the peak is within the error.
    pub fn at_least(self, overlap: u64) -> Self {
        if overlap <= self.bytes {
            return self;
        }
        Self {
            bytes: overlap,
            error: overlap - (self.bytes - self.error),
            ticks: None,
        }
    }

    /// Never more than all recorded blocks together had.
    pub fn at_most(self, all: u64) -> Self {
        let lower = (self.bytes - self.error).min(all);
        let bytes = self.bytes.min(all);
        Self {
            bytes,
            error: bytes - lower,
            ..self
        }
    }
}

/// Combines the peaks of roots that are each exact but were reached at unknown moments of each
/// other: together at most their sum, at least the largest and what is live now.
fn combine(peaks: &[(u64, u64)], outside: bool, live_now: u64) -> Peak {
    if let (&[(bytes, ticks)], false) = (peaks, outside) {
        return Peak {
            bytes,
            error: 0,
            ticks: Some(ticks),
        };
    }
    let upper = peaks
        .iter()
        .fold(0u64, |sum, &(peak, _)| sum.saturating_add(peak));
    let single = peaks.iter().map(|&(peak, _)| peak).max().unwrap_or(0);
    // A root that others share may have had its peak without any block of this group.
    let lower = if outside {
        live_now
    } else {
        single.max(live_now)
    };
    Peak {
        bytes: upper,
        error: upper.saturating_sub(lower),
        ticks: None,
    }
}

/// Which sites keep the live figures of which others.
pub(crate) struct Roots {
    /// For each root: every site that has blocks under it.
    users: BTreeMap<u32, Vec<u32>>,
}

impl Roots {
    pub fn of(recording: &Recording, analysis: &Analysis) -> Self {
        let mut users: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for site in recording.sites() {
            if analysis.fact(site.id).is_some_and(|fact| fact.used) {
                users.entry(site.root()).or_default().push(site.id);
            }
        }
        Self { users }
    }

    /// The roots of some sites, and whether other sites have blocks under them too.
    fn under(&self, recording: &Recording, members: &[u32]) -> (Vec<u32>, bool) {
        let mut roots: Vec<u32> = members
            .iter()
            .filter_map(|&id| Some(recording.site(id)?.root()))
            .collect();
        roots.sort_unstable();
        roots.dedup();
        let users = roots
            .iter()
            .filter_map(|root| self.users.get(root))
            .flatten();
        let outside = users
            .into_iter()
            .any(|user| members.binary_search(user).is_err());
        (roots, outside)
    }

    /// The peak of sites together; `members` ascending.
    pub fn peak(&self, recording: &Recording, members: &[u32], live_now: u64) -> Peak {
        let (roots, outside) = self.under(recording, members);
        let roots = roots.iter().filter_map(|&root| recording.site(root));
        let peaks: Vec<_> = roots
            .map(|root| (root.word(site::PEAK_BYTES), root.word(site::PEAK_TICKS)))
            .filter(|&(peak, _)| peak > 0)
            .collect();
        combine(&peaks, outside, live_now)
    }

    /// Live bytes over time of sites together; `members` ascending.
    pub fn series(
        &self,
        recording: &Recording,
        members: &[u32],
        clock: &TickScale,
    ) -> Option<Series> {
        let (roots, outside) = self.under(recording, members);
        let roots: Vec<_> = roots
            .iter()
            .filter_map(|&root| recording.site(root))
            .collect();
        let shift = roots
            .iter()
            .map(Site::series_shift)
            .max()
            .filter(|&shift| shift < 64)?;
        let mut sums = vec![0_u64; layout::site::SERIES_WORDS];
        let mut happened = vec![false; layout::site::SERIES_WORDS];
        for root in &roots {
            let finer = shift - root.series_shift();
            let mut coarse = vec![None; layout::site::SERIES_WORDS];
            for (bucket, live) in root.series().enumerate() {
                let slot: &mut Option<u64> = &mut coarse[bucket >> finer.min(63)];
                *slot = live.max(*slot);
            }
            // Where nothing happened under one root, it still had what it had before.
            let mut last = 0;
            for ((sum, seen), live) in sums.iter_mut().zip(&mut happened).zip(coarse) {
                last = live.unwrap_or(last);
                *sum = last.saturating_add(*sum);
                *seen |= live.is_some();
            }
        }
        let used = happened.iter().rposition(|&seen| seen)?;
        let buckets = sums.into_iter().zip(happened);
        let buckets = buckets.map(|(sum, seen)| seen.then_some(sum));
        let buckets = buckets.take(used + 1).collect();
        Some(Series {
            interval_ns: clock.span(1 << shift)?,
            max_live_bytes: buckets,
            last_live_bytes: Vec::new(),
            exact: roots.len() == 1 && !outside,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_of_several_roots_are_bounded_from_both_sides() {
        let exact = Peak {
            bytes: 100,
            error: 0,
            ticks: Some(7),
        };
        assert_eq!(combine(&[(100, 7)], false, 10), exact);
        let bound = combine(&[(100, 7), (30, 9)], false, 10);
        assert_eq!((bound.bytes, bound.error, bound.ticks), (130, 30, None));
        let bound = combine(&[(100, 7), (30, 9)], false, 120);
        assert_eq!((bound.bytes, bound.error), (130, 10));
        let shared = combine(&[(100, 7)], true, 40);
        assert_eq!((shared.bytes, shared.error), (100, 60));
        assert_eq!(combine(&[], false, 0), Peak::default());
    }
}
