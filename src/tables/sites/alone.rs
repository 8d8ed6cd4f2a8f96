//! Blocks that are counted and no more, as their sites count them: what is asked most often in exact
//! mode, so each record is looked up once and nothing is asked of a block that such blocks are never.

use super::blocks::widen_align;
use super::{Record, SiteTable};
use crate::pool::Commit;
use crate::sync::{Counting, Ordering};
use crate::tables::counting::{add_to_histogram, lower_min, raise, raise_max};
use mapgrow_format::layout::{SITE_OVERFLOW, site};

impl<C: Commit> SiteTable<'_, C> {
    /// Counts a block that was allocated and is not on the timeline.
    #[inline]
    pub(crate) fn allocated_alone(&self, id: u32, bytes: u64, align_log2: u8, now: u64) {
        let Some(record) = self.records.record(id) else {
            return;
        };
        if !is_usual(record, bytes, align_log2) {
            see_unusual(record, bytes, align_log2);
        }
        let counting = Counting::begin();
        if id == SITE_OVERFLOW {
            counting.add(self.folded, 1);
        }
        counting.add(&record[site::ALLOCS], 1);
        counting.add(&record[site::ALLOC_BYTES], bytes);
        counting.add(&record[site::UNTOLD_ALLOCS], 1);
        if let Some(root) = self.root_record(id, record) {
            let before = counting.fetch_add(&root[site::LIVE_BYTES], bytes);
            let live = before.wrapping_add(bytes);
            raise(&root[site::PEAK_BYTES], &root[site::PEAK_TICKS], live, now);
            self.note(root, now, live);
        }
        let live = counting
            .fetch_add(self.live_bytes, bytes)
            .wrapping_add(bytes);
        raise(self.peak_bytes, self.peak_ticks, live, now);
    }

    /// Counts such a block when it is freed, as what it was counted as when it was allocated.
    #[inline]
    pub(crate) fn freed_alone(&self, id: u32, bytes: u64, now: u64) {
        let Some(record) = self.records.record(id) else {
            return;
        };
        let counting = Counting::begin();
        counting.add(&record[site::FREES], 1);
        counting.add(&record[site::FREE_BYTES], bytes);
        counting.add(&record[site::UNTOLD_FREES], 1);
        if let Some(root) = self.root_record(id, record) {
            // The bytes that were live until now were live within this interval too.
            let live = counting.fetch_add(&root[site::LIVE_BYTES], bytes.wrapping_neg());
            self.note(root, now, live);
        }
        counting.add(self.live_bytes, bytes.wrapping_neg());
        self.count_size(record, counting, bytes, 1);
    }

    /// Counts freed blocks by their size.
    #[inline(always)]
    pub(super) fn count_size(&self, record: &Record, counting: Counting, bytes: u64, blocks: u64) {
        if let Some(histogram) =
            record.get(site::FREED_SIZES..site::FREED_SIZES + site::FREED_SIZES_WORDS)
        {
            let counter = bytes.max(1).ilog2() as usize;
            let last = site::FREED_SIZES_WORDS * 2 - 1;
            add_to_histogram(counting, histogram, counter.min(last), blocks);
        }
    }
}

/// Whether a site has seen blocks as small, as large and aligned as this one.
#[inline(always)]
fn is_usual(record: &Record, bytes: u64, align_log2: u8) -> bool {
    let seen = |word: usize| record[word].load(Ordering::Relaxed);
    let (least, align) = (seen(site::MIN_BYTES), seen(site::ALIGN));
    let log2 = u64::from(align_log2);
    least != 0
        && least <= bytes
        && bytes <= seen(site::MAX_BYTES)
        && align & 0xFF <= log2
        && log2 <= align >> 8 & 0xFF
}

#[cold]
#[inline(never)]
fn see_unusual(record: &Record, bytes: u64, align_log2: u8) {
    lower_min(&record[site::MIN_BYTES], bytes);
    raise_max(&record[site::MAX_BYTES], bytes);
    widen_align(&record[site::ALIGN], u64::from(align_log2));
}
