//! Which tables a block of a given size can be.

/// Fewest buckets of a table, log2.
pub(super) const LEAST_LOG2: u32 = 2;
/// No table has as many buckets as this, log2: they would not fit the address space.
pub(super) const MOST_LOG2: u32 = 47;

/// A block that may be a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Bytes asked for.
    bytes: u64,
    /// Alignment asked for.
    align: u64,
    /// Bytes of a control group.
    group: u64,
}

/// A number of buckets that a block can have, and the element sizes that go with it. Padding
/// leaves more than one of them when there are fewer buckets than a group has bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Buckets, a power of two.
    pub buckets: u64,
    /// Smallest element size that makes a block of this size.
    pub least_element: u64,
    /// Largest.
    pub most_element: u64,
}

impl Shape {
    /// Whether a table of this shape can have elements of `element` bytes.
    #[must_use]
    pub fn takes(&self, element: u64) -> bool {
        (self.least_element..=self.most_element).contains(&element)
    }
}

/// Entries that a table takes before it grows.
#[must_use]
pub const fn capacity_of(buckets: u64) -> u64 {
    if buckets <= 8 {
        buckets.saturating_sub(1)
    } else {
        buckets / 8 * 7
    }
}

impl Block {
    /// A block of `bytes` bytes. `align` is the alignment that was asked for, `None` when the
    /// allocator was not told (`malloc`), which then is at most a group's. `group` is the width
    /// of a control group: 16 with SSE2, 8 elsewhere. `None` when no table has this alignment.
    #[must_use]
    pub fn new(bytes: u64, align: Option<u64>, group: u64) -> Option<Self> {
        let align = align.unwrap_or(group);
        let sound = matches!(group, 8 | 16) && align.is_power_of_two() && align >= group;
        (sound && bytes <= i64::MAX as u64).then_some(Self {
            bytes,
            align,
            group,
        })
    }

    /// Bytes asked for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Alignment asked for.
    #[must_use]
    pub fn align(&self) -> u64 {
        self.align
    }

    /// Bytes of a control group, which is also the length of the mirror.
    #[must_use]
    pub fn group(&self) -> u64 {
        self.group
    }

    /// The shape with `2^log2` buckets, if a block of this size can have it.
    pub(super) fn shape(&self, log2: u32) -> Option<Shape> {
        if !(LEAST_LOG2..MOST_LOG2).contains(&log2) {
            return None;
        }
        let buckets = 1_u64 << log2;
        let data = self.bytes.checked_sub(buckets + self.group)?;
        if data % self.align != 0 {
            return None;
        }
        // The elements end in the last `align` bytes of the data part, or fill it to the end.
        let most_element = data / buckets;
        let least_element = if self.align > self.group {
            // The alignment is the element's own, and so divides its size.
            if !data.is_multiple_of(buckets) || !most_element.is_multiple_of(self.align) {
                return None;
            }
            most_element
        } else {
            (data + 1).saturating_sub(self.align).div_ceil(buckets)
        };
        (least_element <= most_element).then_some(Shape {
            buckets,
            least_element,
            most_element,
        })
    }

    /// Every shape that a block of this size can have, fewest buckets first.
    pub fn shapes(&self) -> impl Iterator<Item = Shape> {
        (LEAST_LOG2..MOST_LOG2).filter_map(|log2| self.shape(log2))
    }

    /// Whether a table with elements of `element` bytes can have this size.
    #[must_use]
    pub fn fits(&self, element: u64) -> bool {
        self.shapes().any(|shape| shape.takes(element))
    }

    /// A block of another size, otherwise as this one: another table of the same map.
    #[must_use]
    pub fn with_bytes(&self, bytes: u64) -> Self {
        Self { bytes, ..*self }
    }

    /// Bytes of a table with `buckets` buckets and elements of `element` bytes, aligned as this
    /// block. `None` when there is no such table.
    #[must_use]
    pub fn bytes_with(&self, buckets: u64, element: u64) -> Option<u64> {
        buckets
            .checked_mul(element)?
            .checked_next_multiple_of(self.align)?
            .checked_add(buckets.checked_add(self.group)?)
    }

    /// Buckets that hashbrown gives to a table that is to take `entries` entries of `element`
    /// bytes; 0 for none.
    #[must_use]
    pub fn buckets_for(&self, entries: u64, element: u64) -> u64 {
        let least = match (self.group, element) {
            (16, 0..=1) => 16,
            (16, 2..=3) | (8, 0..=1) => 8,
            _ => 4,
        };
        match entries {
            0 => 0,
            1..=3 => least.max(4),
            4..=7 => least.max(8),
            8..=14 => 16,
            _ => (entries.saturating_mul(8) / 7)
                .checked_next_power_of_two()
                .unwrap_or(1 << 63),
        }
    }

    /// Bytes beyond those of the smallest table that takes `entries`, if this block is a table of
    /// `buckets` buckets and elements of `element` bytes.
    #[must_use]
    pub fn retained(&self, buckets: u64, element: u64, entries: u64) -> Option<u64> {
        if entries == 0 {
            return Some(self.bytes);
        }
        let needed = self.buckets_for(entries, element);
        if needed >= buckets {
            return Some(0);
        }
        let needed = self.bytes_with(needed, element)?;
        Some(self.bytes.saturating_sub(needed))
    }
}
