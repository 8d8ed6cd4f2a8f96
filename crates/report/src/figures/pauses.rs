//! How long resizes took: histograms of edges go in, sums and quantiles come out.

use crate::facts::tick_scale::TickScale;
use crate::model::Pauses;
use mapgrow_format::layout::{PAUSE_BUCKETS, edge, pause_bucket_bounds};
use mapgrow_format::reader::Edge;

/// Pauses of several edges, in ticks.
#[derive(Debug, Clone)]
pub(crate) struct PauseSum {
    counts: Vec<u64>,
    pub total: u64,
    pub max: u64,
}

impl Default for PauseSum {
    fn default() -> Self {
        Self {
            counts: vec![0; PAUSE_BUCKETS],
            total: 0,
            max: 0,
        }
    }
}

impl PauseSum {
    pub fn add(&mut self, edge: &Edge<'_>) {
        for (sum, count) in self.counts.iter_mut().zip(edge.pauses()) {
            *sum = sum.saturating_add(u64::from(count));
        }
        self.total = self.total.saturating_add(edge.word(edge::PAUSE_TOTAL));
        self.max = self.max.max(edge.word(edge::PAUSE_MAX));
    }

    fn count(&self) -> u64 {
        self.counts.iter().copied().fold(0, u64::saturating_add)
    }

    /// The pause of rank `ceil(share * count)`, and how far off it may be, in ticks.
    fn quantile(&self, share: f64) -> Option<(u64, u64)> {
        let count = self.count();
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count.max(1));
        if rank == count {
            return Some((self.max, 0));
        }
        let mut seen = 0u64;
        let bucket = self.counts.iter().position(|&in_bucket| {
            seen = seen.saturating_add(in_bucket);
            seen >= rank
        })?;
        let (low, high) = pause_bucket_bounds(bucket);
        let high = high.saturating_sub(1).min(self.max).max(low);
        let middle = low + (high - low) / 2;
        Some((middle, high - middle))
    }

    /// `None` when nothing was timed.
    pub fn model(&self, clock: &TickScale) -> Option<Pauses> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let span = |quantile: Option<(u64, u64)>| {
            let (value, error) = quantile?;
            Some((clock.span(value)?, clock.span(error)?))
        };
        let (p50, p99) = (span(self.quantile(0.5)), span(self.quantile(0.99)));
        Some(Pauses {
            count,
            total: clock.span(self.total),
            p50: p50.map(|(value, _)| value),
            p50_error: p50.map(|(_, error)| error),
            p99: p99.map(|(value, _)| value),
            p99_error: p99.map(|(_, error)| error),
            max: clock.span(self.max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapgrow_format::layout::pause_bucket;

    #[test]
    fn quantiles_lie_within_their_error_of_the_true_ones() {
        // A long-tailed set of pauses, the same every time.
        let mut pauses: Vec<u64> = (1..=1000u64).map(|i| 50 + i * i * i / 7).collect();
        let mut sum = PauseSum::default();
        for &pause in &pauses {
            sum.counts[pause_bucket(pause)] += 1;
            sum.max = sum.max.max(pause);
        }
        pauses.sort_unstable();
        for (share, rank) in [(0.5, 500), (0.99, 990), (1.0, 1000)] {
            let (value, error) = sum.quantile(share).expect("pauses");
            assert!(
                value.abs_diff(pauses[rank - 1]) <= error,
                "{share}: {value} +- {error}"
            );
            assert!(error <= value / 7, "{share}: {value} +- {error}");
        }
    }

    #[test]
    fn few_pauses_are_exact() {
        let mut sum = PauseSum::default();
        assert_eq!(sum.quantile(0.5), None);
        sum.counts[pause_bucket(12_345)] += 1;
        sum.max = 12_345;
        assert_eq!(sum.quantile(0.5), Some((12_345, 0)));
        assert_eq!(sum.quantile(0.99), Some((12_345, 0)));
    }
}
