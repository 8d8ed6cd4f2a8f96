//! `st_table` of Ruby (2.4 and later), which its larger hashes are.
//!
//! The header is log2 of the places for entries and of the bins, how wide a bin is, the type, how many
//! entries there are, where the bins lie, from which entry to which there may be any, and where these
//! lie. A bin names an entry, or is 0 where none is, or 1 where one was deleted; an entry that was
//! deleted has a hash of its own. Both kinds of counting must lead to as many as the header says. Small
//! tables have no bins, and are not found.

use super::proof::{Header, pieces};
use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};

/// Where the header begins before it says how many entries there are.
pub(super) const BEFORE: u64 = 16;
/// Log2 of the places for entries.
const LOG2: std::ops::Range<u8> = 3..40;
/// Bytes of an entry: hash, key, value.
const ENTRY: u64 = 24;
/// The hash of a deleted entry.
const DELETED: u64 = u64::MAX;
/// What bins hold that name no entry.
const NO_ENTRY: u64 = 2;

/// Words that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    places: u64,
    bins: u64,
    /// Bytes of a bin.
    width: u64,
    bins_at: u64,
    entries: u64,
    start: u64,
    bound: u64,
    entries_at: u64,
}

impl Candidate {
    /// Whether the words may be a header from its number of entries on.
    #[inline]
    pub(super) fn may_begin(words: &[u64; WORDS]) -> bool {
        let [entries, bins, start, bound, places, ..] = *words;
        start < bound
            && bound < 1 << 40
            && entries <= bound - start
            && entries > 0
            && (bins | places).is_multiple_of(8)
            && places >= 4096
            && bins != places
    }

    /// Where the header begins that says at `place` how many entries there are, and what it says.
    pub(super) fn at(search: &Search<'_>, place: u64) -> Option<(u64, Self)> {
        let header = place.checked_sub(BEFORE)?;
        Some((header, Self::read(search, header)?))
    }
}

impl Header for Candidate {
    /// Entries by their bins, and by their hashes.
    type Counted = (u64, u64);

    fn read(search: &Search<'_>, header: u64) -> Option<Self> {
        let [first, kind, entries, bins_at, start, bound, entries_at] =
            search.view.words(header)?;
        let [log2, log2_bins, width, ..] = first.to_le_bytes();
        let sound = LOG2.contains(&log2)
            && log2_bins == log2 + 1
            && width < 4
            && (4096..1 << 47).contains(&kind)
            && start <= bound
            && bound <= 1_u64 << log2
            && entries <= bound - start
            && bins_at != 0;
        sound.then(|| Self {
            places: 1 << log2,
            bins: 1 << log2_bins,
            width: 1 << width,
            bins_at,
            entries,
            start,
            bound,
            entries_at,
        })
    }

    fn table(&self) -> u64 {
        self.entries_at
    }

    fn count(&self, search: &Search<'_>) -> Option<(u64, u64)> {
        let bytes = self.bins.checked_mul(self.width)?;
        search.region(self.bins_at, bytes)?;
        search.region(self.entries_at, self.places.checked_mul(ENTRY)?)?;
        let (mut by_bins, mut by_hashes) = (0, 0);
        let width = usize::try_from(self.width).ok()?;
        pieces(search, self.bins_at, self.bins_at + bytes, &mut |piece| {
            let bin = |bytes: &[u8]| {
                bytes
                    .iter()
                    .rev()
                    .fold(0, |bin, &byte| bin << 8 | u64::from(byte))
            };
            by_bins += piece
                .chunks_exact(width)
                .filter(|bytes| bin(bytes) >= NO_ENTRY)
                .count() as u64;
        })?;
        let entry = |index: u64| self.entries_at + index * ENTRY;
        pieces(search, entry(self.start), entry(self.bound), &mut |piece| {
            let hash = |entry: &[u8]| super::word(entry, 0);
            let entries = piece.chunks_exact(ENTRY as usize);
            by_hashes += entries.filter(|entry| hash(entry) != Some(DELETED)).count() as u64;
        })?;
        Some((by_bins, by_hashes))
    }

    fn agrees(&self, &(by_bins, by_hashes): &(u64, u64)) -> bool {
        by_bins == self.entries && by_hashes == self.entries
    }

    fn found(&self, _: &Search<'_>, header: u64, _: &(u64, u64)) -> Found {
        // A place is not used a second time before the table is made anew.
        let tombstones = self.bound - self.entries;
        let figures = Figures {
            buckets: self.places,
            entries: self.entries,
            tombstones,
            capacity: self.places,
            growth_left: self.places - self.bound,
        };
        let mut found = Found::of(FoundFamily::RubyStTable, header, self.entries_at, figures);
        found.bytes = Some(self.places * ENTRY + self.bins * self.width);
        found.occupancy.element_bytes = Some(ENTRY);
        found.grows_at = Some(self.places - tombstones + 1);
        found
    }
}
