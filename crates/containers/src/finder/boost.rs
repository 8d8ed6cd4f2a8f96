//! `unordered_flat_map` and `unordered_flat_set` of Boost (1.81).
//!
//! The header is how many entries there are, what says how many groups of 15 slots there are (the bits
//! of an address less their log2) and how many less one, where groups and elements lie, and with how
//! many entries it grows. A group is a byte for each slot (0 of one that is free, from 2 on of an entry)
//! and one more; the last slot of the last group has a 1. There must be as many entries as the header says, and
//! the groups begin where the elements end.

use super::proof::{Header, pieces};
use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};

/// Where the header begins before it says how many groups there are.
pub(super) const BEFORE: u64 = 8;
const BITS: u64 = 64;
/// Groups that there can be.
const MOST: u64 = 1 << 36;
/// Bytes of a group, and its slots.
const GROUP: u64 = 16;
const SLOTS: u64 = 15;
const SENTINEL: u8 = 1;
/// So many slots are all used before it grows; of more seven in eight are.
const FEW: u64 = 2 * SLOTS - 1;

/// Words that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    entries: u64,
    groups: u64,
    groups_at: u64,
    elements_at: u64,
    most: u64,
}

impl Candidate {
    /// Whether the words may be a header from where it says how many groups there are.
    #[inline]
    pub(super) fn may_begin(words: &[u64; WORDS]) -> bool {
        let [index, mask, groups, elements, ..] = *words;
        let count = mask.wrapping_add(1);
        count.is_power_of_two()
            && count <= MOST
            // A single group has the same as two.
            && index == BITS - u64::from(count.max(2).trailing_zeros())
            && groups.is_multiple_of(GROUP)
            && (4096..groups).contains(&elements)
    }

    /// Where the header begins that says at `place` how many groups there are, and what it says.
    pub(super) fn at(search: &Search<'_>, place: u64) -> Option<(u64, Self)> {
        let header = place.checked_sub(BEFORE)?;
        Some((header, Self::read(search, header)?))
    }

    /// Slots that can have an element: the last one of all has none.
    fn slots(&self) -> u64 {
        self.groups * SLOTS - 1
    }

    /// With how many entries a table that is new grows.
    fn capacity(&self) -> u64 {
        match self.slots() {
            few if few <= FEW => few,
            slots => (slots as f32 * 0.875) as u64,
        }
    }

    /// Bytes of an element: so that behind all of them, and up to 15 bytes, the groups begin.
    fn element(&self) -> Option<u64> {
        let (data, slots) = (self.groups_at - self.elements_at, self.slots());
        let (least, most) = (data.saturating_sub(GROUP - 1).div_ceil(slots), data / slots);
        (least <= most && most > 0).then_some(())?;
        (least == most).then_some(most)
    }
}

impl Header for Candidate {
    /// Entries, and whether the last slot has its mark.
    type Counted = (u64, bool);

    fn read(search: &Search<'_>, header: u64) -> Option<Self> {
        let [entries, index, mask, groups_at, elements_at, most] = search.view.words(header)?;
        let words = [index, mask, groups_at, elements_at, most, 0, 0, 0];
        if !Self::may_begin(&words) {
            return None;
        }
        let candidate = Self {
            entries,
            groups: mask + 1,
            groups_at,
            elements_at,
            most,
        };
        let data = groups_at - elements_at;
        let sound = data >= candidate.slots()
            && most <= candidate.capacity()
            && entries <= candidate.capacity();
        sound.then_some(candidate)
    }

    fn table(&self) -> u64 {
        self.groups_at
    }

    fn count(&self, search: &Search<'_>) -> Option<(u64, bool)> {
        let bytes = self.groups.checked_mul(GROUP)?;
        search.region(self.elements_at, self.groups_at - self.elements_at + bytes)?;
        let (mut entries, mut last) = (0, 0);
        pieces(
            search,
            self.groups_at,
            self.groups_at + bytes,
            &mut |piece| {
                for group in piece.as_chunks::<16>().0 {
                    let [slots @ .., _] = group;
                    entries += slots.iter().filter(|&&slot| slot > SENTINEL).count() as u64;
                    last = *slots.last().unwrap_or(&0);
                }
            },
        )?;
        Some((entries, last == SENTINEL))
    }

    fn agrees(&self, &(entries, marked): &(u64, bool)) -> bool {
        marked && entries == self.entries
    }

    fn found(&self, _: &Search<'_>, header: u64, &(entries, _): &(u64, bool)) -> Found {
        let capacity = self.capacity();
        let figures = Figures {
            buckets: self.slots(),
            entries,
            // Whatever was deleted where a probe had gone on takes room until the table is made anew.
            tombstones: capacity - self.most,
            capacity,
            growth_left: self.most.saturating_sub(entries),
        };
        let mut found = Found::of(FoundFamily::BoostFlat, header, self.groups_at, figures);
        found.block = Some(self.elements_at);
        found.occupancy.element_bytes = self.element();
        found.bytes = self.element().map(|element| {
            let bytes = element * self.slots() + GROUP * (self.groups + 1) - 1;
            bytes.next_multiple_of(element)
        });
        found.grows_at = Some(self.most + 1);
        found.doubtful = entries == 0;
        found
    }
}
