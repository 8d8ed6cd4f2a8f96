//! Which small blocks are recorded, and what each of them stands for.
//!
//! Blocks below the floor are sampled by bytes, as in a Poisson process along the bytes that a
//! thread allocates: the distance to the next sampled byte is exponential with mean `m`, and a
//! block that contains a sampled byte is recorded. A block of `s` bytes is therefore recorded
//! with probability `p = 1 - exp(-s / m)`, independently of its neighbours (the distribution has
//! no memory), and stands for `1 / p` blocks. With the default mean of 64 KiB for table-shaped
//! blocks, a table of 544 bytes is recorded with p = 0.83 % and weighs 121.

use core::cell::Cell;

use mapgrow_format::layout::WEIGHT_ONE;

/// The distances between sampled bytes of one thread.
pub(crate) struct Sampler {
    state: u64,
    mean: f64,
    left: i64,
}

impl Sampler {
    /// `mean` in bytes, at least 1.
    pub(crate) fn new(seed: u64, mean: u64) -> Self {
        let mut sampler = Self {
            state: seed | 1,
            mean: mean as f64,
            left: 0,
        };
        sampler.left = sampler.distance();
        sampler
    }

    /// Bytes until the next sampled one.
    pub(crate) fn left(&self) -> i64 {
        self.left
    }

    /// Moves on by `bytes`; true when a sampled byte was among them.
    pub(crate) fn advance(&mut self, bytes: i64) -> bool {
        self.left = self.left.saturating_sub(bytes);
        if self.left >= 0 {
            return false;
        }
        // Where inside the bytes the sampled one lay does not matter to what follows.
        self.left = self.distance();
        true
    }

    /// Whether a countdown that began at [`left`](Self::left) has passed the sampled byte; if so
    /// it begins anew.
    #[inline]
    pub(crate) fn passed(&mut self, countdown: &Cell<i64>) -> bool {
        let left = countdown.get();
        if left >= 0 {
            return false;
        }
        let passed = self.advance(self.left.saturating_sub(left));
        countdown.set(self.left);
        passed
    }

    /// Exponentially distributed with the sampler's mean.
    fn distance(&mut self) -> i64 {
        // xorshift64* (Marsaglia 2003, Vigna 2016); 53 bits make a double in (0, 1].
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        let uniform = (bits + 1) as f64 / (1u64 << 53) as f64;
        (-ln(uniform) * self.mean) as i64
    }

    /// Weight of a block of `bytes`, fixed point in units of `1 / WEIGHT_ONE`.
    pub(crate) fn weight(&self, bytes: usize) -> u64 {
        let p = share_taken(bytes as f64 / self.mean);
        let weight = (WEIGHT_ONE as f64 / p).round();
        (weight as u64).clamp(WEIGHT_ONE, u64::from(u32::MAX))
    }
}

/// Natural logarithm of a number in (0, 1]. The C library's would bring its mathematics, 0.9 MiB
/// of address space, into every program that loads the recorder.
fn ln(x: f64) -> f64 {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    const BIAS: u64 = 1023;
    let bits = x.to_bits();
    // x = 2^exponent * fraction, with the fraction from 0.5 to 1: no number here is subnormal.
    let mut exponent = (bits >> FRACTION_BITS) as i64 - (BIAS as i64 - 1);
    let mut fraction =
        f64::from_bits(bits & ((1 << FRACTION_BITS) - 1) | (BIAS - 1) << FRACTION_BITS);
    if fraction < core::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    // ln f = 2 artanh s for s = (f - 1) / (f + 1), which is at most 0.172: ten terms of its
    // series are as exact as the number can be.
    let s = (fraction - 1.0) / (fraction + 1.0);
    let square = s * s;
    let series = (0..10)
        .rev()
        .fold(0.0, |sum, n| sum * square + 1.0 / f64::from(2 * n + 1));
    exponent as f64 * core::f64::consts::LN_2 + 2.0 * s * series
}

/// `1 - e^-x`, for x of at least 0: how likely it is that a sample falls into x means.
fn share_taken(x: f64) -> f64 {
    if x > 40.0 {
        return 1.0;
    }
    // By halves until few terms of Taylor's series do, then back: with f(x) = 1 - e^-x,
    // f(2x) = f(x) * (2 - f(x)).
    let (mut small, mut halved) = (x, 0);
    while small > 0.25 {
        small /= 2.0;
        halved += 1;
    }
    let series = (1..=12)
        .rev()
        .fold(0.0, |sum, n| (1.0 - sum) * small / f64::from(n));
    (0..halved).fold(series, |share, _| share * (2.0 - share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_and_the_share_are_exact() {
        let step = if cfg!(miri) { 997 } else { 1 };
        for n in (1..100_000_u64).step_by(step) {
            let x = n as f64 / 100_000.0;
            assert!(
                (ln(x) - x.ln()).abs() <= 1e-15 * x.ln().abs() + 1e-17,
                "{x}"
            );
            for x in [x, x * 40.0, x * 1e-6] {
                let share = -(-x).exp_m1();
                assert!((share_taken(x) - share).abs() <= 1e-13 * share, "{x}");
            }
        }
        let least = 1.0 / (1u64 << 53) as f64;
        assert!((ln(least) - least.ln()).abs() < 1e-12);
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(share_taken(41.0), 1.0);
        assert_eq!(share_taken(0.0), 0.0);
    }

    /// The estimate of how many blocks there were is unbiased: over many seeds its mean is the
    /// truth to within five standard errors.
    #[test]
    #[cfg_attr(miri, ignore = "takes millions of steps")]
    fn weights_are_unbiased() {
        for (bytes, blocks) in [(16usize, 200_000u64), (544, 20_000), (5_000, 4_000)] {
            let seeds = 200;
            let mut sum = 0.0;
            let mut squares = 0.0;
            for seed in 1..=seeds {
                let mut sampler =
                    Sampler::new(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15), 64 << 10);
                let mut estimate = 0.0;
                for _ in 0..blocks {
                    if sampler.advance(bytes as i64) {
                        estimate += sampler.weight(bytes) as f64 / WEIGHT_ONE as f64;
                    }
                }
                sum += estimate;
                squares += estimate * estimate;
            }
            let n = seeds as f64;
            let mean = sum / n;
            let error = ((squares / n - mean * mean) / n).sqrt();
            let off = (mean - blocks as f64).abs();
            assert!(
                off < 5.0 * error,
                "{bytes} B: {mean} of {blocks}, error {error}"
            );
        }
    }

    /// By a countdown as many blocks are sampled as one by one, and only they are looked at.
    #[test]
    #[cfg_attr(miri, ignore = "takes a million steps")]
    fn a_countdown_is_passed_by_the_sampled_blocks_alone() {
        let (bytes, mean) = (500, 64 << 10);
        let seed = 0x5851_F42D_4C95_7F2D;
        let mut one_by_one = Sampler::new(seed, mean);
        let mut counted = Sampler::new(seed, mean);
        let countdown = Cell::new(counted.left());
        let mut samples = 0;
        for block in 0..1_000_000 {
            countdown.set(countdown.get() - bytes);
            let sampled = counted.passed(&countdown);
            assert!(countdown.get() >= 0, "armed again after block {block}");
            assert_eq!(sampled, one_by_one.advance(bytes), "block {block}");
            samples += u64::from(sampled);
        }
        let expected = 1_000_000.0 * -(-(bytes as f64) / mean as f64).exp_m1();
        let error = expected.sqrt();
        assert!(
            (samples as f64 - expected).abs() < 5.0 * error,
            "{samples} of {expected}"
        );
    }

    #[test]
    fn a_block_larger_than_the_mean_is_nearly_certain() {
        let sampler = Sampler::new(1, 1000);
        assert_eq!(sampler.weight(10_000), WEIGHT_ONE);
        assert_eq!(
            sampler.weight(1000),
            (256.0 / (1.0 - (-1.0f64).exp())).round() as u64
        );
    }
}
