//! Keys of CPython's dicts before 3.11 (3.6 to 3.10).
//!
//! They begin with a count of references (1 of a dict's own), how many slots there are, a function, how
//! many entries are usable yet and how many are used. The index follows, which has the number of an entry
//! or less than 0, then the entries: hash, key, value. An entry without a value was deleted. As many as are
//! left must be in the index.

use super::proof::pieces;
use super::{Search, word};
use crate::occupancy::cpython::{OLDER_HEADER as HEADER, dict_bytes};
use crate::occupancy::{Foreign, ForeignKind};

const ENTRY: u64 = 24;
const SLOTS: std::ops::Range<u64> = 8..1 << 40;

/// The keys at `address`, and the bytes of their block.
pub(super) fn keys(search: &Search<'_>, address: u64) -> Option<(Foreign, u64)> {
    let [references, slots, lookup, usable, used] = search.view.words(address)?;
    let sound = references == 1
        && slots.is_power_of_two()
        && SLOTS.contains(&slots)
        && (4096..1 << 47).contains(&lookup);
    if !sound {
        return None;
    }
    let capacity = slots * 2 / 3;
    let bytes = dict_bytes(HEADER, slots, ENTRY);
    search.region(address, bytes)?;
    // Whoever takes the last entry out does not get its place back.
    if usable.checked_add(used)? > capacity {
        return None;
    }
    let index = address + HEADER;
    let first = address + bytes - capacity * ENTRY;
    let width = usize::try_from((first - index) / slots).ok()?;
    let mut named = 0_u64;
    pieces(search, index, first, &mut |piece| {
        // Less than 0 is none, or one that was deleted.
        let names = |place: &[u8]| place.last().is_some_and(|&byte| byte < 0x80);
        named += piece
            .chunks_exact(width)
            .filter(|place| names(place))
            .count() as u64;
    })?;
    let mut deleted = 0;
    pieces(search, first, first + used * ENTRY, &mut |piece| {
        let entries = piece.chunks_exact(ENTRY as usize);
        deleted += entries.filter(|entry| word(entry, 16) == Some(0)).count() as u64;
    })?;
    let entries = used - deleted;
    (named == entries).then_some((
        Foreign {
            kind: ForeignKind::CpythonKeys,
            buckets: slots,
            buckets_used: Some(used),
            entries: Some(entries),
            tombstones: Some(capacity - usable - entries),
            capacity: Some(capacity),
            growth_left: Some(usable),
        },
        bytes,
    ))
}
