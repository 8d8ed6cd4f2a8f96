//! Counting in words that other threads count in too.

use crate::pool::TRIES;
pub(crate) use crate::sync::add;
use crate::sync::{AtomicU64, Counting, Ordering};
use mapgrow_format::layout::WEIGHT_ONE;

/// From here on a 32-bit counter of a histogram stands still. The distance to its end is more
/// than what all threads together can be about to add.
const COUNTER_FULL: u64 = 0xF000_0000;

/// Raises a peak and notes when. The time only ever goes up, so that of two threads that raise
/// the peak one after the other the later one's time stays, whoever stores it last.
pub(crate) fn raise(peak: &AtomicU64, ticks: &AtomicU64, value: u64, now: u64) {
    // The load alone settles the usual case without taking the cache line from others.
    if value > peak.load(Ordering::Relaxed) && value > peak.fetch_max(value, Ordering::Relaxed) {
        ticks.fetch_max(now, Ordering::Relaxed);
    }
}

/// Raises a maximum.
pub(crate) fn raise_max(max: &AtomicU64, value: u64) {
    if value > max.load(Ordering::Relaxed) {
        max.fetch_max(value, Ordering::Relaxed);
    }
}

/// Lowers a minimum in which 0 means that there is none yet; a value of 0 counts as 1.
pub(crate) fn lower_min(min: &AtomicU64, value: u64) {
    let value = value.max(1);
    let mut seen = min.load(Ordering::Relaxed);
    for _ in 0..TRIES {
        if seen != 0 && seen <= value {
            return;
        }
        match min.compare_exchange_weak(seen, value, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) => seen = other,
        }
    }
}

/// Adds to counter `index` of a histogram of 32-bit counters, two to a word, low half first.
/// A counter that is nearly full stands still instead of spilling into its neighbour.
pub(crate) fn add_to_histogram(counting: Counting, words: &[AtomicU64], index: usize, amount: u64) {
    let Some(word) = words.get(index / 2) else {
        return;
    };
    let shift = (index % 2) * 32;
    let counter = (word.load(Ordering::Relaxed) >> shift) & 0xFFFF_FFFF;
    if counter.saturating_add(amount) < COUNTER_FULL {
        counting.add(word, amount << shift);
    }
}

/// `amount` times a weight, in whole units, to the nearest.
pub(crate) fn weighted(amount: u64, weight: u32) -> u64 {
    let product = u128::from(amount) * u128::from(weight);
    let rounded = (product + u128::from(WEIGHT_ONE / 2)) / u128::from(WEIGHT_ONE);
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

/// What one sampled block of size `amount` adds to the estimated variance of a weighted sum, in
/// units of `unit`: `amount^2 * (1 - p) / p^2` with `p = 1 / weight`, which is
/// `amount^2 * w * (w - 1)`. Rounded up: an error is better stated too large than too small.
pub(crate) fn variance(amount: u64, weight: u32, unit: u64) -> u64 {
    let one = u128::from(WEIGHT_ONE);
    let weight = u128::from(weight);
    let factor = weight * weight.saturating_sub(one);
    let amount = u128::from(amount);
    let value = amount
        .checked_mul(amount)
        .and_then(|square| square.checked_mul(factor));
    match value {
        Some(value) => {
            u64::try_from(value.div_ceil(one * one * u128::from(unit))).unwrap_or(u64::MAX)
        }
        None => u64::MAX,
    }
}

/// Spreads the bits of a word over the whole of it (the finaliser of MurmurHash3).
pub(crate) fn mix(word: u64) -> u64 {
    let mut mixed = word ^ (word >> 33);
    mixed = mixed.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    mixed ^= mixed >> 33;
    mixed = mixed.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    mixed ^ (mixed >> 33)
}
