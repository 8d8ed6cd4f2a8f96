//! Abseil's `flat_hash_map`, `node_hash_map` and their sets.
//!
//! The header says where the control bytes and the slots lie, how many slots there are (2^n - 1) and
//! how many entries; the versions have these in another order, and some have a bit of something
//! else below the entries. There must be as many control bytes of entries as it says, the one
//! behind the last slot is the sentinel, and the first ones are repeated behind it. The slots follow
//! at once.

use mapgrow_system::memory::Memory;

use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};
use crate::occupancy::abseil::{self, SENTINEL};

/// Slots less so many prove little.
const LEAST_SLOTS: u64 = 15;
const MOST_SLOTS: u64 = 1 << 40;
/// Control bytes that are repeated, with SSE2.
const MIRROR: u64 = 15;
/// Most that alignment of the slots takes.
const ALIGN: u64 = 64;
/// What may lie before the control bytes: nothing, room left, or a handle too.
const BEFORE: [u64; 3] = [0, 8, 16];
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;
/// Control bytes read at once.
const CHUNK: usize = 16 << 10;
/// Where glibc has the size of a block, and how it rounds.
const FLAGS: u64 = 7;
const MAPPED: u64 = 2;
const UNIT: u64 = 16;
const PAGE: u64 = 4096;
const MOST_BLOCK: u64 = 1 << 47;

/// Words that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    control: u64,
    slots_at: u64,
    slots: u64,
    entries: u64,
}

impl Candidate {
    /// What the words are, if they can be a header.
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [a, b, c, d, ..] = *words;
        // Until 2023, that year, and since.
        Self::new(a, b, d, c)
            .or_else(|| Self::new(a, b, c, d >> 1))
            .or_else(|| Self::new(c, d, a, b >> 1))
    }

    #[inline]
    fn new(control: u64, slots_at: u64, slots: u64, entries: u64) -> Option<Self> {
        if slots & slots.wrapping_add(1) != 0 || !(LEAST_SLOTS..MOST_SLOTS).contains(&slots) {
            return None;
        }
        let control_bytes = slots + 1 + MIRROR;
        let between = slots_at.wrapping_sub(control).wrapping_sub(control_bytes);
        let sound = slots_at > control && between < ALIGN && entries <= abseil::capacity(slots);
        sound.then_some(Self {
            control,
            slots_at,
            slots,
            entries,
        })
    }
}

/// Finds out whether the candidate at `header` is a container, and adds it if so.
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    let bytes = candidate.slots_at - candidate.control + candidate.slots;
    if search.region(candidate.control, bytes).is_none() || search.met(candidate.control, header) {
        return;
    }
    match deleted(search, &candidate) {
        Some(Some(deleted)) => return settle(search, header, &candidate, deleted),
        Some(None) => {}
        None => return,
    }
    search.anew(|search| {
        let mut now = candidate;
        let mut changed = false;
        for _ in 0..ATTEMPTS {
            let counted = deleted(search, &now);
            let after = (search.view.words(header)).and_then(|words| Candidate::of(&words));
            let Some(after) =
                after.filter(|after| search.region(after.control, after.slots).is_some())
            else {
                break;
            };
            if after == now {
                if let Some(Some(deleted)) = counted {
                    settle(search, header, &now, deleted);
                }
                return;
            }
            changed = true;
            now = after;
        }
        search.finding.changed_while_read += u64::from(changed);
    });
}

/// How many slots are marked as deleted, if there are as many entries as the header says; `None`
/// where there are no control bytes.
fn deleted(search: &Search<'_>, candidate: &Candidate) -> Option<Option<u64>> {
    let (control, slots) = (candidate.control, candidate.slots);
    let mut end = [0; 1 + MIRROR as usize];
    let mut first = [0; MIRROR as usize];
    let ends = search.view.read(control + slots, &mut end) && end[0] == SENTINEL;
    if !ends || !search.view.read(control, &mut first) {
        return None;
    }
    let mut counts = abseil::Counts::default();
    let mut buffer = [0; CHUNK];
    let mut at = 0;
    while at < slots {
        let length = usize::try_from(slots - at).ok()?.min(CHUNK);
        let bytes = buffer.get_mut(..length)?;
        if !search.view.read(control + at, bytes) {
            return None;
        }
        counts.add(bytes)?;
        at += length as u64;
    }
    let agrees = end[1..] == first && counts.full == candidate.entries;
    Some(agrees.then_some(counts.deleted))
}

fn settle(search: &mut Search<'_>, header: u64, candidate: &Candidate, deleted: u64) {
    let Candidate {
        control,
        slots,
        entries,
        ..
    } = *candidate;
    let capacity = abseil::capacity(slots);
    let growth_left = capacity.saturating_sub(entries + deleted);
    let figures = Figures {
        buckets: slots,
        entries,
        tombstones: deleted,
        capacity,
        growth_left,
    };
    let mut found = Found::of(FoundFamily::AbseilFlat, header, control, figures);
    // Where a quarter and more would be tombstones, they are cleared in place.
    let last = entries + growth_left;
    let cleared = deleted > 0 && last * 32 <= slots * 25;
    found.grows_at = Some(if cleared { capacity } else { last } + 1);
    found.doubtful = entries == 0;
    if let Some(block) = block(search, candidate) {
        let retained = match entries {
            0 => Some(block.bytes),
            _ => block
                .bytes
                .checked_sub(block.bytes_with(abseil::slots(entries))),
        };
        found.block = Some(block.start);
        found.bytes = Some(block.bytes);
        found.next_bytes = Some(block.bytes_with(slots * 2 + 1));
        found.occupancy.element_bytes = Some(block.slot);
        found.occupancy.retained_bytes = retained;
    }
    search.add(found);
}

/// The block that a table lies in.
struct Block {
    start: u64,
    bytes: u64,
    /// Bytes of a slot.
    slot: u64,
    before: u64,
}

impl Block {
    /// Bytes of a table with so many slots.
    fn bytes_with(&self, slots: u64) -> u64 {
        // Two and all that it divides come to the same: the control bytes are one less than even.
        let align = if self.slot.is_multiple_of(2) { 2 } else { 1 };
        (self.before + slots + 1 + MIRROR).next_multiple_of(align) + slots * self.slot
    }
}

/// The block by glibc's word before it, if that fits one size of slots.
fn block(search: &Search<'_>, candidate: &Candidate) -> Option<Block> {
    let mut fits = BEFORE.iter().filter_map(|&before| {
        let start = candidate.control.checked_sub(before)?;
        let word = search.view.word(start.checked_sub(8)?)?;
        let (size, control) = (word & !FLAGS, candidate.slots_at - start);
        if size > MOST_BLOCK {
            return None;
        }
        let rounded = |bytes: u64| match word & MAPPED {
            0 => (bytes + 8).next_multiple_of(UNIT),
            _ => (bytes + UNIT).next_multiple_of(PAGE),
        };
        if !start.is_multiple_of(UNIT) || size <= control {
            return None;
        }
        let most = (size - control) / candidate.slots;
        let mut slots = (most.saturating_sub(1)..=most)
            .filter(|slot| *slot > 0 && rounded(control + candidate.slots * slot) == size);
        let slot = slots.next().filter(|_| slots.next().is_none())?;
        let bytes = control + candidate.slots * slot;
        search.region(start, bytes)?;
        Some(Block {
            start,
            bytes,
            slot,
            before,
        })
    });
    fits.next().filter(|_| fits.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_versions_are_candidates_and_wild_words_are_none() {
        let (control, slots_at) = (0x7f00_0000_1000, 0x7f00_0000_1000 + 1024 + 16);
        for words in [
            [control, slots_at, 500, 1023, 0, 0, 0, 0],
            [control, slots_at, 1023, 1001, 0, 0, 0, 0],
            [1023, 1000, control, slots_at, 0, 0, 0, 0],
        ] {
            let candidate = Candidate::of(&words).expect("a header");
            assert_eq!((candidate.slots, candidate.entries), (1023, 500));
        }
        let wild = [
            0,
            1,
            15,
            1023,
            u64::MAX,
            u64::MAX - 15,
            1 << 63,
            control,
            slots_at,
        ];
        for at in 0..wild.len().pow(4) {
            let word = |place: u32| wild[at / wild.len().pow(place) % wild.len()];
            let words = [word(0), word(1), word(2), word(3), 0, 0, 0, 0];
            if let Some(candidate) = Candidate::of(&words) {
                assert_eq!(candidate.control, control, "{words:x?}");
            }
        }
    }
}
