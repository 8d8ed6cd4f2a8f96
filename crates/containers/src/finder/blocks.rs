//! Which blocks are in use, as their allocator tells: glibc and musl by their words around the block,
//! jemalloc by its records. Other allocators tell none.

use super::jemalloc::Extents;
use super::reach::Root;
use super::view::View;
use super::{Region, Searched, effort, musl};

/// Flags of glibc's sizes.
const IN_USE_BEFORE: u64 = 1;
const MAPPED: u64 = 2;
const FLAGS: u64 = 7;
const UNIT: u64 = 16;
const PAGE: u64 = 4096;

/// What it takes to ask for a block, in bytes that are read.
const ASKED: u64 = 256;

/// Memory in which blocks lie.
pub(super) struct Blocks<'a> {
    pub(super) view: View<'a>,
    regions: &'a [Region],
    /// Where none of them is, in order.
    apart: Vec<(u64, u64)>,
    extents: &'a Extents,
}

impl<'a> Blocks<'a> {
    /// The blocks in `regions`, which are sorted, and outside `roots`. What is read of them is bounded.
    pub(super) fn new(
        memory: &'a dyn Searched,
        regions: &'a [Region],
        roots: &[Root],
        extents: &'a Extents,
    ) -> Self {
        let mut apart: Vec<(u64, u64)> = roots.iter().map(|root| (root.start, root.end)).collect();
        apart.sort_unstable();
        // Of two that overlap what is in either.
        apart.dedup_by(|next, last| {
            let within = next.0 <= last.1;
            last.1 = if within { last.1.max(next.1) } else { last.1 };
            within
        });
        Self {
            view: View::with_effort(memory, effort::to_prove(regions)),
            regions,
            apart,
            extents,
        }
    }

    /// The region that `address` lies in.
    pub(super) fn region(&self, address: u64) -> Option<Region> {
        let after = self.regions.partition_point(|r| r.start <= address);
        let region = self.regions.get(after.checked_sub(1)?)?;
        (address < region.end).then_some(*region)
    }

    /// Where the block in use ends that begins at `start`, if one does.
    pub(super) fn end_of(&self, start: u64) -> Option<u64> {
        if self.extents.known() {
            return self.extents.block_at(start);
        }
        let region = self.region(start)?;
        if !start.is_multiple_of(UNIT) || start < region.start + UNIT {
            return None;
        }
        let after = self.apart.partition_point(|&(from, _)| from <= start);
        let before = after.checked_sub(1).and_then(|at| self.apart.get(at));
        if before.is_some_and(|&(_, end)| start < end) || !self.view.affords(ASKED) {
            return None;
        }
        let word = self.view.word(start - 8)?;
        self.of_glibc(start, word, region)
            .or_else(|| musl::end_of(&self.view, start, word))
    }

    /// The same by glibc's words around the block: `word` is the one before it.
    fn of_glibc(&self, start: u64, word: u64, region: Region) -> Option<u64> {
        let size = word & !FLAGS;
        let behind = (start - UNIT).checked_add(size)?;
        if word & MAPPED != 0 {
            let sound = (start - UNIT).is_multiple_of(PAGE) && size.is_multiple_of(PAGE);
            return (sound && size > 0 && behind <= region.end).then_some(behind);
        }
        if size < 2 * UNIT || !size.is_multiple_of(UNIT) || behind + UNIT > region.end {
            return None;
        }
        let next = self.view.word(behind + 8)?;
        let sound = next & IN_USE_BEFORE != 0
            && next & MAPPED == 0
            && next & !FLAGS >= UNIT
            && (next & !FLAGS).is_multiple_of(UNIT)
            && behind.checked_add(next & !FLAGS)? <= region.end;
        sound.then_some(behind + 8)
    }
}
