//! The places of remembered allocations, by age.

use super::PENDING;

/// Places in the order of their age, the latest in bits 0..4, the one before it in bits 4..8...
#[derive(Clone, Copy)]
pub(super) struct Places {
    order: u64,
    count: u32,
}

/// Bits that hold the number of a place.
const PLACE_BITS: u32 = 4;

const _: () = assert!(PENDING == 1 << PLACE_BITS && PENDING as u32 * PLACE_BITS == u64::BITS);

impl Places {
    pub(super) const NONE: Self = Self { order: 0, count: 0 };

    /// Puts a place before all others.
    pub(super) fn push(&mut self, place: usize) {
        self.order = self.order << PLACE_BITS | place as u64;
        self.count += 1;
    }

    /// Takes the oldest place out.
    pub(super) fn pop_oldest(&mut self) -> Option<usize> {
        self.count = self.count.checked_sub(1)?;
        Some((self.order >> (self.count * PLACE_BITS)) as usize % PENDING)
    }

    /// Takes the place at `position` of the order out.
    pub(super) fn remove(&mut self, position: u32) {
        let later = (1 << (position * PLACE_BITS)) - 1;
        self.order = self.order & later | (self.order >> PLACE_BITS) & !later;
        self.count -= 1;
    }
}

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.count = self.count.checked_sub(1)?;
        let place = self.order as usize % PENDING;
        self.order >>= PLACE_BITS;
        Some(place)
    }
}
