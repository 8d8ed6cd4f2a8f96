//! Reads a recording: a file, a dump, or the bytes of a live mapping.
//!
//! What is read may be cut off, damaged or forged. [`Recording::parse`] checks the frame (magic,
//! version, region table against the length) and gives every other oddity a defined reading:
//! counters are clamped to what is there, references out of range lead nowhere, records that
//! were being written are left out. Nothing here panics, and the work is proportional to the
//! number of bytes.

mod error;
mod events;
mod records;
mod regions;
mod scripts;
mod untold;

pub use error::ReadError;
pub use events::{BlockEvent, Mark};
pub use records::{Edge, EdgeKind, HistoryNode, LiveBlock, Site, Stack, Thread};
pub use scripts::ScriptFrame;

use crate::Module;
use crate::layout::{self, header, region};
use records::Words;
use regions::{REGION_NAMES, Region, check_region};
use std::fmt;

/// No stack is read beyond this many frames. It bounds what a forged recording can ask for;
/// recorders keep fewer.
const MAX_FRAMES: usize = 1024;

/// A recording whose frame has been checked.
#[derive(Clone)]
pub struct Recording {
    bytes: Vec<u8>,
    regions: [Region; region::COUNT],
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regions = REGION_NAMES.iter().zip(&self.regions);
        f.debug_map()
            .entries(regions.map(|(name, region)| (name, region.committed)))
            .finish()
    }
}

impl Recording {
    /// Checks the frame of a recording.
    ///
    /// # Errors
    /// When the bytes are no recording, one of a newer version, or not all of one. The error
    /// says which, where, and what to do.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ReadError> {
        if bytes.is_empty() {
            return Err(ReadError::Empty);
        }
        let words = Words::new(&bytes);
        if words.get(header::MAGIC) != layout::MAGIC {
            return Err(ReadError::foreign(&bytes));
        }
        let header_bytes = header::WORDS * 8;
        if bytes.len() < header_bytes {
            let missing = (header_bytes - bytes.len()) as u64;
            return Err(ReadError::Truncated {
                part: "header",
                missing,
                length: bytes.len() as u64,
            });
        }
        match words.get(header::VERSION) {
            layout::VERSION => {}
            found if found > layout::VERSION => return Err(ReadError::Newer { found }),
            found => return Err(ReadError::Older { found }),
        }
        let mut regions = [Region::default(); region::COUNT];
        for (kind, slot) in regions.iter_mut().enumerate() {
            *slot = check_region(&words, kind, bytes.len())?;
        }
        Ok(Self { bytes, regions })
    }

    /// A word of the header.
    #[must_use]
    pub fn header(&self, word: usize) -> u64 {
        if word < header::WORDS {
            Words::new(&self.bytes).get(word)
        } else {
            0
        }
    }

    /// A string of the header: `words` words from `word` on.
    fn header_bytes(&self, word: usize, words: usize) -> &[u8] {
        let bytes = self
            .bytes
            .get(word * 8..(word + words) * 8)
            .unwrap_or_default();
        let end = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        &bytes[..end]
    }

    /// Path of the executable.
    #[must_use]
    pub fn exe(&self) -> Option<String> {
        let bytes = self.header_bytes(header::EXE, header::EXE_WORDS);
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Command line.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let bytes = self.header_bytes(header::COMMAND, header::COMMAND_WORDS);
        if bytes.is_empty() {
            return Vec::new();
        }
        bytes
            .split(|&byte| byte == 0)
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect()
    }

    /// Loaded objects, in the order in which they were met. `None` where a record is incomplete.
    pub fn modules(&self) -> impl ExactSizeIterator<Item = Option<Module>> + '_ {
        let count = self.count(region::MODULES, layout::module::WORDS, header::MODULE_COUNT);
        (0..count).map(|index| {
            records::module(&self.record(region::MODULES, layout::module::WORDS, index))
        })
    }

    /// Places in the code of an interpreted language that stacks lead through; incomplete ones are
    /// left out.
    pub fn script_frames(&self) -> impl Iterator<Item = ScriptFrame> + '_ {
        let count = self.count(region::SCRIPTS, layout::script::WORDS, header::SCRIPT_COUNT);
        (0..count).filter_map(|index| {
            ScriptFrame::read(&self.record(region::SCRIPTS, layout::script::WORDS, index))
        })
    }

    /// Thread slots; slot 0 stands for threads that found none.
    pub fn threads(&self) -> impl ExactSizeIterator<Item = Thread> + '_ {
        let count = self.count(region::THREADS, layout::thread::WORDS, header::THREAD_COUNT);
        (0..count).map(|index| {
            Thread::read(
                index,
                &self.record(region::THREADS, layout::thread::WORDS, index),
            )
        })
    }

    /// Number of sites, incomplete ones included.
    #[must_use]
    pub fn site_count(&self) -> usize {
        self.count(region::SITES, layout::site::WORDS, header::SITE_COUNT)
    }

    /// A site; `None` when there is no such site or its record is incomplete.
    #[must_use]
    pub fn site(&self, id: u32) -> Option<Site<'_>> {
        if id as usize >= self.site_count() {
            return None;
        }
        Site::read(
            id,
            self.record(region::SITES, layout::site::WORDS, id as usize),
        )
    }

    /// All complete sites.
    pub fn sites(&self) -> impl Iterator<Item = Site<'_>> + '_ {
        (0..self.site_count() as u32).filter_map(|id| self.site(id))
    }

    /// Return addresses of a site, innermost first.
    #[must_use]
    pub fn stack(&self, site: &Site<'_>) -> Stack<'_> {
        let used = self.stack_words();
        let (first, frames) = site.stack_range();
        let first = first.min(used);
        let frames = frames.min(MAX_FRAMES).min(used - first);
        let start = self.regions[region::STACKS].offset + first * 8;
        Stack::new(
            self.bytes
                .get(start..start + frames * 8)
                .unwrap_or_default(),
        )
    }

    /// Words of the stack pool in use.
    #[must_use]
    pub fn stack_words(&self) -> usize {
        self.count(region::STACKS, 1, header::STACK_WORDS)
    }

    /// Number of edges, incomplete ones included.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.count(region::EDGES, layout::edge::WORDS, header::EDGE_COUNT)
    }

    /// An edge; `None` when there is no such edge or its record is incomplete.
    #[must_use]
    pub fn edge(&self, id: u32) -> Option<Edge<'_>> {
        if id as usize >= self.edge_count() {
            return None;
        }
        Edge::read(
            id,
            self.record(region::EDGES, layout::edge::WORDS, id as usize),
        )
    }

    /// All complete edges, the overflow edge 0 included.
    pub fn edges(&self) -> impl Iterator<Item = Edge<'_>> + '_ {
        (0..self.edge_count() as u32).filter_map(|id| self.edge(id))
    }

    /// Slots of the live table, empty ones included.
    #[must_use]
    pub fn live_slots(&self) -> usize {
        let levels = self.header(header::LIVE_LEVELS).min(40);
        let slots = (layout::live::LEVEL0_SLOTS as u64).saturating_mul((1u64 << levels) - 1);
        let keys = self.regions[region::LIVE_KEYS].committed / 8;
        let records = self.regions[region::LIVE].committed / (layout::live::WORDS * 8);
        slots.min(keys.min(records) as u64) as usize
    }

    /// Live blocks that are counted and no more, but for those of them in the live table.
    pub fn untold(&self) -> impl Iterator<Item = LiveBlock> + '_ {
        let words = layout::untold::WORDS;
        let count = self.count(region::UNTOLD, words, header::UNTOLD_COUNT);
        let start = self.header(header::START_TICKS);
        (0..count).flat_map(move |index| {
            let record = self.record(region::UNTOLD, words, index);
            untold::blocks(record, start)
        })
    }

    /// Live blocks of the live table. Records that were being written are `None`.
    pub fn live(&self) -> impl Iterator<Item = Option<LiveBlock>> + '_ {
        let slots = self.live_slots();
        let keys = self.regions[region::LIVE_KEYS].offset;
        let keys = Words::new(self.bytes.get(keys..keys + slots * 8).unwrap_or_default());
        (0..slots).filter_map(move |slot| {
            let address = keys.get(slot);
            // No block lies in the first page; small values can only be marks of the table.
            (address >= 4096).then(|| {
                LiveBlock::read(
                    slot,
                    address,
                    &self.record(region::LIVE, layout::live::WORDS, slot),
                )
            })
        })
    }

    /// Number of history nodes.
    #[must_use]
    pub fn history_count(&self) -> usize {
        self.count(
            region::HISTORY,
            layout::history::WORDS,
            header::HISTORY_USED,
        )
    }

    /// A history node.
    #[must_use]
    pub fn history(&self, node: u32) -> Option<HistoryNode> {
        ((node as usize) < self.history_count()).then(|| {
            HistoryNode::read(&self.record(region::HISTORY, layout::history::WORDS, node as usize))
        })
    }

    /// The earlier tables of a live block, newest first; a `None` ends those that are not all
    /// there. `met` tells which of all [`history_count`](Self::history_count) nodes were met
    /// before: a node is of one block, and one met again belongs to a damaged recording.
    pub fn history_of<'a>(
        &'a self,
        block: &LiveBlock,
        met: &'a mut [bool],
    ) -> impl Iterator<Item = Option<HistoryNode>> + 'a {
        let (mut next, mut after) = (block.history, u64::MAX);
        std::iter::from_fn(move || {
            let number = next?;
            let fresh = met
                .get_mut(number as usize)
                .is_some_and(|met| !std::mem::replace(met, true));
            // A node that was handed on since tells of another map, from a later time. (Serials
            // do not tell: threads take them in runs.)
            let node = self
                .history(number)
                .filter(|node| fresh && node.ticks <= after);
            next = node.and_then(|node| node.before);
            after = node.map_or(0, |node| node.ticks);
            Some(node)
        })
    }

    /// Complete entries of the resize ring, oldest first.
    #[must_use]
    pub fn resize_events(&self) -> Vec<BlockEvent> {
        self.ring(region::RESIZES)
    }

    /// Complete entries of the birth ring, oldest first.
    #[must_use]
    pub fn birth_events(&self) -> Vec<BlockEvent> {
        self.ring(region::BIRTHS)
    }

    /// The event of both rings that ended last, by the number that its ring gave it.
    #[must_use]
    pub fn newest_event(&self) -> Option<BlockEvent> {
        let newest = |kind| self.slots(kind).max_by_key(|event| event.number);
        let both = [newest(region::RESIZES), newest(region::BIRTHS)];
        both.into_iter().flatten().max_by_key(|event| event.ticks)
    }

    fn ring(&self, kind: usize) -> Vec<BlockEvent> {
        // Nearly all slots hold an event; their number is bounded by the bytes that are there.
        let mut events = Vec::with_capacity(self.regions[kind].committed / event_bytes());
        events.extend(self.slots(kind));
        // Written round and round: what lies behind the newest is the oldest.
        let newest = events
            .windows(2)
            .position(|pair| pair[0].number > pair[1].number);
        events.rotate_left(newest.map_or(0, |at| at + 1));
        if !events.is_sorted_by_key(|event| event.number) {
            events.sort_unstable_by_key(|event| event.number);
        }
        events
    }

    /// Complete entries of a ring, as they lie there.
    fn slots(&self, kind: usize) -> impl Iterator<Item = BlockEvent> + '_ {
        let capacity = self.regions[kind].capacity / event_bytes() as u64;
        let slots = self.regions[kind].committed / event_bytes();
        (0..slots).filter_map(move |slot| {
            let record = self.record(kind, layout::event::WORDS, slot);
            BlockEvent::read(&record, slot as u64, capacity)
        })
    }

    /// Records of what was read of live tables, whole or not.
    pub fn occupancy(&self) -> impl Iterator<Item = [u64; layout::occupancy::WORDS]> + '_ {
        let words = layout::occupancy::WORDS;
        let count = self.count(region::OCCUPANCY, words, header::OCCUPANCY_COUNT);
        (0..count).map(move |index| {
            let record = self.record(region::OCCUPANCY, words, index);
            core::array::from_fn(|word| record.get(word))
        })
    }

    /// Marks that are still in their ring, oldest first.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let words = layout::mark::WORDS;
        let capacity = self.regions[region::MARKS].capacity / (words as u64 * 8);
        let slots = self.regions[region::MARKS].committed / (words * 8);
        let mut marks: Vec<Mark> = (0..slots)
            .filter_map(|slot| {
                Mark::read(
                    &self.record(region::MARKS, words, slot),
                    slot as u64,
                    capacity,
                )
            })
            .collect();
        marks.sort_unstable_by_key(|mark| mark.number);
        marks
    }

    /// A counter of the header, clamped to the records that are there.
    fn count(&self, kind: usize, words: usize, counter: usize) -> usize {
        let there = self.regions[kind].committed / (words * 8);
        usize::try_from(self.header(counter))
            .unwrap_or(usize::MAX)
            .min(there)
    }

    fn record(&self, kind: usize, words: usize, index: usize) -> Words<'_> {
        let start = self.regions[kind].offset + index * words * 8;
        Words::new(self.bytes.get(start..start + words * 8).unwrap_or_default())
    }
}

const fn event_bytes() -> usize {
    layout::event::WORDS * 8
}
