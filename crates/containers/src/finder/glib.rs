//! GLib's `GHashTable` (2.64 and later).
//!
//! The header is how many places there are (a power of two), the prime number that hashes are divided
//! by and a mask that both follow from it, how many entries there are and how many places are taken,
//! two flags, and where keys, hashes and values lie. Each hash is 0 where nothing is, 1 where something
//! was deleted, else that of an entry: of both there must be as many as the header says.

use super::proof::{Header, pieces};
use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};

/// Log2 of the places.
const LOG2: std::ops::Range<u32> = 3..31;
/// What hashes are divided by, by log2 of the places (`prime_mod` in GLib's `ghash.c`).
const PRIMES: [u32; 32] = [
    1,
    2,
    3,
    7,
    13,
    31,
    61,
    127,
    251,
    509,
    1021,
    2039,
    4093,
    8191,
    16381,
    32749,
    65521,
    131_071,
    262_139,
    524_287,
    1_048_573,
    2_097_143,
    4_194_301,
    8_388_593,
    16_777_213,
    33_554_393,
    67_108_859,
    134_217_689,
    268_435_399,
    536_870_909,
    1_073_741_789,
    2_147_483_647,
];
/// Where the header begins before it names the keys.
pub(super) const BEFORE: u64 = 32;
/// Hashes that no entry has.
const UNUSED: u32 = 0;
const DELETED: u32 = 1;
/// References that a table can have.
const REFERENCES: std::ops::Range<u32> = 1..1 << 20;

/// Words that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    keys: u64,
    hashes: u64,
    values: u64,
    places: u64,
    entries: u64,
    taken: u64,
    /// Bytes of a key and of a value; sets have no values of their own.
    each: u64,
}

impl Candidate {
    /// Whether the words may be a header from where it names the keys on.
    #[inline]
    pub(super) fn may_begin(words: &[u64; WORDS]) -> bool {
        let [keys, hashes, values, function, _, references, ..] = *words;
        let aligned = (keys | hashes | values).is_multiple_of(8) && keys != hashes;
        aligned && hashes != values && function >= 4096 && REFERENCES.contains(&(references as u32))
    }

    /// Where the header begins that names the keys at `place`, and what it says.
    pub(super) fn at(search: &Search<'_>, place: u64) -> Option<(u64, Self)> {
        let header = place.checked_sub(BEFORE)?;
        Some((header, Self::read(search, header)?))
    }
}

/// The two halves of a word.
fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

impl Header for Candidate {
    /// Entries, and places of deleted ones.
    type Counted = (u64, u64);

    fn read(search: &Search<'_>, header: u64) -> Option<Self> {
        let [places, numbers, counts, flags, keys, hashes, values] = search.view.words(header)?;
        let ((prime, mask), (entries, taken)) = (halves(numbers), halves(counts));
        let log2 = places.is_power_of_two().then(|| places.trailing_zeros())?;
        let big = |flag: u64| if flags & flag == 0 { 4 } else { 8 };
        let sound = LOG2.contains(&log2)
            && PRIMES.get(log2 as usize) == Some(&prime)
            && u64::from(mask) == places - 1
            && entries <= taken
            && u64::from(taken) <= places;
        sound.then(|| Self {
            keys,
            hashes,
            values,
            places,
            entries: entries.into(),
            taken: taken.into(),
            each: if keys == values {
                big(1)
            } else {
                big(1) + big(2)
            },
        })
    }

    fn table(&self) -> u64 {
        self.hashes
    }

    fn count(&self, search: &Search<'_>) -> Option<(u64, u64)> {
        let bytes = self.places.checked_mul(4)?;
        search.region(self.hashes, bytes)?;
        search.region(self.keys, bytes)?;
        search.region(self.values, bytes)?;
        let (mut entries, mut deleted) = (0, 0);
        pieces(search, self.hashes, self.hashes + bytes, &mut |piece| {
            for hash in piece.as_chunks::<4>().0 {
                match u32::from_le_bytes(*hash) {
                    UNUSED => {}
                    DELETED => deleted += 1,
                    _ => entries += 1,
                }
            }
        })?;
        Some((entries, deleted))
    }

    fn agrees(&self, &(entries, deleted): &(u64, u64)) -> bool {
        (entries, entries + deleted) == (self.entries, self.taken)
    }

    fn found(&self, _: &Search<'_>, header: u64, &(entries, tombstones): &(u64, u64)) -> Found {
        // It grows when, with a sixteenth more, all places would be taken (`g_hash_table_maybe_resize`).
        let room = |taken: &u64| taken + taken / 16 < self.places;
        let least = self.places / 17 * 16;
        let capacity = (least..self.places)
            .take_while(room)
            .last()
            .unwrap_or(least);
        let figures = Figures {
            buckets: self.places,
            entries,
            tombstones,
            capacity,
            growth_left: capacity.saturating_sub(self.taken),
        };
        let mut found = Found::of(FoundFamily::GlibHashTable, header, self.hashes, figures);
        found.bytes = Some(self.places * (4 + self.each));
        found.occupancy.element_bytes = Some(4 + self.each);
        found.grows_at = (capacity + 1).checked_sub(tombstones);
        // What nobody used yet could be anything else.
        found.doubtful = self.taken == 0;
        found
    }
}
