//! Where in a table its entries lie: a picture of it in few numbers.

use super::scan::{self, WINDOW};

/// Parts that a table is divided into at most; a part is at least a group of buckets.
pub(super) const CELLS: usize = 128;
/// Steps in which a share is kept.
const STEPS: u32 = 15;

/// How full each part of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heat {
    /// Buckets of the table.
    buckets: u64,
    /// Low half: entries, high half: tombstones, each as a share of the buckets in fifteenths.
    cells: [u8; CELLS],
}

impl Heat {
    pub(super) fn new(buckets: u64, cells: [u8; CELLS]) -> Self {
        Self { buckets, cells }
    }

    pub(super) fn raw(&self) -> &[u8; CELLS] {
        &self.cells
    }

    pub(super) fn buckets(&self) -> u64 {
        self.buckets
    }

    /// Buckets in each part.
    #[must_use]
    pub fn buckets_per_cell(&self) -> u64 {
        self.buckets / cells_of(self.buckets).max(1) as u64
    }

    /// The shares of entries and of tombstones in each part of the table, first to last, if the
    /// table has `buckets` buckets: what was read of a larger one may be one of half the size,
    /// which is its second half.
    pub fn parts(&self, buckets: u64) -> impl Iterator<Item = (f64, f64)> + '_ {
        let all = cells_of(self.buckets);
        let wanted = (buckets.min(self.buckets) as u128 * all as u128)
            .checked_div(u128::from(self.buckets))
            .unwrap_or(0);
        let cells = self
            .cells
            .iter()
            .take(all)
            .skip(all - (wanted as usize).min(all));
        let share = |fifteenths: u8| f64::from(fifteenths) / f64::from(STEPS);
        cells.map(move |&cell| (share(cell & 0xF), share(cell >> 4)))
    }
}

/// Parts of a table with so many buckets.
fn cells_of(buckets: u64) -> usize {
    usize::try_from(buckets / WINDOW as u64).map_or(CELLS, |groups| groups.min(CELLS))
}

/// Counts for the parts of the largest table that a block can be.
#[derive(Debug, Clone)]
pub(super) struct HeatSums {
    /// Buckets of that table, and where its control bytes begin.
    buckets: u64,
    begin: u64,
    /// log2 of the buckets in a part: both are powers of two.
    shift: u32,
    /// Buckets seen, entries and tombstones.
    cells: [[u32; 3]; CELLS],
}

impl HeatSums {
    pub(super) fn new(buckets: u64, begin: u64) -> Self {
        Self {
            buckets,
            begin,
            shift: (buckets / cells_of(buckets).max(1) as u64).trailing_zeros(),
            cells: [[0; 3]; CELLS],
        }
    }

    /// Adds a run of valid control bytes that lies at `at`.
    pub(super) fn add(&mut self, at: u64, bytes: &[u8]) {
        let first = at.saturating_sub(self.begin);
        for (index, window) in bytes.as_chunks::<WINDOW>().0.iter().enumerate() {
            let cell = (first + (index * WINDOW) as u64) >> self.shift;
            let Some([seen, full, deleted]) = self.cells.get_mut(cell as usize) else {
                continue;
            };
            let counts = scan::count_window(window);
            *seen = seen.saturating_add(WINDOW as u32);
            *full = full.saturating_add(counts.full as u32);
            *deleted = deleted.saturating_add(counts.deleted as u32);
        }
    }

    /// The picture; `None` of a table too small for one.
    pub(super) fn heat(&self) -> Option<Heat> {
        if cells_of(self.buckets) < 2 {
            return None;
        }
        let mut cells = [0; CELLS];
        for (cell, &[seen, full, deleted]) in cells.iter_mut().zip(&self.cells) {
            let share = |part: u32| {
                let fifteenths = u64::from(part) * u64::from(STEPS) * 2 + u64::from(seen);
                fifteenths.checked_div(u64::from(seen) * 2).unwrap_or(0) as u8
            };
            *cell = share(full) | share(deleted) << 4;
        }
        Some(Heat::new(self.buckets, cells))
    }
}

#[cfg(test)]
mod tests {
    use super::scan::{DELETED, EMPTY};
    use super::*;

    #[test]
    fn parts_are_as_full_as_they_are() {
        let buckets = 1 << 15;
        let begin = 1000;
        let mut sums = HeatSums::new(buckets, begin);
        // A quarter is full, one has tombstones in every other bucket, half is empty.
        for part in 0..CELLS as u64 {
            let byte = |at: usize| match (part / 32, at % 2) {
                (0, _) => 0x12,
                (1, 0) => DELETED,
                _ => EMPTY,
            };
            let bytes: [u8; 256] = std::array::from_fn(byte);
            sums.add(begin + part * 256, &bytes);
        }
        let heat = sums.heat().expect("a large table");
        assert_eq!(heat.buckets_per_cell(), 256);
        let parts: Vec<(f64, f64)> = heat.parts(buckets).collect();
        assert_eq!(parts.len(), CELLS);
        assert!(parts[..32].iter().all(|&part| part == (1.0, 0.0)));
        assert!(
            parts[32..64]
                .iter()
                .all(|&(full, deleted)| full == 0.0 && (deleted - 0.5).abs() < 0.04)
        );
        assert!(parts[64..].iter().all(|&part| part == (0.0, 0.0)));
        // Taken for a table of half the size it is the second half.
        let half: Vec<(f64, f64)> = heat.parts(buckets / 2).collect();
        assert_eq!(half, parts[64..]);
        assert!(HeatSums::new(16, 0).heat().is_none());
    }
}
