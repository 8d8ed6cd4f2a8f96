//! What scaled samples are worth.

use super::HeapSample;

/// A sum of scaled samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sum {
    pub allocated: u64,
    pub allocated_bytes: u64,
    pub live: u64,
    pub live_bytes: u64,
    /// Samples before they were scaled.
    pub samples: f64,
    /// Variances of `allocated`, `allocated_bytes`, `live` and `live_bytes`.
    variances: [f64; 4],
}

impl Sum {
    pub fn add(&mut self, sample: &HeapSample, period: Option<u64>) {
        self.allocated = self.allocated.saturating_add(sample.allocated);
        self.allocated_bytes = self.allocated_bytes.saturating_add(sample.allocated_bytes);
        self.live = self.live.saturating_add(sample.live);
        self.live_bytes = self.live_bytes.saturating_add(sample.live_bytes);
        let Some(size) = block_bytes(sample).filter(|&size| size > 0) else {
            return;
        };
        // A block of this size is sampled with p = 1 - exp(-size / period), and a sample then
        // stands for w = 1 / p blocks (`scaleHeapSample` in Go's runtime/pprof). The sum of n
        // such samples has the variance n w (w - 1) (Horvitz-Thompson).
        let size = size as f64;
        let weight = match period.filter(|&period| period > 1) {
            Some(period) => 1.0 / -(-size / period as f64).exp_m1(),
            None => 1.0,
        };
        let spread = |blocks: u64| blocks as f64 * (weight - 1.0);
        let (all, live) = (spread(sample.allocated), spread(sample.live));
        self.samples += sample.allocated as f64 / weight;
        let more = [all, all * size * size, live, live * size * size];
        for (sum, more) in self.variances.iter_mut().zip(more) {
            *sum += more;
        }
    }

    /// Standard errors of `allocated`, `allocated_bytes`, `live` and `live_bytes`.
    pub fn errors(&self) -> [f64; 4] {
        self.variances.map(f64::sqrt)
    }
}

/// Bytes of one of the blocks that a sample stands for.
pub(super) fn block_bytes(sample: &HeapSample) -> Option<u64> {
    sample
        .block_bytes
        .or_else(|| sample.allocated_bytes.checked_div(sample.allocated))
}
