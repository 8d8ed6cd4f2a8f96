//! Sums over the control bytes of a block: of all of them, or estimated from pieces chosen at random.

use super::BlockReader;
use super::heat::HeatSums;
use super::scan::{self, Counts, Spread};
use super::survey::{Count, Limits};

/// Bytes read at once.
const CHUNK: usize = 8192;
/// Control bytes read at once where they are sampled: a cache line.
const PIECE: u64 = 64;
/// Fewest pieces of a part that is sampled.
const LEAST_PIECES: u64 = 64;
/// A hypothesis is given up when its load is impossible by this many standard errors.
const CERTAIN_ERRORS: u64 = 5;

/// Sums over the control bytes read so far, from the end of the block backwards.
pub(super) struct Sums {
    full: f64,
    deleted: f64,
    /// Variances of the two; 0 as long as everything was counted.
    full_variance: f64,
    deleted_variance: f64,
    pub(super) spread: Spread,
    pub(super) heat: HeatSums,
    /// Pieces to be read of the largest table, and its buckets; no pieces: everything.
    pieces: u64,
    most: u64,
    random: u64,
}

impl Sums {
    /// `begin`: where the control bytes of the table with `most` buckets begin.
    pub(super) fn new(limits: &Limits, most: u64, begin: u64) -> Self {
        Self {
            full: 0.0,
            deleted: 0.0,
            full_variance: 0.0,
            deleted_variance: 0.0,
            spread: Spread::new(),
            heat: HeatSums::new(most, begin),
            pieces: if most <= limits.full_bytes {
                0
            } else {
                u64::from(limits.pieces).max(1)
            },
            most,
            random: limits.seed,
        }
    }

    /// Adds the control bytes from `from` to `to`. `None` when they cannot be read, false when
    /// one of them is no control byte.
    pub(super) fn add(
        &mut self,
        reader: &mut impl BlockReader,
        from: u64,
        to: u64,
    ) -> Option<bool> {
        let length = to.checked_sub(from)?;
        // The part's share of the pieces, rounded up.
        let share = u128::from(self.pieces) * u128::from(length) / u128::from(self.most.max(1));
        // A power of two, as the length is: the stretches leave nothing over.
        let pieces = u64::try_from(share).ok()?.max(LEAST_PIECES);
        let pieces = pieces.checked_next_power_of_two()?;
        if self.pieces == 0 || pieces * PIECE * 2 > length {
            self.count(reader, from, to)
        } else {
            self.sample(reader, from, length, pieces)
        }
    }

    fn count(&mut self, reader: &mut impl BlockReader, from: u64, to: u64) -> Option<bool> {
        let mut buffer = [0_u8; CHUNK];
        let mut sum = Counts::default();
        let mut at = from;
        while at < to {
            let length = usize::try_from(to - at).ok()?.min(CHUNK);
            let bytes = buffer.get_mut(..length)?;
            if !reader.read(at, bytes) {
                return None;
            }
            let Some(counts) = scan::count(bytes) else {
                return Some(false);
            };
            sum.add(counts);
            self.spread.add(bytes, true);
            self.heat.add(at, bytes);
            at += length as u64;
        }
        self.full += sum.full as f64;
        self.deleted += sum.deleted as f64;
        Some(true)
    }

    /// One piece out of each of `pieces` equal stretches, at a random place in it.
    fn sample(
        &mut self,
        reader: &mut impl BlockReader,
        from: u64,
        length: u64,
        pieces: u64,
    ) -> Option<bool> {
        let stretch = length / pieces;
        let places = (stretch - PIECE) / scan::WINDOW as u64 + 1;
        let mut full = Moments::default();
        let mut deleted = Moments::default();
        let mut bytes = [0_u8; PIECE as usize];
        for piece in 0..pieces {
            let place = self.random() % places * scan::WINDOW as u64;
            let at = from + piece * stretch + place;
            if !reader.read(at, &mut bytes) {
                return None;
            }
            let Some(counts) = scan::count(&bytes) else {
                return Some(false);
            };
            full.add(counts.full);
            deleted.add(counts.deleted);
            self.spread.add(&bytes, true);
            self.heat.add(at, &bytes);
        }
        for (sum, variance, moments) in [
            (&mut self.full, &mut self.full_variance, full),
            (&mut self.deleted, &mut self.deleted_variance, deleted),
        ] {
            let (mean, square) = moments.mean_and_variance(PIECE, length);
            *sum += mean * length as f64;
            *variance += square * (length as f64) * (length as f64);
        }
        Some(true)
    }

    /// Entries and tombstones.
    pub(super) fn figures(&self) -> (Count, Count) {
        let figure = |value: f64, variance: f64| Count {
            value: value.round() as u64,
            error: variance.sqrt().ceil() as u64,
        };
        (
            figure(self.full, self.full_variance),
            figure(self.deleted, self.deleted_variance),
        )
    }

    /// Whether a table that takes `capacity` entries can hold this many.
    pub(super) fn possible(&self, capacity: u64) -> bool {
        let (entries, tombstones) = self.figures();
        let error = entries.error.saturating_add(tombstones.error);
        entries.value.saturating_add(tombstones.value)
            <= capacity.saturating_add(error.saturating_mul(CERTAIN_ERRORS))
    }

    /// The next of a sequence of numbers (splitmix64).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Sum of the counts of pieces, and of the squares by which neighbours differ: with one piece out
/// of each stretch, stretches that differ as a whole (deletes in the order of the table leave
/// such) are no error, and neighbours hardly differ as a whole.
#[derive(Clone, Copy, Default)]
struct Moments {
    pieces: f64,
    sum: f64,
    last: f64,
    differences: f64,
}

impl Moments {
    fn add(&mut self, count: u64) {
        let count = count as f64;
        if self.pieces > 0.0 {
            self.differences += (count - self.last) * (count - self.last);
        }
        self.pieces += 1.0;
        self.sum += count;
        self.last = count;
    }

    /// Mean of the share of a piece that is counted, and the variance of that mean.
    fn mean_and_variance(&self, piece: u64, length: u64) -> (f64, f64) {
        let piece = piece as f64;
        let mean = self.sum / self.pieces / piece;
        // Two neighbours differ by twice the variance of one.
        let spread = self.differences / (self.pieces - 1.0).max(1.0) / 2.0 / (piece * piece);
        // Where hardly anything was seen, there may still be some: as if one more had been.
        let seen = self.pieces * piece;
        let share = (self.sum + 1.0) / (seen + 2.0);
        let unread = 1.0 - seen / length as f64;
        let floor = share * (1.0 - share) / seen;
        (mean, (spread / self.pieces).max(floor) * unread)
    }
}
