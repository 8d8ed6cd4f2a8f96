//! Tables of CPython's dicts and sets.
//!
//! `PyDictKeysObject` (3.11 and later: `Include/internal/pycore_dict.h`) begins with a reference
//! count, log2 of the slots, log2 of the bytes of its index, a kind, and how many entries are
//! still usable and how many are used; the index and the entries follow. Size of the block and
//! sum of the two counts follow from the rest: a block for which they do not agree is none. An
//! entry without a value was deleted.
//!
//! A set has pairs of key and hash (`Include/cpython/setobject.h`): both are null where nothing
//! is, and all deleted entries have the same key and the hash -1.

use super::BlockReader;
use super::foreign::{CHUNK, Foreign, ForeignKind, HIGHEST, word};

const HEADER: u64 = 32;
/// Before 3.11.
pub(crate) const OLDER_HEADER: u64 = 40;
/// Bytes of an entry: with the hash, or of string keys, which know their own.
const ENTRY: [u64; 2] = [24, 16];
/// Bytes of a set's place.
const SLOT: u64 = 16;

/// Slots of a dict that is made anew for so many entries.
pub(super) fn dict_slots(entries: u64) -> u64 {
    let least = entries.saturating_mul(3).div_ceil(2).max(8);
    least.checked_next_power_of_two().unwrap_or(1 << 63)
}

/// Bytes of a dict's keys with so many slots: a header, an index whose places are as wide as numbers
/// of slots are (`new_keys_object` in CPython's `dictobject.c`), and room for two entries in three
/// slots.
pub(crate) fn dict_bytes(header: u64, slots: u64, entry: u64) -> u64 {
    let place = match slots.checked_ilog2().unwrap_or(0) {
        0..8 => 1,
        8..16 => 2,
        16..32 => 4,
        _ => 8,
    };
    (header + slots * place).saturating_add((slots * 2 / 3).saturating_mul(entry))
}

/// Bytes that the keys of a dict have beyond those of one made anew for its entries; `None` where
/// `bytes` are not those of so many slots.
pub(crate) fn dict_retained(slots: u64, entries: u64, bytes: u64) -> Option<u64> {
    let with_keys = |&header: &u64| ENTRY.map(|entry| (header, entry));
    let kinds = [HEADER, OLDER_HEADER];
    let mut kinds = kinds.iter().flat_map(with_keys);
    let (header, entry) =
        kinds.find(|&(header, entry)| dict_bytes(header, slots, entry) == bytes)?;
    Some(bytes.saturating_sub(dict_bytes(header, dict_slots(entries), entry)))
}

/// Bytes that the table of a set has beyond those of one made anew for its entries.
pub(crate) fn set_retained(entries: u64, bytes: u64) -> u64 {
    bytes.saturating_sub(set_slots(entries).saturating_mul(SLOT))
}

/// Slots of a set that is made anew for so many entries; the smallest are part of the object.
pub(super) fn set_slots(entries: u64) -> u64 {
    match entries {
        0..=4 => 0,
        _ => (entries.saturating_mul(2) + 1)
            .checked_next_power_of_two()
            .unwrap_or(1 << 63),
    }
}

pub(super) fn dict(reader: &mut impl BlockReader, bytes: u64) -> Option<Foreign> {
    let mut header = [0; HEADER as usize];
    if bytes < HEADER || !reader.read(0, &mut header) {
        return None;
    }
    let (log2, index_log2, kind) = (*header.get(8)?, *header.get(9)?, *header.get(10)?);
    let (usable, used) = (word(&header, 16)?, word(&header, 24)?);
    let entry = *ENTRY.get(usize::from(kind))?;
    if !(3..48).contains(&log2) || !(log2..=log2 + 3).contains(&index_log2) {
        return None;
    }
    let slots = 1_u64 << log2;
    let capacity = slots * 2 / 3;
    let index = 1_u64 << index_log2;
    let whole = HEADER
        .checked_add(index)?
        .checked_add(capacity.checked_mul(entry)?)?;
    if whole != bytes || usable.checked_add(used) != Some(capacity) {
        return None;
    }
    let mut deleted = 0;
    let mut buffer = [0; CHUNK / 48 * 48];
    let mut done = 0;
    while done < used {
        let batch = (used - done).min(buffer.len() as u64 / entry);
        let read = buffer.get_mut(..(batch * entry) as usize)?;
        if !reader.read(HEADER + index + done * entry, read) {
            return None;
        }
        // The value is the last word of an entry.
        let entries = read.chunks_exact(entry as usize);
        deleted += entries
            .filter(|&entry| word(entry, entry.len() - 8) == Some(0))
            .count() as u64;
        done += batch;
    }
    Some(Foreign {
        kind: ForeignKind::CpythonKeys,
        buckets: slots,
        buckets_used: Some(used),
        entries: Some(used - deleted),
        tombstones: Some(deleted),
        capacity: Some(capacity),
        growth_left: Some(usable),
    })
}

/// Slots of a set.
pub(super) fn set(reader: &mut impl BlockReader, bytes: u64) -> Option<Foreign> {
    let slots = bytes / SLOT;
    if !bytes.is_multiple_of(SLOT) || !slots.is_power_of_two() || slots < 16 {
        return None;
    }
    let (mut used, mut deleted) = (0_u64, 0_u64);
    let mut dummy = None;
    let mut buffer = [0; CHUNK];
    let mut at = 0;
    while at < bytes {
        let length = usize::try_from(bytes - at).ok()?.min(CHUNK);
        let read = buffer.get_mut(..length)?;
        if !reader.read(at, read) {
            return None;
        }
        for slot in read.chunks_exact(SLOT as usize) {
            let (key, hash) = (word(slot, 0)?, word(slot, 8)?);
            match (key, hash) {
                (0, 0) => continue,
                (0, _) => return None,
                // No object has this hash.
                (key, u64::MAX) if *dummy.get_or_insert(key) == key => deleted += 1,
                (_, u64::MAX) => return None,
                _ => used += 1,
            }
            if key % 8 != 0 || !(4096..HIGHEST).contains(&key) {
                return None;
            }
        }
        at += length as u64;
    }
    let capacity = (slots - 1) * 3 / 5 + 1;
    let taken = used + deleted;
    (taken <= capacity).then(|| Foreign {
        kind: ForeignKind::CpythonSet,
        buckets: slots,
        buckets_used: Some(taken),
        entries: Some(used),
        tombstones: Some(deleted),
        capacity: Some(capacity),
        growth_left: Some(capacity - taken),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(slots: usize, of: impl Fn(usize) -> (u64, u64)) -> Vec<u8> {
        let words = (0..slots).map(of).flat_map(|(key, hash)| [key, hash]);
        words.flat_map(u64::to_le_bytes).collect()
    }

    #[test]
    fn a_set_tells_its_entries_and_what_was_deleted() {
        let bytes = slots(64, |at| match at % 8 {
            0 => (0x7000_0000 + at as u64 * 8, at as u64),
            1 => (0x5000_0000, u64::MAX),
            _ => (0, 0),
        });
        let told = set(&mut &bytes[..], bytes.len() as u64).expect("a set");
        assert_eq!((told.entries, told.tombstones), (Some(8), Some(8)));
        assert_eq!((told.capacity, told.growth_left), (Some(38), Some(22)));
        // 8 entries take 32 slots.
        assert_eq!(told.retained(1024), Some((512, 512)));
        for broken in [
            slots(64, |at| (0, u64::from(at == 3))),
            slots(64, |at| (0x5000_0000 + at as u64 * 8, u64::MAX)),
            slots(64, |_| (0x5000_0000, 7)),
            slots(64, |at| (u64::from(at == 3), 7)),
        ] {
            assert_eq!(set(&mut &broken[..], broken.len() as u64), None);
        }
    }
}
