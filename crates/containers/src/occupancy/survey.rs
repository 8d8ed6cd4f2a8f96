//! Which tables a block can be, going by its control bytes, and what they then hold.

use super::BlockReader;
use super::heat::Heat;
use super::quality::{self, HashQuality};
use super::scan::{self, EMPTY};
use super::shape::{Block, LEAST_LOG2, MOST_LOG2, Shape, capacity_of};
use super::sums::Sums;

/// Hypotheses that a block can have.
const MOST: usize = (MOST_LOG2 - LEAST_LOG2) as usize;

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
