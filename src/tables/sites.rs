//! Sites: the call stacks from which blocks are allocated, and their exact counts.

mod alone;
mod blocks;

pub(crate) use blocks::BlockFigures;

use super::counting::{add, lower_min, raise, raise_max, weighted};
use super::index::{Index, Indexed};
use crate::pool::{Commit, Pool, word};
use crate::sync::{AtomicU64, Counting, Ordering};
use crate::timeline::series;
use blocks::{sampled, widen_align};
use mapgrow_format::layout::packed::{COMPLETE, SiteStack};
use mapgrow_format::layout::{SITE_OVERFLOW, WEIGHT_ONE, header, region, site};

/// Bits of [`site::STACK`] that belong to the site's identity: frames, entry, truncated.
const SHAPE: u64 = SiteStack {
    first: 0,
    frames: u16::MAX,
    entry: u8::MAX,
    marks: 1,
}
.pack();
/// Largest number of frames of a stack.
const MAX_FRAMES: usize = 0xFFFF;

type Record = [AtomicU64; site::WORDS];

/// What tells one site from another, beside the addresses of its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SiteKey {
    /// Hash of the stack. Two stacks of the same addresses and different hashes are two sites.
    pub(crate) hash: u64,
    /// `site::ENTRY_*`.
    pub(crate) entry: u8,
    /// The stack was cut.
    pub(crate) truncated: bool,
}

/// What is recorded of a site when it is first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SiteOrigin {
    /// When.
    pub(crate) ticks: u64,
    /// Modules known.
    pub(crate) module_epoch: u64,
    /// Hash of the start of the innermost function and of the addresses of all other frames, if
    /// that function is known: what a vector's first `alloc` and its later `realloc` share.
    pub(crate) group: Option<u64>,
}

/// The sites of a recording.
pub(crate) struct SiteTable<'a, C> {
    records: Pool<'a, C, { site::WORDS }>,
    stacks: Pool<'a, C, 1>,
    index: Index<'a, C>,
    groups: Index<'a, C>,
    start_ticks: &'a AtomicU64,
    folded: &'a AtomicU64,
    live_bytes: &'a AtomicU64,
    peak_bytes: &'a AtomicU64,
    peak_ticks: &'a AtomicU64,
    copying_peak_bytes: &'a AtomicU64,
    copying_peak_ticks: &'a AtomicU64,
    copied_most: &'a AtomicU64,
}

/// The regions that sites are kept in.
pub(crate) struct SiteRegions<'a> {
    /// [`region::SITES`].
    pub(crate) records: &'a [AtomicU64],
    /// [`region::STACKS`].
    pub(crate) stacks: &'a [AtomicU64],
    /// [`region::SITE_INDEX`].
    pub(crate) index: &'a [AtomicU64],
    /// [`region::GROUP_INDEX`].
    pub(crate) groups: &'a [AtomicU64],
}

impl<'a, C: Commit> SiteTable<'a, C> {
    /// `None` when the header is too short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        regions: &SiteRegions<'a>,
        commit: &'a C,
    ) -> Option<Self> {
        Some(Self {
            records: Pool::new(
                header,
                header::SITE_COUNT,
                regions.records,
                region::SITES,
                commit,
            )?,
            stacks: Pool::new(
                header,
                header::STACK_WORDS,
                regions.stacks,
                region::STACKS,
                commit,
            )?,
            index: Index::new(regions.index, region::SITE_INDEX, commit),
            groups: Index::new(regions.groups, region::GROUP_INDEX, commit),
            start_ticks: word(header, header::START_TICKS)?,
            folded: word(header, header::SITES_FOLDED)?,
            live_bytes: word(header, header::LIVE_BYTES)?,
            peak_bytes: word(header, header::PEAK_BYTES)?,
            peak_ticks: word(header, header::PEAK_TICKS)?,
            copying_peak_bytes: word(header, header::COPYING_PEAK_BYTES)?,
            copying_peak_ticks: word(header, header::COPYING_PEAK_TICKS)?,
            copied_most: word(header, header::COPIED_MOST)?,
        })
    }

    /// Makes the overflow site, before anything else is done with the table. False when there is
    /// no room.
    pub(crate) fn start(&self, ticks: u64) -> bool {
        let Some(record) = self.records.take(1).and_then(|id| self.records.record(id)) else {
            return false;
        };
        self.set_up(record, ticks);
        record[site::ROOT].store(u64::from(SITE_OVERFLOW), Ordering::Relaxed);
        record[site::STACK].store(COMPLETE, Ordering::Release);
        true
    }

    /// Bytes of all recorded blocks that were allocated, and of those freed, with what samples stand
    /// for. It looks at every site.
    #[cfg(feature = "preload")]
    pub(crate) fn recorded_bytes(&self) -> (u64, u64) {
        let (mut allocated, mut freed) = (0u64, 0u64);
        let mut number = 0;
        while let Some(record) = self.records.record(number) {
            let word = |at: usize| {
                record
                    .get(at)
                    .map_or(0, |word| word.load(Ordering::Relaxed))
            };
            for (sum, words) in [
                (&mut allocated, [site::ALLOC_BYTES, site::W_ALLOC_BYTES]),
                (&mut freed, [site::FREE_BYTES, site::W_FREE_BYTES]),
            ] {
                let more = words.into_iter().map(word).fold(0, u64::saturating_add);
                *sum = sum.saturating_add(more);
            }
            number += 1;
        }
        (allocated, freed)
    }

    /// The site of a stack, innermost frame first, made if need be: [`SITE_OVERFLOW`] when there
    /// is no room. `origin` is asked only when the stack was not known.
    pub(crate) fn find_or_create<S>(
        &self,
        key: &SiteKey,
        stack: S,
        origin: impl FnOnce() -> SiteOrigin,
    ) -> u32
    where
        S: Iterator<Item = u64> + Clone,
    {
        let stack = stack.take(MAX_FRAMES);
        let frames = stack.clone().count();
        let shape = SiteStack {
            first: 0,
            frames: frames as u16,
            entry: key.entry,
            marks: u8::from(key.truncated),
        };
        let shape = shape.pack();
        let matches = |id: u32| self.is_site_of(id, key.hash, shape, stack.clone());
        let create = || {
            // Once the records are used up, no stack words are taken for sites that get none.
            if !self.records.has_room() {
                return None;
            }
            let first = self.stacks.take(frames)?;
            for (word, address) in self.stacks.run(first, frames)?.iter().zip(stack.clone()) {
                word.store(address, Ordering::Relaxed);
            }
            let id = self.records.take(1)?;
            let record = self.records.record(id)?;
            let origin = origin();
            self.set_up(record, origin.ticks);
            record[site::HASH].store(key.hash, Ordering::Relaxed);
            record[site::MODULE_EPOCH].store(origin.module_epoch, Ordering::Relaxed);
            record[site::GROUP].store(origin.group.unwrap_or(0), Ordering::Relaxed);
            record[site::ROOT].store(site::ROOT_PENDING | u64::from(id), Ordering::Relaxed);
            record[site::STACK].store(shape | u64::from(first), Ordering::Relaxed);
            Some(id)
        };
        match self.index.find_or_insert(key.hash, matches, create) {
            Indexed::Full => SITE_OVERFLOW,
            Indexed::Found(id) | Indexed::Created(id) => {
                self.complete(id);
                id
            }
        }
    }

    /// The site at which live and peak figures of a site are kept.
    #[cfg(test)]
    pub(crate) fn root(&self, id: u32) -> u32 {
        match self.records.record(id) {
            Some(record) => record[site::ROOT].load(Ordering::Relaxed) as u32,
            None => SITE_OVERFLOW,
        }
    }

    /// Counts a block that was allocated.
    #[inline]
    pub(crate) fn allocated(&self, id: u32, block: &BlockFigures, now: u64) {
        let Some(record) = self.records.record(id) else {
            return;
        };
        lower_min(&record[site::MIN_BYTES], block.bytes);
        raise_max(&record[site::MAX_BYTES], block.bytes);
        widen_align(&record[site::ALIGN], u64::from(block.align_log2));
        let counting = Counting::begin();
        if id == SITE_OVERFLOW {
            counting.add(self.folded, 1);
        }
        if block.late {
            counting.add(&record[site::LATE], 1);
        }
        if u64::from(block.weight) != WEIGHT_ONE {
            return sampled(record, block);
        }
        counting.add(&record[site::ALLOCS], 1);
        counting.add(&record[site::ALLOC_BYTES], block.bytes);
        if block.untold {
            counting.add(&record[site::UNTOLD_ALLOCS], 1);
        }
        if let Some(root) = self.root_record(id, record) {
            let before = counting.fetch_add(&root[site::LIVE_BYTES], block.bytes);
            let live = before.wrapping_add(block.bytes);
            raise(&root[site::PEAK_BYTES], &root[site::PEAK_TICKS], live, now);
            self.note(root, now, live);
        }
        let live = counting
            .fetch_add(self.live_bytes, block.bytes)
            .wrapping_add(block.bytes);
        raise(self.peak_bytes, self.peak_ticks, live, now);
    }

    /// Counts a block that was freed; the figures are those that it was counted with when it was
    /// allocated.
    #[inline]
    pub(crate) fn freed(&self, id: u32, bytes: u64, weight: u32, now: u64) {
        let Some(record) = self.records.record(id) else {
            return;
        };
        let counting = Counting::begin();
        let certain = u64::from(weight) == WEIGHT_ONE;
        if certain {
            counting.add(&record[site::FREES], 1);
            counting.add(&record[site::FREE_BYTES], bytes);
            if let Some(root) = self.root_record(id, record) {
                // The bytes that were live until now were live within this interval too.
                let live = counting.fetch_add(&root[site::LIVE_BYTES], bytes.wrapping_neg());
                self.note(root, now, live);
            }
            counting.add(self.live_bytes, bytes.wrapping_neg());
        } else {
            counting.add(&record[site::SAMPLED_FREES], 1);
            counting.add(&record[site::W_FREES], u64::from(weight));
            counting.add(&record[site::W_FREE_BYTES], weighted(bytes, weight));
        }
        let blocks = if certain { 1 } else { weighted(1, weight) };
        self.count_size(record, counting, bytes, blocks);
    }

    /// Counts a block that went without a word on the timeline.
    #[inline]
    pub(crate) fn went_untold(&self, id: u32) {
        if let Some(record) = self.records.record(id) {
            add(&record[site::UNTOLD_FREES], 1);
        }
    }

    /// The beginning of a block that was untold is on the timeline after all.
    pub(crate) fn is_told(&self, id: u32) {
        if let Some(record) = self.records.record(id) {
            add(&record[site::UNTOLD_ALLOCS], 1_u64.wrapping_neg());
        }
    }

    /// Live bytes of all blocks that are counted.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::Relaxed)
    }

    /// Notes that a `realloc` copied a block of `copied` bytes, and that `both` were live meanwhile in
    /// all: with the old block and the new one.
    pub(crate) fn copied(&self, both: u64, copied: u64, now: u64) {
        raise(self.copying_peak_bytes, self.copying_peak_ticks, both, now);
        raise_max(self.copied_most, copied);
    }

    /// Whether record `id` is the site of this stack.
    fn is_site_of(&self, id: u32, hash: u64, shape: u64, stack: impl Iterator<Item = u64>) -> bool {
        let Some(record) = self.records.record(id) else {
            return false;
        };
        let packed = record[site::STACK].load(Ordering::Relaxed);
        let stack_words = SiteStack::unpack(packed);
        packed & SHAPE == shape
            && record[site::HASH].load(Ordering::Relaxed) == hash
            && self
                .stacks
                .run(stack_words.first, usize::from(stack_words.frames))
                .is_some_and(|words| {
                    words
                        .iter()
                        .zip(stack)
                        .all(|(word, address)| word.load(Ordering::Relaxed) == address)
                })
    }

    /// Completes a record and settles its root. Everybody who is given a site does so, because
    /// its maker may have been stopped in between: so nobody counts at a site without a root.
    fn complete(&self, id: u32) {
        let Some(record) = self.records.record(id) else {
            return;
        };
        if record[site::STACK].load(Ordering::Relaxed) & COMPLETE == 0 {
            record[site::STACK].fetch_or(COMPLETE, Ordering::Release);
        }
        let pending = site::ROOT_PENDING | u64::from(id);
        if record[site::ROOT].load(Ordering::Relaxed) == pending {
            let root = u64::from(self.choose_root(id, record));
            let _ = record[site::ROOT].compare_exchange(
                pending,
                root,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// The root of a site: the first site of its group if one of the two grows by `realloc`, else
    /// the site itself. All who ask get the same answer, as the index keeps one first site.
    fn choose_root(&self, id: u32, record: &Record) -> u32 {
        let group = record[site::GROUP].load(Ordering::Relaxed);
        if group == 0 {
            return id;
        }
        let same_group = |other: u32| {
            self.records
                .record(other)
                .is_some_and(|other| other[site::GROUP].load(Ordering::Relaxed) == group)
        };
        let (Indexed::Found(first) | Indexed::Created(first)) =
            self.groups.find_or_insert(group, same_group, || Some(id))
        else {
            return id;
        };
        let grows = |record: &Record| {
            let packed = record[site::STACK].load(Ordering::Relaxed);
            u64::from(SiteStack::unpack(packed).entry) == site::ENTRY_REALLOC
        };
        if grows(record) || self.records.record(first).is_some_and(grows) {
            first
        } else {
            id
        }
    }

    /// Writes what a fresh record needs besides its identity.
    fn set_up(&self, record: &Record, ticks: u64) {
        record[site::FIRST_TICKS].store(ticks, Ordering::Relaxed);
        record[site::ALIGN].store(0xFF, Ordering::Relaxed);
        if let Some(buckets) = record.get(site::SERIES..site::SERIES + site::SERIES_WORDS) {
            let elapsed = ticks.saturating_sub(self.start_ticks.load(Ordering::Relaxed));
            series::start(&record[site::SERIES_SHIFT], buckets, elapsed);
        }
    }

    /// The root of record `id`: in most cases the record itself.
    #[inline]
    fn root_record(&self, id: u32, record: &'a Record) -> Option<&'a Record> {
        let root = record[site::ROOT].load(Ordering::Relaxed) as u32;
        if root == id {
            return Some(record);
        }
        self.records.record(root)
    }

    /// Notes live bytes in the series of a root.
    fn note(&self, root: &Record, now: u64, live: u64) {
        if let Some(buckets) = root.get(site::SERIES..site::SERIES + site::SERIES_WORDS) {
            let elapsed = now.saturating_sub(self.start_ticks.load(Ordering::Relaxed));
            series::note(&root[site::SERIES_SHIFT], buckets, elapsed, live);
        }
    }
}
