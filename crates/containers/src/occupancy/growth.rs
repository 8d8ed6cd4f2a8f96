//! When a table grows next.

use super::Occupancy;

impl Occupancy {
    /// Entries that a table is expected to take before it has to make room.
    ///
    /// An insert takes the first bucket on its way that is empty or a tombstone, and only an empty
    /// one counts against what is left. So the two get fewer at the same pace, and with e empty
    /// buckets, t tombstones and l left, l / e of all e + t are taken when none is left.
    #[must_use]
    pub fn inserts_before_growth(&self) -> Option<u64> {
        let (buckets, left) = (self.buckets?, self.growth_left?);
        let free = buckets.checked_sub(self.entries.value)?;
        let empty = free
            .checked_sub(self.tombstones.value)
            .filter(|&empty| empty > 0)?;
        u64::try_from(u128::from(free) * u128::from(left) / u128::from(empty)).ok()
    }

    /// Entries with which a table is expected to be replaced by one of twice the buckets.
    #[must_use]
    pub fn entries_at_growth(&self) -> Option<u64> {
        let (capacity, left) = (self.capacity?, self.growth_left?);
        let more = self.inserts_before_growth().unwrap_or(left);
        let at = self.entries.value.saturating_add(more).saturating_add(1);
        if at <= capacity / 2 {
            // Mostly tombstones: they are cleared in place, and it grows when it is really full.
            return Some(capacity.saturating_add(1));
        }
        Some(at)
    }
}
