//! Blocks as their sites count them.

use super::Record;
use crate::pool::TRIES;
use crate::sync::{AtomicU64, Ordering};
use crate::tables::counting::{add, variance, weighted};
use mapgrow_format::layout::site;

/// Unit of [`site::VAR_ALLOC_BYTES`].
const VARIANCE_BYTES_UNIT: u64 = 1 << 20;

/// A block, as far as its site's counts are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockFigures {
    /// Bytes asked for.
    pub(crate) bytes: u64,
    /// Its weight, fixed point.
    pub(crate) weight: u32,
    /// log2 of the alignment asked for.
    pub(crate) align_log2: u8,
    /// The block's map existed before, unrecorded.
    pub(crate) late: bool,
    /// Its beginning is not on the timeline.
    pub(crate) untold: bool,
}

/// Counts a block that stands for others.
#[cold]
#[inline(never)]
pub(super) fn sampled(record: &Record, block: &BlockFigures) {
    let weight = block.weight;
    add(&record[site::SAMPLED_ALLOCS], 1);
    add(&record[site::W_ALLOCS], u64::from(weight));
    add(&record[site::W_ALLOC_BYTES], weighted(block.bytes, weight));
    add(&record[site::VAR_ALLOCS], variance(1, weight, 1));
    add(
        &record[site::VAR_ALLOC_BYTES],
        variance(block.bytes, weight, VARIANCE_BYTES_UNIT),
    );
}

/// Widens the range of alignments in a word: bits 0..8 the smallest, 8..16 the largest.
pub(super) fn widen_align(word: &AtomicU64, log2: u64) {
    let mut seen = word.load(Ordering::Relaxed);
    for _ in 0..TRIES {
        let wide = (seen & 0xFF).min(log2) | (seen >> 8 & 0xFF).max(log2) << 8;
        if wide == seen {
            return;
        }
        match word.compare_exchange_weak(seen, wide, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) => seen = other,
        }
    }
}
