//! The shape of hashbrown's tables.
//!
//! A table of `b` buckets of elements of `t` bytes is one block of
//! `align_up(b * t, align) + b + group` bytes, where `b` is a power of two, at least 4, and
//! `align` the larger of `group` and the element's alignment. A size alone often has several
//! readings (twice the buckets at half the element, plus or minus one); sizes of the same
//! element type narrow them down.

/// A reading of a table's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Number of buckets.
    pub buckets: u64,
    /// Smallest element that gives this size.
    pub element_low: u64,
    /// Largest element that gives this size.
    pub element_high: u64,
}

/// Buckets that no table of an element other than a zero-sized one exceeds.
const MAX_LOG2: u32 = 40;

/// All readings of `bytes`, for tables aligned to `align` with control groups of `group` bytes.
pub fn readings(bytes: u64, align: u64, group: u64) -> impl Iterator<Item = Reading> {
    let align = align.max(1);
    let possible = align >= group && align.is_power_of_two();
    // There are more bytes than buckets.
    let upto = bytes.checked_ilog2().map_or(0, |log2| log2 + 1);
    (2..upto.min(MAX_LOG2)).filter_map(move |log2| {
        let buckets = 1u64 << log2;
        let data = bytes.checked_sub(buckets)?.checked_sub(group)?;
        if !possible || data & (align - 1) != 0 {
            return None;
        }
        // The data part was rounded up by less than `align`.
        let element_high = data / buckets;
        let element_low = if data == 0 {
            0
        } else {
            (data - align + 1).div_ceil(buckets)
        };
        // An alignment above the group's is the element's own.
        let step = if align > group { align } else { 1 };
        let element_low = element_low.div_ceil(step) * step;
        let element_high = element_high / step * step;
        (element_low <= element_high).then_some(Reading {
            buckets,
            element_low,
            element_high,
        })
    })
}

/// The element sizes that explain every size seen so far of one element type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    align: u64,
    group: u64,
    /// Ranges of element sizes, `None` before the first size.
    ranges: Option<Vec<(u64, u64)>>,
}

impl Elements {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(align: u64, group: u64) -> Self {
        Self {
            align,
            group,
            ranges: None,
        }
    }

    /// Takes in the size of a table.
    pub fn see(&mut self, bytes: u64) {
        let fresh = readings(bytes, self.align, self.group)
            .map(|reading| (reading.element_low, reading.element_high));
        let mut ranges: Vec<(u64, u64)> = match &self.ranges {
            None => fresh.collect(),
            Some(known) => fresh
                .flat_map(|(low, high)| {
                    known.iter().filter_map(move |&(known_low, known_high)| {
                        let (low, high) = (low.max(known_low), high.min(known_high));
                        (low <= high).then_some((low, high))
                    })
                })
                .collect(),
        };
        ranges.sort_unstable();
        ranges.dedup();
        self.ranges = Some(ranges);
    }

    /// Restricts the element size to `bytes`, known from elsewhere.
    pub fn know(&mut self, bytes: u64) {
        let ranges = self.ranges.take().unwrap_or_else(|| vec![(0, u64::MAX)]);
        let fits = ranges
            .iter()
            .any(|&(low, high)| low <= bytes && bytes <= high);
        self.ranges = Some(if fits { vec![(bytes, bytes)] } else { ranges });
    }

    /// Restricts the element size to multiples of `step`, the alignment of a part of it.
    pub fn know_multiple_of(&mut self, step: u64) {
        let ranges = self.ranges.iter().flatten().filter_map(|&(low, high)| {
            let low = low.checked_next_multiple_of(step)?;
            let high = high / step * step;
            (low <= high).then_some((low, high))
        });
        let ranges: Vec<_> = ranges.collect();
        if !ranges.is_empty() {
            self.ranges = Some(ranges);
        }
    }

    /// Whether no element size explains what was seen.
    #[must_use]
    pub fn impossible(&self) -> bool {
        self.ranges.as_ref().is_some_and(Vec::is_empty)
    }

    /// The element size, when only one explains everything.
    #[must_use]
    pub fn element(&self) -> Option<u64> {
        match self.ranges.as_deref() {
            Some(&[(low, high)]) if low == high => Some(low),
            _ => None,
        }
    }

    /// Whether elements may have `bytes` bytes, as far as is known.
    #[must_use]
    pub fn allows(&self, bytes: u64) -> bool {
        self.ranges.as_ref().is_none_or(|ranges| {
            ranges
                .iter()
                .any(|&(low, high)| low <= bytes && bytes <= high)
        })
    }

    /// Buckets of a table of `bytes`, when all remaining element sizes agree on it.
    #[must_use]
    pub fn buckets(&self, bytes: u64) -> Option<u64> {
        let ranges = self.ranges.as_deref()?;
        let mut fitting = readings(bytes, self.align, self.group).filter(|reading| {
            ranges
                .iter()
                .any(|&(low, high)| low <= reading.element_high && reading.element_low <= high)
        });
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only.buckets)
    }

    /// Whether a table of `bytes` can hold elements of the sizes that remain.
    #[must_use]
    pub fn fits(&self, bytes: u64) -> bool {
        let mut with = self.clone();
        with.see(bytes);
        !with.impossible()
    }
}

/// Entries that fit into a table before it grows.
#[must_use]
pub fn capacity(buckets: u64) -> u64 {
    if buckets < 8 {
        buckets.saturating_sub(1)
    } else {
        buckets / 8 * 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout computation of hashbrown, written down independently of `readings`.
    fn table_bytes(buckets: u64, element: u64, element_align: u64) -> (u64, u64) {
        let align = element_align.max(16);
        (
            (buckets * element).next_multiple_of(align) + buckets + 16,
            align,
        )
    }

    #[test]
    fn every_table_has_its_own_reading() {
        for (element, element_align) in [
            (0, 1),
            (1, 1),
            (2, 1),
            (3, 1),
            (8, 8),
            (16, 8),
            (24, 8),
            (100, 4),
            (64, 64),
            (256, 128),
        ] {
            for log2 in 2..20 {
                let (bytes, align) = table_bytes(1 << log2, element, element_align);
                let found = readings(bytes, align, 16).any(|reading| {
                    reading.buckets == 1 << log2
                        && (reading.element_low..=reading.element_high).contains(&element)
                });
                assert!(found, "{element} bytes, 2^{log2} buckets");
            }
        }
    }

    #[test]
    fn a_chain_from_the_first_table_settles_the_element() {
        for element in [8u64, 16, 24, 40, 48, 100] {
            let mut elements = Elements::new(16, 16);
            for log2 in 2..16 {
                elements.see(table_bytes(1 << log2, element, 8).0);
            }
            assert_eq!(elements.element(), Some(element));
            let big = table_bytes(1 << 20, element, 8).0;
            assert_eq!(elements.buckets(big), Some(1 << 20));
        }
    }

    #[test]
    fn a_single_large_table_is_ambiguous() {
        let mut elements = Elements::new(16, 16);
        let (bytes, _) = table_bytes(1 << 16, 8, 8);
        elements.see(bytes);
        assert_eq!(elements.element(), None);
        assert_eq!(elements.buckets(bytes), None);
        // Of (buckets, 8), (half of them, 17), (a quarter, 35)... only one holds a u64.
        let mut aligned = elements.clone();
        aligned.know_multiple_of(8);
        assert_eq!(
            (aligned.element(), aligned.buckets(bytes)),
            (Some(8), Some(1 << 16))
        );
        elements.know(8);
        assert_eq!(elements.buckets(bytes), Some(1 << 16));
    }

    #[test]
    fn a_doubling_vector_of_u128_is_no_table() {
        let mut elements = Elements::new(16, 16);
        for log2 in 2..12 {
            elements.see(16 << log2);
        }
        assert!(elements.impossible());
    }

    #[test]
    fn over_aligned_elements_are_multiples_of_their_alignment() {
        let mut elements = Elements::new(64, 16);
        for log2 in 2..10 {
            elements.see(table_bytes(1 << log2, 192, 64).0);
        }
        assert_eq!(elements.element(), Some(192));
    }

    #[test]
    fn capacity_is_seven_eighths_but_for_tiny_tables() {
        assert_eq!([4, 8, 16, 1024].map(capacity), [3, 7, 14, 896]);
    }
}
