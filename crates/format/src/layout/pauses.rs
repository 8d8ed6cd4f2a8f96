//! Histograms of pauses: their buckets, in ticks.

/// Number of counters in a pause histogram.
pub const PAUSE_BUCKETS: usize = 128;
/// Pauses below this many ticks (2^6) share bucket 0.
const PAUSE_FIRST_LOG2: u32 = 6;

/// Bucket of a pause in a histogram: four buckets to each power of two from 2^6 ticks on, so a
/// bucket's bounds lie at most 25 % apart.
#[must_use]
pub fn pause_bucket(ticks: u64) -> usize {
    if ticks < 1 << PAUSE_FIRST_LOG2 {
        return 0;
    }
    let log2 = 63 - ticks.leading_zeros();
    let quarter = (ticks >> (log2 - 2)) & 3;
    let bucket = 1 + ((log2 - PAUSE_FIRST_LOG2) as usize) * 4 + quarter as usize;
    bucket.min(PAUSE_BUCKETS - 1)
}

/// Bounds `[low, high)` in ticks of a bucket of a pause histogram; the last has no upper bound
/// and gives `u64::MAX`.
#[must_use]
pub fn pause_bucket_bounds(bucket: usize) -> (u64, u64) {
    let low = |b: usize| -> u64 {
        let step = (b - 1) as u32;
        (4 + u64::from(step % 4)) << (PAUSE_FIRST_LOG2 - 2 + step / 4)
    };
    match bucket {
        0 => (0, 1 << PAUSE_FIRST_LOG2),
        b if b >= PAUSE_BUCKETS - 1 => (low(PAUSE_BUCKETS - 1), u64::MAX),
        b => (low(b), low(b + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_buckets_tile_the_line() {
        let mut expected_low = 0;
        for bucket in 0..PAUSE_BUCKETS {
            let (low, high) = pause_bucket_bounds(bucket);
            assert_eq!(low, expected_low, "bucket {bucket}");
            assert_eq!(pause_bucket(low), bucket);
            assert_eq!(pause_bucket(high - 1), bucket);
            expected_low = high;
        }
        assert_eq!(expected_low, u64::MAX);
    }
}
