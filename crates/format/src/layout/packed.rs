//! Words that hold several values, and the rows of the region table: each is packed and unpacked
//! here and nowhere else.

mod untold;

pub use untold::Untold;

use super::header;

/// A word of several values: a type with one public field for each, `pack` and `unpack`.
macro_rules! packed {
    ($(
        $(#[$about:meta])*
        $name:ident { $( $(#[$what:meta])* $field:ident: $type:ident at $bit:literal, )* }
    )*) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $( $(#[$what])* pub $field: $type, )* }

        impl $name {
            /// The word.
            #[inline(always)]
            #[must_use]
            pub const fn pack(self) -> u64 {
                0 $( | (self.$field as u64) << $bit )*
            }

            /// What a word holds.
            #[inline(always)]
            #[must_use]
            pub const fn unpack(word: u64) -> Self {
                Self { $( $field: (word >> $bit) as $type, )* }
            }
        }
    )* };
}

packed! {
    /// [`header::PID`].
    Pids {
        /// The recorded process.
        own: u32 at 0,
        /// Its parent when recording began.
        parent: u32 at 32,
    }

    /// [`header::HISTORY_FREE`]: head of the free list of history nodes.
    FreeNodes {
        /// First node + 1; 0: none.
        first: u32 at 0,
        /// Changes whenever the head does, so that one that came back is told from one that
        /// stayed.
        tag: u32 at 32,
    }

    /// [`site::STACK`](super::site::STACK).
    SiteStack {
        /// First word of the stack in the stack region.
        first: u32 at 0,
        /// Frames.
        frames: u16 at 32,
        /// One of `site::ENTRY_*`.
        entry: u8 at 48,
        /// Bit 0: the stack was cut; bit 7: the record is complete.
        marks: u8 at 56,
    }

    /// [`edge::SITES`](super::edge::SITES).
    EdgeSites {
        /// Site of the new block.
        new: u32 at 0,
        /// Site of the old one, or `edge::NO_SITE`.
        old: u32 at 32,
    }

    /// [`edge::JOIN`](super::edge::JOIN).
    EdgeJoin {
        /// Frame of the new site's stack in which both meet.
        frame: u16 at 0,
        /// One of `edge::KIND_*`.
        kind: u8 at 16,
        /// Bit 7: the record is complete.
        marks: u8 at 56,
    }

    /// [`live::SITE`](super::live::SITE).
    LiveOwner {
        /// Site that allocated the block.
        site: u32 at 0,
        /// Changes whenever the record is written; odd while it is.
        generation: u32 at 32,
    }

    /// [`live::LINKS`](super::live::LINKS).
    LiveLinks {
        /// Newest history node + 1; 0: none.
        history: u32 at 0,
        /// Thread slot.
        thread: u16 at 32,
        /// Log2 of the alignment asked for.
        align_log2: u8 at 48,
        /// `live::FLAG_*`.
        flags: u8 at 56,
    }

    /// [`live::WEIGHT`](super::live::WEIGHT).
    LiveWeight {
        /// Blocks that this one stands for, in 1/256.
        weight: u32 at 0,
        /// Blocks that the map had before.
        blocks_before: u32 at 32,
    }

    /// [`history::LINKS`](super::history::LINKS).
    HistoryLinks {
        /// The node before + 1; 0: none.
        previous: u32 at 0,
        /// Edge by which the table was replaced.
        edge: u32 at 32,
    }

    /// [`event::WHAT`](super::event::WHAT).
    EventWhat {
        /// Edge or site, as the kind has it.
        subject: u32 at 0,
        /// Thread slot.
        thread: u16 at 32,
        /// One of `event::KIND_*`.
        kind: u8 at 48,
        /// `event::FLAG_*`.
        flags: u8 at 56,
    }
}

/// Bit of [`SiteStack`] and [`EdgeJoin`]: the record is complete.
pub const COMPLETE: u64 = 1 << 63;

/// Where a region lies: a row of the region table. The first word of a row is the region's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegionRow {
    /// Byte offset in this file or mapping.
    pub offset: u64,
    /// Capacity in bytes.
    pub capacity: u64,
    /// Committed bytes: all that may be read.
    pub committed: u64,
}

impl RegionRow {
    /// Word of the header that holds a region's kind.
    #[must_use]
    pub const fn kind_word(kind: usize) -> usize {
        header::REGIONS + kind * header::REGION_WORDS
    }

    /// Word of the header that holds a region's offset.
    #[must_use]
    pub const fn offset_word(kind: usize) -> usize {
        Self::kind_word(kind) + 1
    }

    /// Word of the header that holds a region's capacity.
    #[must_use]
    pub const fn capacity_word(kind: usize) -> usize {
        Self::kind_word(kind) + 2
    }

    /// Word of the header that holds a region's committed bytes.
    #[must_use]
    pub const fn committed_word(kind: usize) -> usize {
        Self::kind_word(kind) + 3
    }

    /// The row of a region, from the words of a header.
    #[must_use]
    pub fn read(kind: usize, word: impl Fn(usize) -> u64) -> Self {
        Self {
            offset: word(Self::offset_word(kind)),
            capacity: word(Self::capacity_word(kind)),
            committed: word(Self::committed_word(kind)),
        }
    }

    /// Writes the row of a region to the words of a header.
    pub fn write(self, kind: usize, mut set: impl FnMut(usize, u64)) {
        set(Self::kind_word(kind), kind as u64);
        set(Self::offset_word(kind), self.offset);
        set(Self::capacity_word(kind), self.capacity);
        set(Self::committed_word(kind), self.committed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let word = 0xFEDC_BA98_7654_3210;
        assert_eq!(Pids::unpack(word).pack(), word);
        assert_eq!(LiveLinks::unpack(word).pack(), word);
        assert_eq!(EventWhat::unpack(word).pack(), word);
        assert_eq!(SiteStack::unpack(word).pack(), word);
        let join = EdgeJoin {
            frame: 7,
            kind: 3,
            marks: 0x80,
        };
        assert_eq!(EdgeJoin::unpack(join.pack()), join);
        assert_eq!(join.pack(), COMPLETE | 3 << 16 | 7);
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let mut words = [0; header::WORDS];
        let row = RegionRow {
            offset: 1,
            capacity: 2,
            committed: 3,
        };
        row.write(4, |word, value| words[word] = value);
        assert_eq!(RegionRow::read(4, |word| words[word]), row);
        assert_eq!(words[RegionRow::kind_word(4)], 4);
    }
}
