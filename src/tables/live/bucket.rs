//! The slots of one bucket.

use super::{BUCKET, RESERVED, Slot};
use crate::sync::{AtomicU64, Ordering, compare_exchange};

/// How many of eight bits are set, by their value. (Counting them takes a dozen instructions where the
/// processor may have none for it.)
pub(super) const ONES: [u8; 1 << BUCKET] = {
    let mut ones = [0; 1 << BUCKET];
    let mut value = 1;
    while value < ones.len() {
        ones[value] = ones[value / 2] + (value % 2) as u8;
        value += 1;
    }
    ones
};
/// The slot at a place of a bucket.
pub(super) fn slot_at(bucket: usize, place: usize) -> Slot {
    Slot((bucket * BUCKET + place) as u32)
}

/// Takes a slot that is free; `None` when another thread was first.
#[inline]
pub(super) fn reserve(bucket: usize, keys: &[AtomicU64; BUCKET], place: usize) -> Option<Slot> {
    let place = place % BUCKET;
    // Acquire: the record's last writer was done when the slot became empty.
    compare_exchange(
        &keys[place],
        0,
        RESERVED,
        Ordering::Acquire,
        Ordering::Relaxed,
    )
    .ok()
    .map(|_| slot_at(bucket, place))
}
