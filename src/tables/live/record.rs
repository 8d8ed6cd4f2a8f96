//! What is known of a live block, and what it can inherit.

use crate::sync::{AtomicU64, Ordering};
use mapgrow_format::layout::live;
use mapgrow_format::layout::packed::{LiveLinks, LiveWeight};

/// What is known of a live block. `history` is the newest history node + 1, 0 for none; `weight`
/// is in fixed point; `resizes` is the number of blocks that the map had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LiveRecord {
    pub(crate) site: u32,
    pub(crate) bytes: u64,
    pub(crate) ticks: u64,
    pub(crate) serial: u64,
    pub(crate) history: u32,
    pub(crate) thread: u16,
    pub(crate) align_log2: u8,
    pub(crate) flags: u8,
    pub(crate) weight: u32,
    pub(crate) resizes: u32,
    pub(crate) born_ticks: u64,
    pub(crate) first_serial: u64,
}

/// What never changes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnBlock {
    /// Bytes asked for.
    pub(crate) bytes: u64,
    /// When it was allocated.
    pub(crate) ticks: u64,
    /// log2 of the alignment asked for.
    pub(crate) align_log2: u8,
}

impl LiveRecord {
    /// The record in these words, the first of which is `first`.
    #[inline(always)]
    pub(super) fn decode(words: &[AtomicU64; live::WORDS], first: u64) -> Self {
        let load = |field: usize| words[field].load(Ordering::Relaxed);
        let links = LiveLinks::unpack(load(live::LINKS));
        let weight = LiveWeight::unpack(load(live::WEIGHT));
        Self {
            site: first as u32,
            bytes: load(live::BYTES),
            ticks: load(live::TICKS),
            serial: load(live::SERIAL),
            history: links.history,
            thread: links.thread,
            align_log2: links.align_log2,
            flags: links.flags,
            weight: weight.weight,
            resizes: weight.blocks_before,
            born_ticks: load(live::BORN_TICKS),
            first_serial: load(live::FIRST_SERIAL),
        }
    }

    /// The same as it was before the block inherited anything.
    #[cold]
    #[inline(never)]
    pub(super) fn decode_disinherited(words: &[AtomicU64; live::WORDS], first: u64) -> Self {
        let record = Self::decode(words, first);
        Self {
            history: 0,
            resizes: 0,
            flags: record.flags & !INHERITED_FLAGS,
            born_ticks: record.ticks,
            first_serial: record.serial,
            ..record
        }
    }

    /// The word `LINKS`.
    pub(super) fn links(&self) -> u64 {
        let links = LiveLinks {
            history: self.history,
            thread: self.thread,
            align_log2: self.align_log2,
            flags: self.flags,
        };
        links.pack()
    }

    /// The word `WEIGHT`.
    pub(super) fn weight_word(&self) -> u64 {
        let weight = LiveWeight {
            weight: self.weight,
            blocks_before: self.resizes,
        };
        weight.pack()
    }
}

/// What a block takes over from the one whose place it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heritage {
    /// Newest history node + 1, 0 for none.
    pub(crate) history: u32,
    /// Blocks that the map had before.
    pub(crate) resizes: u32,
    /// `FLAG_LATE` and `FLAG_HISTORY_CUT`.
    pub(crate) flags: u8,
    /// `born_ticks` and `first_serial` of the map; `None` when it began unrecorded.
    pub(crate) origin: Option<(u64, u64)>,
}

/// Flags that a block can only have inherited.
const INHERITED_FLAGS: u8 = (live::FLAG_LATE | live::FLAG_HISTORY_CUT) as u8;

impl LiveRecord {
    /// Makes a record that is not in the table yet the heir.
    pub(crate) fn inherit(&mut self, heritage: &Heritage) {
        self.history = heritage.history;
        self.resizes = heritage.resizes;
        self.flags |= heritage.flags;
        if let Some((born_ticks, first_serial)) = heritage.origin {
            self.born_ticks = born_ticks;
            self.first_serial = first_serial;
        }
    }
}
