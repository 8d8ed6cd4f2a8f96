//! Tables of Abseil's `flat_hash_map`, `node_hash_map` and their sets.
//!
//! ```text
//! | (growth info) | one control byte for each slot | sentinel | mirror | padding | slots |
//! ```
//!
//! There are 2^n - 1 slots. A control byte is 0x80 where the slot is empty, 0xFE where an entry was
//! deleted, and below 0x80 where there is one; the sentinel is 0xFF. The mirror repeats the first
//! control bytes, one less than a group has. Since 2023 a word or two come before all this.

use super::BlockReader;
use super::foreign::{CHUNK, Foreign, ForeignKind};

/// Bytes of the mirror, with SSE2 and without.
const MIRRORS: [u64; 2] = [15, 7];
/// Bytes before the control bytes.
const BEFORE: [u64; 3] = [0, 8, 16];
/// Alignments of slots.
const ALIGNMENTS: [u64; 5] = [1, 2, 4, 8, 16];
/// Larger tables are not looked through.
const MOST_SLOTS: u64 = 1 << 26;
const EMPTY: u8 = 0x80;
const DELETED: u8 = 0xFE;
/// The control byte behind those of the slots.
pub(crate) const SENTINEL: u8 = 0xFF;

/// Entries that so many slots take before the table grows.
pub(crate) fn capacity(slots: u64) -> u64 {
    slots - slots / 8
}

/// Slots of a table that is made anew for so many entries.
pub(crate) fn slots(entries: u64) -> u64 {
    let mut slots = 1;
    while capacity(slots) < entries && slots < MOST_SLOTS << 8 {
        slots = slots * 2 + 1;
    }
    slots
}

/// What control bytes say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Slots with an entry.
    pub(crate) full: u64,
    /// Slots whose entry was deleted.
    pub(crate) deleted: u64,
}

impl Counts {
    /// Counts more of them; `None` where one is none.
    pub(crate) fn add(&mut self, control: &[u8]) -> Option<()> {
        for &byte in control {
            match byte {
                EMPTY => {}
                DELETED => self.deleted += 1,
                0..EMPTY => self.full += 1,
                _ => return None,
            }
        }
        Some(())
    }
}

/// Reads a block as such a table.
pub(super) fn table(reader: &mut impl BlockReader, bytes: u64) -> Option<Foreign> {
    let sizes = (4..).map(|log2| (1_u64 << log2) - 1);
    let sizes = sizes.take_while(|&slots| slots < bytes && slots <= MOST_SLOTS);
    for slots in sizes {
        for (before, mirror) in BEFORE.into_iter().flat_map(|at| MIRRORS.map(|of| (at, of))) {
            if !fits(bytes, slots, before + slots + 1 + mirror) {
                continue;
            }
            if let Some(found) = read(reader, slots, before, mirror as usize) {
                return Some(found);
            }
        }
    }
    None
}

/// Whether slots that are aligned behind `control` bytes fill the block to its last byte.
fn fits(bytes: u64, slots: u64, control: u64) -> bool {
    ALIGNMENTS.into_iter().any(|align| {
        let left = bytes.checked_sub(control.next_multiple_of(align));
        left.is_some_and(|left| {
            left > 0 && left.is_multiple_of(slots) && (left / slots).is_multiple_of(align)
        })
    })
}

fn read(reader: &mut impl BlockReader, slots: u64, before: u64, mirror: usize) -> Option<Foreign> {
    let mut end = [0; 16];
    let end = end.get_mut(..=mirror)?;
    if !reader.read(before + slots, end) || *end.first()? != SENTINEL {
        return None;
    }
    let mut counts = Counts::default();
    let mut buffer = [0; CHUNK];
    let mut at = 0;
    while at < slots {
        let length = usize::try_from(slots - at).ok()?.min(CHUNK);
        let control = buffer.get_mut(..length)?;
        if !reader.read(before + at, control) {
            return None;
        }
        if at == 0 && control.get(..mirror)? != end.get(1..)? {
            return None;
        }
        counts.add(control)?;
        at += length as u64;
    }
    let Counts { full, deleted } = counts;
    let capacity = capacity(slots);
    (full <= capacity).then(|| Foreign {
        kind: ForeignKind::Abseil,
        buckets: slots,
        buckets_used: Some(full + deleted),
        entries: Some(full),
        tombstones: Some(deleted),
        capacity: Some(capacity),
        growth_left: Some(capacity.saturating_sub(full + deleted)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of 2^10 - 1 slots of 24 bytes, with `full` entries.
    fn bytes_of(before: usize, full: usize) -> Vec<u8> {
        let mut control = vec![EMPTY; 1023];
        for at in 0..full {
            control[at * 37 % 1023] = (at % 128) as u8;
        }
        control[5] = DELETED;
        let mut bytes = vec![7; before];
        bytes.extend(&control);
        bytes.push(SENTINEL);
        bytes.extend(&control[..15]);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.resize(bytes.len() + 1023 * 24, 9);
        bytes
    }

    #[test]
    fn a_table_tells_its_entries() {
        for before in [0, 8, 16] {
            let bytes = bytes_of(before, 100);
            let told = table(&mut &bytes[..], bytes.len() as u64).expect("a table");
            assert_eq!((told.buckets, told.capacity), (1023, Some(896)));
            let taken = told.entries.zip(told.tombstones);
            assert!(
                taken == Some((100, 1)) || taken == Some((99, 1)),
                "{told:?}"
            );
            // 127 slots take so many.
            let (least, most) = told.retained(bytes.len() as u64).expect("a figure");
            let needed = 127 * 25 + 16 + before as u64;
            let truth = bytes.len() as u64 - needed;
            assert!((least..=most).contains(&truth), "{least} {truth} {most}");
        }
    }

    #[test]
    fn a_block_that_contradicts_itself_is_none() {
        let good = bytes_of(8, 100);
        for at in [8, 9, 8 + 1023, 8 + 1024, 8 + 1030] {
            let mut bytes = good.clone();
            bytes[at] = 0xF0;
            assert_eq!(table(&mut &bytes[..], bytes.len() as u64), None, "{at}");
        }
        let zeros = vec![0; good.len()];
        assert_eq!(table(&mut &zeros[..], zeros.len() as u64), None);
    }

    #[test]
    fn a_new_table_is_as_large_as_it_must_be() {
        for (entries, least) in [(0, 1), (1, 1), (2, 3), (7, 7), (8, 15), (14, 15), (15, 31)] {
            assert_eq!(slots(entries), least, "{entries}");
        }
    }
}
