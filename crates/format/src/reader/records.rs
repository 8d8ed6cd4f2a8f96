//! The records of a recording, one type for each.

use crate::Module;
use crate::layout::packed::{
    COMPLETE, EdgeJoin, EdgeSites, HistoryLinks, LiveLinks, LiveOwner, LiveWeight, SiteStack,
};
use crate::layout::{self, edge, history, live, site, thread};

/// Little-endian words. What lies beyond the end reads as 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn get(&self, index: usize) -> u64 {
        let word = index
            .checked_mul(8)
            .and_then(|start| self.0.get(start..)?.first_chunk());
        word.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn bytes(&self, word: usize, words: usize) -> &'a [u8] {
        self.0.get(word * 8..(word + words) * 8).unwrap_or_default()
    }

    pub(super) fn text(&self, word: usize, words: usize) -> String {
        let bytes = self.bytes(word, words);
        let end = bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    /// Counters of 32 bits, two to a word, low half first.
    fn counters(&self, word: usize, words: usize) -> impl Iterator<Item = u32> + 'a {
        let (pairs, _) = self.bytes(word, words).as_chunks::<4>();
        pairs.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

pub(super) fn module(words: &Words<'_>) -> Option<Module> {
    use layout::module::{
        BIAS, BUILD_ID, BUILD_ID_LEN, BUILD_ID_WORDS, END, PATH, PATH_WORDS, START,
    };
    let length = words.get(BUILD_ID_LEN);
    (length & COMPLETE != 0).then(|| {
        let build_id = words.bytes(BUILD_ID, BUILD_ID_WORDS);
        let length = ((length & 0xFF) as usize).min(build_id.len());
        Module {
            start: words.get(START),
            end: words.get(END),
            bias: words.get(BIAS),
            build_id: build_id[..length].to_vec(),
            path: words.text(PATH, PATH_WORDS),
        }
    })
}

/// What is known of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Slot of the thread.
    pub slot: usize,
    /// Thread id.
    pub tid: u32,
    /// Whether the slot is taken by a running thread.
    pub running: bool,
    /// When its first block was seen, ticks.
    pub start_ticks: u64,
    /// Its name.
    pub name: String,
    /// Heap bytes allocated.
    pub allocated: u64,
    /// Heap bytes freed.
    pub freed: u64,
    /// Stack captures.
    pub captures: u64,
    /// Captures that the memo verified.
    pub memo_hits: u64,
    /// Memo hits that were checked by unwinding.
    pub memo_checks: u64,
    /// Checks that disagreed.
    pub memo_mismatches: u64,
    /// Ticks spent in the recorder.
    pub recorder_ticks: u64,
    /// Blocks recorded.
    pub recorded: u64,
}

impl Thread {
    pub(super) fn read(slot: usize, words: &Words<'_>) -> Self {
        let id = words.get(thread::TID);
        Self {
            slot,
            tid: id as u32,
            running: id & COMPLETE != 0,
            start_ticks: words.get(thread::START_TICKS),
            name: words.text(thread::NAME, thread::NAME_WORDS),
            allocated: words.get(thread::ALLOCATED),
            freed: words.get(thread::FREED),
            captures: words.get(thread::CAPTURES),
            memo_hits: words.get(thread::MEMO_HITS),
            memo_checks: words.get(thread::MEMO_CHECKS),
            memo_mismatches: words.get(thread::MEMO_MISMATCHES),
            recorder_ticks: words.get(thread::RECORDER_TICKS),
            recorded: words.get(thread::RECORDED),
        }
    }
}

/// A call stack from which blocks are allocated; fields by their names in
/// [`layout::site`].
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Number of the site.
    pub id: u32,
    words: Words<'a>,
}

impl<'a> Site<'a> {
    pub(super) fn read(id: u32, words: Words<'a>) -> Option<Self> {
        let complete = words.get(site::STACK) & COMPLETE != 0;
        (complete || id == layout::SITE_OVERFLOW).then_some(Self { id, words })
    }

    /// A word of the record.
    #[must_use]
    pub fn word(&self, word: usize) -> u64 {
        if word < site::WORDS {
            self.words.get(word)
        } else {
            0
        }
    }

    fn stack_word(&self) -> SiteStack {
        SiteStack::unpack(self.word(site::STACK))
    }

    pub(super) fn stack_range(&self) -> (usize, usize) {
        let stack = self.stack_word();
        (stack.first as usize, usize::from(stack.frames))
    }

    /// Which kind of call the blocks came from: one of `layout::site::ENTRY_*`.
    #[must_use]
    pub fn entry(&self) -> u64 {
        u64::from(self.stack_word().entry)
    }

    /// Whether the stack was cut.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.stack_word().marks & 1 != 0
    }

    /// Modules known when the site was created.
    #[must_use]
    pub fn module_epoch(&self) -> usize {
        usize::try_from(self.word(site::MODULE_EPOCH)).unwrap_or(usize::MAX)
    }

    /// The site that keeps live and peak figures for this one.
    #[must_use]
    pub fn root(&self) -> u32 {
        u32::try_from(self.word(site::ROOT)).unwrap_or(self.id)
    }

    /// Smallest and largest log2 of the alignment asked for.
    #[must_use]
    pub fn align_log2(&self) -> Option<(u8, u8)> {
        let word = self.word(site::ALIGN);
        let (low, high) = (word as u8, (word >> 8) as u8);
        (low <= high && high < 64).then_some((low, high))
    }

    /// Blocks by bytes when freed: counter i counts 2^i and above.
    pub fn freed_sizes(&self) -> impl Iterator<Item = u32> + 'a {
        self.words
            .counters(site::FREED_SIZES, site::FREED_SIZES_WORDS)
    }

    /// Log2 of ticks per bucket of the series.
    #[must_use]
    pub fn series_shift(&self) -> u32 {
        // A copy made while the series was brought up may hold buckets of the next resolution
        // beside the shift of the one before.
        let buckets = (0..site::SERIES_WORDS).map(|bucket| self.series_bucket(bucket).0);
        let shift = (self.word(site::SERIES_SHIFT) & 0xFF) as u32;
        buckets.fold(shift, u32::max)
    }

    /// The series: largest live bytes in each interval, `None` when nothing happened.
    pub fn series(&self) -> impl Iterator<Item = Option<u64>> + use<> {
        let shift = self.series_shift();
        let mut series = [None; site::SERIES_WORDS];
        for bucket in 0..site::SERIES_WORDS {
            let (own, live) = self.series_bucket(bucket);
            let coarser = bucket.checked_shr(shift - own).unwrap_or(0);
            series[coarser] = live.max(series[coarser]);
        }
        series.into_iter()
    }

    /// A bucket of the series: log2 of its ticks and its largest live bytes.
    fn series_bucket(&self, bucket: usize) -> (u32, Option<u64>) {
        let word = self.word(site::SERIES + bucket);
        ((word >> 56) as u32, (word << 8 >> 8).checked_sub(1))
    }
}

/// Return addresses, innermost first.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a>(Words<'a>);

impl Stack<'_> {
    pub(super) fn new(bytes: &[u8]) -> Stack<'_> {
        Stack(Words::new(bytes))
    }

    /// Number of frames.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.0.len() / 8
    }

    /// Whether there is no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Return address of a frame.
    #[must_use]
    pub fn get(&self, frame: usize) -> Option<u64> {
        (frame < self.len()).then(|| self.0.get(frame))
    }

    /// All return addresses.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        (0..self.len()).map(|frame| self.0.get(frame))
    }
}

/// What an edge or an event says happened to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeKind {
    /// A block was allocated and another freed under one activation of a function.
    Replace,
    /// `realloc`.
    Realloc,
    /// A block was freed under the activation that allocated it.
    Abandon,
}

impl EdgeKind {
    fn from_word(kind: u64) -> Option<Self> {
        match kind {
            edge::KIND_REPLACE => Some(Self::Replace),
            edge::KIND_REALLOC => Some(Self::Realloc),
            edge::KIND_ABANDON => Some(Self::Abandon),
            _ => None,
        }
    }
}

/// A way in which one block followed another; fields by their names in
/// [`layout::edge`].
#[derive(Debug, Clone, Copy)]
pub struct Edge<'a> {
    /// Number of the edge; 0 collects all that found no room.
    pub id: u32,
    words: Words<'a>,
}

impl<'a> Edge<'a> {
    pub(super) fn read(id: u32, words: Words<'a>) -> Option<Self> {
        (id == 0 || words.get(edge::JOIN) & COMPLETE != 0).then_some(Self { id, words })
    }

    /// A word of the record.
    #[must_use]
    pub fn word(&self, word: usize) -> u64 {
        if word < edge::WORDS {
            self.words.get(word)
        } else {
            0
        }
    }

    /// Kind; `None` for the overflow edge.
    #[must_use]
    pub fn kind(&self) -> Option<EdgeKind> {
        if self.id == 0 {
            return None;
        }
        EdgeKind::from_word(u64::from(EdgeJoin::unpack(self.word(edge::JOIN)).kind))
    }

    /// Site of the new block.
    #[must_use]
    pub fn new_site(&self) -> u32 {
        EdgeSites::unpack(self.word(edge::SITES)).new
    }

    /// Site of the old block; `None` when it was not recorded.
    #[must_use]
    pub fn old_site(&self) -> Option<u32> {
        let old = EdgeSites::unpack(self.word(edge::SITES)).old;
        (old != edge::NO_SITE).then_some(old)
    }

    /// Frame of the new site's stack in which both meet.
    #[must_use]
    pub fn join(&self) -> usize {
        usize::from(EdgeJoin::unpack(self.word(edge::JOIN)).frame)
    }

    /// Histogram of pauses.
    pub fn pauses(&self) -> impl Iterator<Item = u32> + 'a {
        self.words.counters(edge::PAUSES, edge::PAUSES_WORDS)
    }
}

/// A live block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveBlock {
    /// Its slot in the live table.
    pub slot: usize,
    /// Where it lies.
    pub address: u64,
    /// Site that allocated it.
    pub site: u32,
    /// Number that changes whenever its record is written.
    pub generation: u32,
    /// Bytes asked for.
    pub bytes: u64,
    /// When it was allocated, ticks.
    pub ticks: u64,
    /// Its number.
    pub serial: u64,
    /// Newest history node.
    pub history: Option<u32>,
    /// Thread slot.
    pub thread: u16,
    /// Log2 of the alignment asked for.
    pub align_log2: u8,
    /// `layout::live::FLAG_*`.
    pub flags: u64,
    /// Weight in 1/256.
    pub weight: u32,
    /// Blocks that this map had before.
    pub blocks_before: u32,
    /// When the map's first recorded block was allocated, ticks.
    pub born_ticks: u64,
    /// Serial of the map's first recorded block.
    pub first_serial: u64,
}

impl LiveBlock {
    /// `None` when the record was being written.
    pub(super) fn read(slot: usize, address: u64, words: &Words<'_>) -> Option<Self> {
        let owner = LiveOwner::unpack(words.get(live::SITE));
        if owner.generation % 2 == 1 {
            return None;
        }
        let links = LiveLinks::unpack(words.get(live::LINKS));
        let weight = LiveWeight::unpack(words.get(live::WEIGHT));
        Some(Self {
            slot,
            address,
            site: owner.site,
            generation: owner.generation,
            bytes: words.get(live::BYTES),
            ticks: words.get(live::TICKS),
            serial: words.get(live::SERIAL),
            history: links.history.checked_sub(1),
            thread: links.thread,
            align_log2: links.align_log2,
            flags: u64::from(links.flags),
            weight: weight.weight,
            blocks_before: weight.blocks_before,
            born_ticks: words.get(live::BORN_TICKS),
            first_serial: words.get(live::FIRST_SERIAL),
        })
    }

    /// Whether it was recorded with certainty.
    #[must_use]
    pub fn certain(&self) -> bool {
        u64::from(self.weight) == layout::WEIGHT_ONE && !self.followed()
    }

    /// Whether it was recorded only because an earlier block of its map was: it is counted in
    /// no sum.
    #[must_use]
    pub fn followed(&self) -> bool {
        self.flags & live::FLAG_FOLLOWED != 0
    }

    /// Whether its beginning is not on the timeline, nor its end will be.
    #[must_use]
    pub fn untold(&self) -> bool {
        self.flags & live::FLAG_UNTOLD != 0
    }
}

/// An earlier table of a live map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryNode {
    /// The node before.
    pub before: Option<u32>,
    /// Edge by which this table was replaced.
    pub edge: u32,
    /// Its bytes.
    pub bytes: u64,
    /// Its number; 0 when it was not recorded.
    pub serial: u64,
    /// When it was replaced, ticks.
    pub ticks: u64,
}

impl HistoryNode {
    pub(super) fn read(words: &Words<'_>) -> Self {
        let links = HistoryLinks::unpack(words.get(history::LINKS));
        Self {
            before: links.previous.checked_sub(1),
            edge: links.edge,
            bytes: words.get(history::BYTES),
            serial: words.get(history::SERIAL),
            ticks: words.get(history::TICKS),
        }
    }
}
