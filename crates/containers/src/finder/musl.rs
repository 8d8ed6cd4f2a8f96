//! The blocks of musl's allocator ("mallocng", from 1.2.1 on).
//!
//! The eight bytes before a block say how far its group begins before it, and which of the group's
//! slots it is. The group leads to its record, and the record back to the group: that proves both.
//! The bytes that were asked for follow from the size of a slot and from how much of it is spare.
//! (musl's `src/malloc/mallocng/meta.h` has the layout and the checks that are repeated here.)

use super::view::View;

/// What sizes and distances are multiples of.
const UNIT: u64 = 16;
const PAGE: u64 = 4096;
/// Bytes of a slot that are the next one's.
const NEXT_HEADER: u64 = 4;
/// Slots of a group at most.
const SLOTS: u64 = 32;
/// The class of a group with a single block, which was mapped for it.
const MAPPED: u64 = 63;
/// Sizes of slots in units, by class.
const CLASSES: [u16; 48] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 20, 25, 31, 36, 42, 50, 63, 72, 84, 102, 127, 146,
    170, 204, 255, 292, 340, 409, 511, 584, 682, 818, 1023, 1169, 1364, 1637, 2047, 2340, 2730,
    3276, 4095, 4680, 5460, 6552, 8191,
];

/// A group's record: its members before these are links.
struct Group {
    /// Where the group begins.
    start: u64,
    /// Slots that were never used or that were freed, bit n for slot n.
    free: u64,
    last_slot: u64,
    class: u64,
    pages: u64,
}

impl Group {
    fn read(view: &View<'_>, record: u64) -> Option<Group> {
        let [start, masks, bits] = view.words::<3>(record.checked_add(16)?)?;
        Some(Group {
            start,
            free: (masks | masks >> 32) & u64::from(u32::MAX),
            last_slot: bits & (SLOTS - 1),
            class: bits >> 6 & 63,
            pages: bits >> 12,
        })
    }

    /// Bytes of a slot.
    fn stride(&self) -> Option<u64> {
        if self.last_slot == 0 && self.pages > 0 {
            return self.pages.checked_mul(PAGE)?.checked_sub(UNIT);
        }
        let class = usize::try_from(self.class).ok()?;
        Some(UNIT * u64::from(*CLASSES.get(class)?))
    }
}

/// Where the bytes end that were asked for with the block in use that begins at `start`, if one
/// does; `before` are the eight bytes before it.
pub(super) fn end_of(view: &View<'_>, start: u64, before: u64) -> Option<u64> {
    let [.., far, slot, low, high] = before.to_le_bytes();
    let near = u64::from(u16::from_le_bytes([low, high]));
    let units = match far {
        0 => near,
        _ => before & u64::from(u32::MAX),
    };
    if !start.is_multiple_of(UNIT) || far != 0 && (near != 0 || units <= 0xFFFF) {
        return None;
    }
    let base = start.checked_sub(UNIT * (units + 1))?;
    let record = view.word(base).filter(|record| record.is_multiple_of(8))?;
    let group = Group::read(view, record)?;
    let index = u64::from(slot) & (SLOTS - 1);
    let stride = group.stride()?;
    let begin = stride.checked_mul(index)?.checked_add(UNIT)?;
    let behind = begin.checked_add(stride)?;
    let sound = group.start == base
        && index <= group.last_slot
        && group.free >> index & 1 == 0
        && (group.class < CLASSES.len() as u64 || group.class == MAPPED)
        && (begin..behind).contains(&(start - base));
    if !sound {
        return None;
    }
    let end = base.checked_add(behind)?.checked_sub(NEXT_HEADER)?;
    let spare = match u64::from(slot >> 5) {
        // Then the last four bytes say it.
        5 => view.word(end.checked_sub(8)?)? >> 32,
        spare => spare,
    };
    end.checked_sub(spare).filter(|&end| end >= start)
}

/// Whether `before`, the eight bytes before a block, are those that freeing it leaves.
pub(super) fn is_freed(before: u64) -> bool {
    matches!(before.to_le_bytes(), [.., 0xFF, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::super::Searched;
    use super::*;
    use mapgrow_system::memory::Memory;

    /// Bytes at an address.
    struct Bytes(u64, Vec<u8>);

    impl Memory for Bytes {
        fn read(&self, address: u64, into: &mut [u8]) -> bool {
            let from = address
                .checked_sub(self.0)
                .and_then(|from| usize::try_from(from).ok());
            let bytes = from.and_then(|from| self.1.get(from..from.checked_add(into.len())?));
            bytes.is_some_and(|bytes| {
                into.copy_from_slice(bytes);
                true
            })
        }
    }

    impl Searched for Bytes {}

    /// A group of three slots of class 7, with its record behind it.
    fn memory(free: u32, spare: u8) -> Bytes {
        const START: u64 = 0x10_0000;
        let stride = 16 * u64::from(CLASSES[7]);
        let mut bytes = vec![0; 8192];
        let mut put = |at: u64, word: &[u8]| {
            let at = at as usize;
            bytes[at..at + word.len()].copy_from_slice(word);
        };
        put(0, &(START + 4096).to_le_bytes());
        put(4096 + 16, &START.to_le_bytes());
        put(4096 + 24, &free.to_le_bytes());
        put(4096 + 32, &(2_u64 | 7 << 6).to_le_bytes());
        // The block of the second slot.
        let block = 16 + stride;
        put(block - 3, &[1 | spare << 5]);
        put(block - 2, &(stride as u16 / 16).to_le_bytes());
        if spare == 5 {
            put(block + stride - 8, &20_u32.to_le_bytes());
        }
        Bytes(START, bytes)
    }

    #[test]
    fn a_block_has_the_bytes_that_were_asked_for() {
        let start = 0x10_0000 + 16 + 128;
        let holds = |memory: &Bytes, bytes: u64| {
            let view = View::new(memory);
            let before = view.word(start - 8).expect("there");
            end_of(&view, start, before) == Some(start + bytes)
        };
        assert!(holds(&memory(0, 0), 124));
        assert!(!holds(&memory(0, 0), 123));
        assert!(holds(&memory(0, 3), 121));
        assert!(holds(&memory(0, 5), 104));
        // Freed, or never used.
        assert!(!holds(&memory(2, 0), 124));
        // A record of another group.
        let mut other = memory(0, 0);
        other.1[4096 + 16] = 16;
        assert!(!holds(&other, 124));
        // A record that says that its only slot is as large as can be, and a block that says that it is
        // the last of many.
        let mut forged = memory(0, 0);
        forged.1[4096 + 32..4096 + 40].copy_from_slice(&(u64::MAX << 12).to_le_bytes());
        forged.1[16 + 128 - 3] = 31;
        assert!(!holds(&forged, 124));
    }
}
