//! Which tables a block can be, going by its control bytes, and what they then hold.

use super::BlockReader;
use super::heat::{Heat, HeatSums};
use super::quality::{self, HashQuality};
use super::scan::{self, Counts, EMPTY, Spread};
use super::shape::{Block, LEAST_LOG2, MOST_LOG2, Shape, capacity_of};

/// Hypotheses that a block can have.
const MOST: usize = (MOST_LOG2 - LEAST_LOG2) as usize;
/// Bytes read at once.
const CHUNK: usize = 8192;
/// Control bytes read at once where they are sampled: a cache line.
const PIECE: u64 = 64;
/// Fewest pieces of a part that is sampled.
const LEAST_PIECES: u64 = 64;
/// A hypothesis is given up when its load is impossible by this many standard errors.
const CERTAIN_ERRORS: u64 = 5;

/// How much is read of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Up to this many control bytes are read in full.
    pub full_bytes: u64,
    /// Of larger tables, this many pieces of 64 control bytes.
    pub pieces: u32,
    /// Which pieces: any number.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            full_bytes: 16 << 20,
            pieces: 8192,
            seed: 0x9E37_79B9_7F4A_7C15,
        }
    }
}

/// A number, with its standard error: 0 when it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Best value.
    pub value: u64,
    /// Standard error.
    pub error: u64,
}

/// A table that the block can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hypothesis {
    /// Its buckets and element sizes.
    pub shape: Shape,
    /// Entries that it then has.
    pub entries: Count,
    /// Tombstones that it then has.
    pub tombstones: Count,
}

/// Everything that a block can be, with what it then holds.
#[derive(Debug, Clone)]
pub struct Survey {
    block: Block,
    hypotheses: [Hypothesis; MOST],
    len: usize,
    /// Numbers of buckets that are possible, too, but what they would hold is not known.
    unsaid: u64,
    quality: Option<HashQuality>,
    heat: Option<Heat>,
}

/// What is known of a table from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known<'a> {
    /// Size of its elements.
    pub element: Option<u64>,
    /// Sizes of other tables with the same type of element, such as earlier ones of its map.
    pub sizes: &'a [u64],
}

/// What a table holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Occupancy {
    /// Buckets; `None` when the block can be several tables, all with these entries.
    pub buckets: Option<u64>,
    /// Bytes of an element; `None` when padding hides it.
    pub element_bytes: Option<u64>,
    /// Entries.
    pub entries: Count,
    /// Tombstones.
    pub tombstones: Count,
    /// Entries that fit in a table of this size.
    pub capacity: Option<u64>,
    /// Entries that can be added before the table grows or is rehashed.
    pub growth_left: Option<u64>,
    /// Bytes beyond what a table for these entries needs.
    pub retained_bytes: Option<u64>,
    /// How well the entries are spread; `None` when there are too few to tell.
    pub quality: Option<HashQuality>,
}

/// Reads the control bytes of a block under every hypothesis that its size allows. `None` when
/// the block cannot be read.
pub fn survey(block: &Block, reader: &mut impl BlockReader, limits: &Limits) -> Option<Survey> {
    let mut survey = Survey::new(*block);
    let group = usize::try_from(block.group()).ok()?;
    for shape in block.shapes().take_while(|s| s.buckets < block.group()) {
        survey.small(shape, group, reader)?;
    }
    survey.large(group, reader, limits)?;
    Some(survey)
}

impl Survey {
    pub(super) fn new(block: Block) -> Self {
        let none = Hypothesis {
            shape: Shape {
                buckets: 0,
                least_element: 0,
                most_element: 0,
            },
            entries: Count::default(),
            tombstones: Count::default(),
        };
        Self {
            block,
            hypotheses: [none; MOST],
            len: 0,
            unsaid: 0,
            quality: None,
            heat: None,
        }
    }

    /// The hypotheses that nothing contradicts, fewest buckets first.
    #[must_use]
    pub fn hypotheses(&self) -> &[Hypothesis] {
        self.hypotheses.get(..self.len).unwrap_or(&[])
    }

    /// How well the entries are spread under the last hypothesis, if there are enough of them.
    #[must_use]
    pub fn quality(&self) -> Option<HashQuality> {
        self.quality
    }

    /// Where the entries lie; `None` of a table too small for a picture.
    #[must_use]
    pub fn heat(&self) -> Option<&Heat> {
        self.heat.as_ref()
    }

    pub(super) fn set_heat(&mut self, heat: Option<Heat>) {
        self.heat = heat;
    }

    /// The block that was read.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    pub(super) fn unsaid(&self) -> u64 {
        self.unsaid
    }

    pub(super) fn set_unsaid(&mut self, unsaid: u64) {
        self.unsaid = unsaid;
    }

    pub(super) fn push(&mut self, hypothesis: Hypothesis) {
        if let Some(place) = self.hypotheses.get_mut(self.len) {
            *place = hypothesis;
            self.len += 1;
        }
    }

    pub(super) fn set_quality(&mut self, quality: Option<HashQuality>) {
        self.quality = quality;
    }

    /// Tests a table with fewer buckets than a group: it has its control bytes, empty ones up to
    /// a group's width, and then its control bytes once more.
    fn small(&mut self, shape: Shape, group: usize, reader: &mut impl BlockReader) -> Option<()> {
        let buckets = usize::try_from(shape.buckets).ok()?;
        let mut bytes = [0_u8; 32];
        let control = bytes.get_mut(..group + buckets)?;
        let start = self.block.bytes().checked_sub(control.len() as u64)?;
        if !reader.read(start, control) {
            return None;
        }
        let (real, rest) = control.split_at_checked(buckets)?;
        let (padding, mirror) = rest.split_at_checked(group - buckets)?;
        let Some(counts) = scan::count(real) else {
            return Some(());
        };
        // Between empty bytes nothing needs a tombstone; a rehash in flight shows them.
        if real == mirror
            && padding.iter().all(|&byte| byte == EMPTY)
            && counts.deleted == 0
            && counts.full <= capacity_of(shape.buckets)
        {
            self.push(Hypothesis {
                shape,
                entries: Count {
                    value: counts.full,
                    error: 0,
                },
                tombstones: Count::default(),
            });
        }
        Some(())
    }

    /// Tests all tables with at least a group of buckets. Their control bytes end at the same
    /// place, so those of one are the last part of those of the next.
    fn large(
        &mut self,
        group: usize,
        reader: &mut impl BlockReader,
        limits: &Limits,
    ) -> Option<()> {
        let Some(end) = self.block.bytes().checked_sub(self.block.group()) else {
            return Some(());
        };
        let mut passing = 0_u64;
        let (mut mirror, mut first) = ([0_u8; 16], [0_u8; 16]);
        let (mirror, first) = (mirror.get_mut(..group)?, first.get_mut(..group)?);
        let shapes = || self.block.shapes().filter(|s| s.buckets >= group as u64);
        if shapes().next().is_none() {
            return Some(());
        }
        if !reader.read(end, mirror) {
            return None;
        }
        for shape in shapes() {
            if !reader.read(end.checked_sub(shape.buckets)?, first) {
                return None;
            }
            passing |= if first == mirror { shape.buckets } else { 0 };
        }
        if passing == 0 {
            return Some(());
        }
        let most = 1_u64 << (63 - passing.leading_zeros());
        let least = 1_u64 << passing.trailing_zeros();
        let mut sums = Sums::new(limits, most, end.checked_sub(most)?);
        let mut last = None;
        let (mut done, mut buckets) = (0, least);
        while buckets <= most {
            if !sums.add(reader, end.checked_sub(buckets)?, end.checked_sub(done)?)? {
                break;
            }
            if passing & buckets != 0
                && let Some(shape) = self.block.shape(buckets.trailing_zeros())
                && sums.possible(capacity_of(buckets))
            {
                let (entries, tombstones) = sums.figures();
                self.push(Hypothesis {
                    shape,
                    entries,
                    tombstones,
                });
                last = quality::judge(&sums.spread);
            }
            done = buckets;
            buckets *= 2;
        }
        self.quality = last;
        self.heat = sums.heat.heat();
        Some(())
    }

    /// What the table holds, given what else is known of it: as far as all hypotheses that are
    /// left agree. `None` when they do not, or none is left.
    #[must_use]
    pub fn settle(&self, known: &Known) -> Option<Occupancy> {
        self.settle_where(&|element| {
            known.element.is_none_or(|known| known == element)
                && (known.sizes.iter()).all(|&bytes| self.block.with_bytes(bytes).fits(element))
        })
    }

    /// As [`settle`](Self::settle), for tables whose elements have one of the sizes for which
    /// `possible` is true.
    #[must_use]
    pub fn settle_where(&self, possible: &dyn Fn(u64) -> bool) -> Option<Occupancy> {
        let unsaid = (0..u64::BITS)
            .filter(|log2| self.unsaid >> log2 & 1 != 0)
            .filter_map(|log2| self.block.shape(log2));
        for shape in unsaid {
            if elements(&shape, possible).is_some() {
                return None;
            }
        }
        let mut left = self.hypotheses().iter().filter_map(|hypothesis| {
            let (least, most) = elements(&hypothesis.shape, possible)?;
            Some((hypothesis, least, most))
        });
        let (only, least, most) = left.next()?;
        let most_buckets = self.hypotheses().last()?;
        let mut single = true;
        for (other, ..) in left {
            single = false;
            if (other.entries, other.tombstones) != (only.entries, only.tombstones) {
                return None;
            }
        }
        let buckets = single.then_some(only.shape.buckets);
        let capacity = buckets.map(capacity_of);
        let taken = only.entries.value.saturating_add(only.tombstones.value);
        let none = only.entries == Count::default();
        Some(Occupancy {
            buckets,
            element_bytes: (single && least == most).then_some(least),
            entries: only.entries,
            tombstones: only.tombstones,
            capacity,
            growth_left: capacity.map(|capacity| capacity.saturating_sub(taken)),
            retained_bytes: if none {
                Some(self.block.bytes())
            } else {
                buckets.and_then(|buckets| (self.block).retained(buckets, most, only.entries.value))
            },
            quality: self.quality.filter(|_| single && only == most_buckets),
        })
    }
}

/// The smallest and largest possible element size of a shape; `None` when none is possible.
pub(super) fn elements(shape: &Shape, possible: &dyn Fn(u64) -> bool) -> Option<(u64, u64)> {
    let mut sizes = (shape.least_element..=shape.most_element).filter(|&size| possible(size));
    let least = sizes.next()?;
    Some((least, sizes.last().unwrap_or(least)))
}

/// Sums over the control bytes read so far, from the end of the block backwards.
struct Sums {
    full: f64,
    deleted: f64,
    /// Variances of the two; 0 as long as everything was counted.
    full_variance: f64,
    deleted_variance: f64,
    spread: Spread,
    heat: HeatSums,
    /// Pieces to be read of the largest table, and its buckets; no pieces: everything.
    pieces: u64,
    most: u64,
    random: u64,
}

impl Sums {
    /// `begin`: where the control bytes of the table with `most` buckets begin.
    fn new(limits: &Limits, most: u64, begin: u64) -> Self {
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
    fn add(&mut self, reader: &mut impl BlockReader, from: u64, to: u64) -> Option<bool> {
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
    fn figures(&self) -> (Count, Count) {
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
    fn possible(&self, capacity: u64) -> bool {
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
