//! The allocator's own functions, which no stack begins with.

use core::ops::Range;

/// Functions that may count as the allocator's own.
const MAX_ENTRY_FUNCTIONS: usize = 16;

/// The functions between an allocator's entry and the capture. Leading frames in any of them are
/// left out of every stack.
///
/// Known by where they start, which the unwind tables say, because nothing has symbols here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryFrames {
    starts: [u64; MAX_ENTRY_FUNCTIONS],
    count: usize,
    /// Where an object lies all of whose functions count; empty for none.
    object: (u64, u64),
    /// Hash of the set; 0 for the empty one.
    pub(super) fingerprint: u64,
}

impl EntryFrames {
    /// No functions.
    pub(crate) const fn new() -> EntryFrames {
        EntryFrames {
            starts: [0; MAX_ENTRY_FUNCTIONS],
            count: 0,
            object: (0, 0),
            fingerprint: 0,
        }
    }

    /// Adds a function by its start. False when it is 0 (unknown), or there is no room.
    pub(crate) fn insert(&mut self, start: u64) -> bool {
        if start == 0 {
            return false;
        }
        if self.contains(start) {
            return true;
        }
        let Some(place) = self.starts.get_mut(self.count) else {
            return false;
        };
        *place = start;
        self.count += 1;
        self.mix(start);
        true
    }

    /// Adds all functions of a loaded object that is mapped there.
    pub(crate) fn insert_object(&mut self, mapping: &Range<u64>) {
        self.object = (mapping.start, mapping.end);
        self.mix(mapping.start);
    }

    fn mix(&mut self, start: u64) {
        self.fingerprint = (self.fingerprint ^ start).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    }

    /// Whether the function that starts there is one of them.
    #[inline]
    pub(crate) fn contains(&self, start: u64) -> bool {
        let (from, to) = self.object;
        start != 0 && (from <= start && start < to || self.starts.contains(&start))
    }
}
