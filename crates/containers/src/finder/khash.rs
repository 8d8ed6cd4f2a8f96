//! klib's `khash`, of which each user makes a type of their own.
//!
//! The header is how many buckets there are (a power of two), entries, buckets that are not empty and
//! how many of these it grows with, then where flags, keys and values lie. A bucket has two flags: one
//! where it is empty, the other where its entry was deleted. Of both there must be as many as the
//! header says.

use super::proof::{Header, pieces};
use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};

/// Buckets, at least and at most: of fewer the flags prove little.
const BUCKETS: std::ops::RangeInclusive<u32> = 32..=1 << 31;
/// With this part of its buckets in use it grows.
const FULL: f64 = 0.77;
/// The higher of the flags of each bucket in a word: the bucket is empty. The lower: it was deleted.
const EMPTY: u64 = 0xAAAA_AAAA_AAAA_AAAA;
const DELETED: u64 = EMPTY >> 1;

/// Words that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    flags: u64,
    keys: u64,
    values: u64,
    buckets: u64,
    entries: u64,
    taken: u64,
    most: u64,
}

impl Candidate {
    /// What the words are, if they can be a header.
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [first, second, flags, keys, values, ..] = *words;
        let (buckets, entries) = (first as u32, (first >> 32) as u32);
        let (taken, most) = (second as u32, (second >> 32) as u32);
        let sound = buckets.is_power_of_two()
            && BUCKETS.contains(&buckets)
            && most == (f64::from(buckets) * FULL + 0.5) as u32
            && entries <= taken
            && taken <= most
            && entries > 0
            && (flags | keys | values).is_multiple_of(8)
            && flags != keys
            && keys >= 4096;
        sound.then_some(Self {
            flags,
            keys,
            values,
            buckets: buckets.into(),
            entries: entries.into(),
            taken: taken.into(),
            most: most.into(),
        })
    }
}

impl Header for Candidate {
    /// Entries, and buckets of deleted ones.
    type Counted = (u64, u64);

    fn read(search: &Search<'_>, header: u64) -> Option<Self> {
        Self::of(&search.view.words(header)?)
    }

    fn table(&self) -> u64 {
        self.flags
    }

    fn count(&self, search: &Search<'_>) -> Option<(u64, u64)> {
        let bytes = self.buckets / 4;
        search.region(self.flags, bytes)?;
        search.region(self.keys, self.buckets)?;
        if self.values != 0 {
            search.region(self.values, self.buckets)?;
        }
        let (mut empty, mut deleted) = (0, 0);
        let mut sound = true;
        pieces(search, self.flags, self.flags + bytes, &mut |piece| {
            for word in piece.as_chunks::<8>().0 {
                let word = u64::from_le_bytes(*word);
                empty += u64::from((word & EMPTY).count_ones());
                deleted += u64::from((word & DELETED).count_ones());
                // None is both.
                sound &= word & DELETED & (word & EMPTY) >> 1 == 0;
            }
        })?;
        if !sound {
            return None;
        }
        Some((self.buckets - empty.min(self.buckets) - deleted, deleted))
    }

    fn agrees(&self, &(entries, deleted): &(u64, u64)) -> bool {
        (entries, entries + deleted) == (self.entries, self.taken)
    }

    fn found(&self, _: &Search<'_>, header: u64, &(entries, tombstones): &(u64, u64)) -> Found {
        let figures = Figures {
            buckets: self.buckets,
            entries,
            tombstones,
            capacity: self.most,
            growth_left: self.most - self.taken,
        };
        let mut found = Found::of(FoundFamily::Khash, header, self.flags, figures);
        found.grows_at = (self.most + 1).checked_sub(tombstones);
        found
    }
}
