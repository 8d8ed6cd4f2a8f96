//! From a hash to the number of a record: insert or find, never remove.
//!
//! A word holds `lo32` number + 1 and `hi32` a tag of the hash; 0 is empty. The index grows by
//! levels, each twice as large as the one before, so that only what is needed is committed. A
//! hash has a window of words in each level, and the windows in order form its probe sequence.
//! Nothing is ever removed, so the first empty word of that sequence only ever moves on, and all
//! threads that insert the same key meet at it.
//!
//! Two threads that insert the same key at once must agree on one number, and neither may wait
//! for the other: it could have been stopped or killed. So each makes its candidate record
//! *before* it publishes it by one compare-and-swap. The loser finds the winner's word where it
//! wanted to put its own, uses the winner's record and leaves its candidate behind, unused and
//! without the bit that says complete. That costs one record for each such race.

use super::counting::mix;
use crate::pool::Commit;
use crate::sync::{AtomicU64, Ordering};

/// Words of the first level, at most.
const FIRST_LEVEL: usize = 1024;
/// Words of a window: two cache lines.
const WINDOW: usize = 16;
/// Windows start at a cache line.
const LINE: usize = 8;

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Indexed {
    /// It was there, under this number.
    Found(u32),
    /// It was not; the candidate is now its record.
    Created(u32),
    /// It was not, and there is no room.
    Full,
}

/// Words that an index of `levels` full levels occupies. A region of any other length works too;
/// what exceeds the last full level stays unused.
pub(crate) const fn words_for_levels(levels: u32) -> usize {
    FIRST_LEVEL * ((1 << levels) - 1)
}

/// The index over one region.
pub(crate) struct Index<'a, C> {
    words: &'a [AtomicU64],
    region: usize,
    commit: &'a C,
    first_level: usize,
}

impl<'a, C: Commit> Index<'a, C> {
    pub(crate) fn new(words: &'a [AtomicU64], region: usize, commit: &'a C) -> Self {
        let first_level = match words.len().min(FIRST_LEVEL) {
            0 => 0,
            len => 1 << len.ilog2(),
        };
        Self {
            words,
            region,
            commit,
            first_level,
        }
    }

    /// The number of the record that `matches`, or else the one that `create` makes.
    ///
    /// `matches` is asked about records with the same tag; those are completely written.
    /// `create` is called at most once, and what it wrote is visible to whoever is given its
    /// number from here on.
    pub(crate) fn find_or_insert(
        &self,
        hash: u64,
        matches: impl Fn(u32) -> bool,
        create: impl FnOnce() -> Option<u32>,
    ) -> Indexed {
        let tag = hash & 0xFFFF_FFFF_0000_0000;
        let is_same = |word: u64| {
            word & 0xFFFF_FFFF_0000_0000 == tag && matches((word as u32).wrapping_sub(1))
        };
        let mut create = Some(create);
        let mut candidate = None;
        let (mut start, mut size, mut place) = (0, self.first_level, mix(hash));
        while size != 0 && start + size <= self.words.len() {
            if !self.commit.commit(self.region, start + size) {
                return Indexed::Full;
            }
            let Some(level) = self.words.get(start..start + size) else {
                return Indexed::Full;
            };
            let first = place as usize & (size - 1) & !(LINE - 1);
            for step in 0..WINDOW.min(size) {
                let Some(word) = level.get((first + step) & (size - 1)) else {
                    return Indexed::Full;
                };
                let mut seen = word.load(Ordering::Acquire);
                if seen == 0 {
                    if let Some(create) = create.take() {
                        candidate = create();
                    }
                    let Some(number) = candidate.filter(|&number| number != u32::MAX) else {
                        return Indexed::Full;
                    };
                    match word.compare_exchange(
                        0,
                        tag | u64::from(number + 1),
                        Ordering::Release,
                        Ordering::Acquire,
                    ) {
                        Ok(_) => return Indexed::Created(number),
                        Err(winner) => seen = winner,
                    }
                }
                if is_same(seen) {
                    return Indexed::Found((seen as u32).wrapping_sub(1));
                }
            }
            start += size;
            size *= 2;
            place = place.rotate_left(21);
        }
        Indexed::Full
    }
}
