//! Sums over many tables of which some were looked at: figures of tables of a group go in, by size, the
//! sum of all and its error come out.
//!
//! Two things make a sum an estimate. Small tables are recorded as samples, each of which stands
//! for as many as its weight says; and of the live ones only some may have been read. Tables are
//! read in an order that has nothing to do with what is in them, so those of one size that were
//! read are a random sample of those of that size.

use std::collections::BTreeMap;

/// Of the tables of one size some were read: fewer than this say nothing of the others.
const LEAST_READ: u64 = 8;

/// An estimate and its standard error; 0 where it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Estimate {
    pub value: f64,
    pub error: f64,
}

impl Estimate {
    /// As whole numbers; an error is never rounded away.
    pub fn rounded(self) -> (u64, u64) {
        (self.value.max(0.0).round() as u64, self.error.ceil() as u64)
    }
}

/// Tables of one size, counted each or sampled.
#[derive(Debug, Clone, Default)]
struct Stratum {
    tables: u64,
    weight: f64,
    /// Sum of w(w - 1), the variance of `weight`.
    weight_variance: f64,
    read: u64,
    read_weight: f64,
    /// Of the read ones, sums of what they hold: x, wx, wxx, wwx, wwxx, ww.
    x: f64,
    xx: f64,
    wx: f64,
    wwx: f64,
    wwxx: f64,
    ww: f64,
    wxx: f64,
    /// Half of the range within which a figure is known, summed with the weights.
    range: f64,
}

/// Sums over the tables of a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strata(BTreeMap<(u32, bool), Stratum>);

impl Strata {
    /// A live table of so many bytes that stands for `weight`. `figure`: what it holds, within a
    /// range; `None` where it was not read.
    pub fn add(&mut self, bytes: u64, weight: f64, figure: Option<(u64, u64)>) {
        let size = bytes.checked_ilog2().unwrap_or(0);
        let stratum = self.0.entry((size, weight > 1.0)).or_default();
        stratum.tables += 1;
        stratum.weight += weight;
        stratum.weight_variance += weight * (weight - 1.0);
        let Some((least, most)) = figure else {
            return;
        };
        let x = (least as f64 + most as f64) / 2.0;
        stratum.read += 1;
        stratum.read_weight += weight;
        stratum.x += x;
        stratum.xx += x * x;
        stratum.wx += weight * x;
        stratum.wxx += weight * x * x;
        stratum.ww += weight * weight;
        stratum.wwx += weight * weight * x;
        stratum.wwxx += weight * weight * x * x;
        stratum.range += weight * (most as f64 - least as f64) / 2.0;
    }

    /// The sum over all; `None` when too few of one size were read, or there are none.
    pub fn sum(&self) -> Option<Estimate> {
        let mut sum = Estimate::default();
        let (mut variance, mut range) = (0.0, 0.0);
        for (&(_, sampled), stratum) in &self.0 {
            if stratum.read < stratum.tables.min(LEAST_READ) {
                return None;
            }
            let (value, its_variance) = if sampled {
                stratum.of_samples()
            } else {
                stratum.of_counted()
            };
            sum.value += value;
            variance += its_variance;
            range += stratum.range * stratum.weight / stratum.read_weight;
        }
        sum.error = variance.max(0.0).sqrt() + range;
        (!self.0.is_empty()).then_some(sum)
    }
}

impl Stratum {
    /// Each table is there once: a simple random sample of them was read.
    fn of_counted(&self) -> (f64, f64) {
        let (all, read) = (self.tables as f64, self.read as f64);
        let mean = self.x / read;
        if self.read == self.tables {
            return (self.x, 0.0);
        }
        let spread = (self.xx - read * mean * mean).max(0.0) / (read - 1.0).max(1.0);
        (all * mean, all * all * (1.0 - read / all) * spread / read)
    }

    /// Each table stands for others. The mean of those read, times the estimated number of all:
    /// both have an error.
    fn of_samples(&self) -> (f64, f64) {
        let mean = self.wx / self.read_weight;
        let scale = self.weight / self.read_weight;
        let part = self.read as f64 / self.tables as f64;
        // Sum of w(w - part)(x - mean)^2.
        let squares = self.wwxx - 2.0 * mean * self.wwx + mean * mean * self.ww;
        let plain = self.wxx - 2.0 * mean * self.wx + mean * mean * self.read_weight;
        let spread = (squares - part * plain).max(0.0);
        let variance = mean * mean * self.weight_variance + scale * scale * spread;
        (self.weight * mean, variance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_all_counted_has_no_error() {
        let mut strata = Strata::default();
        assert_eq!(strata.sum(), None);
        for x in 0..5 {
            strata.add(1 << 12, 1.0, Some((x, x)));
        }
        let sum = strata.sum().expect("a sum");
        assert_eq!((sum.value, sum.error), (10.0, 0.0));
        // One that may hold 4 to 8.
        strata.add(1 << 13, 1.0, Some((4, 8)));
        let sum = strata.sum().expect("a sum");
        assert_eq!((sum.value, sum.error), (16.0, 2.0));
    }

    #[test]
    fn too_few_of_a_size_say_nothing() {
        let mut strata = Strata::default();
        strata.add(1 << 12, 1.0, Some((1, 1)));
        strata.add(1 << 12, 1.0, None);
        assert_eq!(strata.sum(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Over many draws the mean of the estimates is the truth, and their spread is the error
        /// that they tell.
        #[test]
        fn estimates_are_unbiased_and_their_errors_true(
            seed in any::<u64>(),
            step in 1_u64..40,
            part in 2_u64..8,
        ) {
            let mut random = seed | 1;
            let mut next = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) as f64 / f64::from(1_u32 << 31)
            };
            let holds: Vec<(u64, u64)> = (0..1500)
                .map(|_| if next() < 0.5 { (600, 10 + (next() * 80.0) as u64) } else { (3000, (next() * 30.0) as u64) })
                .collect();
            let truth: u64 = holds.iter().map(|&(_, held)| held).sum();
            let weight = step as f64;
            const DRAWS: usize = 150;
            let (mut mean, mut square, mut told) = (0.0, 0.0, 0.0);
            for _ in 0..DRAWS {
                let mut strata = Strata::default();
                for &(bytes, held) in &holds {
                    if next() < 1.0 / weight {
                        let read = next() < 1.0 / part as f64;
                        strata.add(bytes, weight, read.then_some((held, held)));
                    }
                }
                let Some(sum) = strata.sum() else { return Ok(()) };
                mean += sum.value / DRAWS as f64;
                square += (sum.value - truth as f64).powi(2) / DRAWS as f64;
                told += sum.error * sum.error / DRAWS as f64;
            }
            let (spread, told) = (square.sqrt(), told.sqrt());
            prop_assert!((mean - truth as f64).abs() < 5.0 * told / (DRAWS as f64).sqrt() + 0.02 * truth as f64, "{mean} {truth} {told}");
            prop_assert!(told > 0.6 * spread && told < 1.6 * spread, "{told} {spread}");
        }
    }
}
