//! A recording goes in; its live blocks and the events of its rings come out, read once.

use mapgrow_format::layout::untold;
use mapgrow_format::reader::{BlockEvent, LiveBlock, Recording};
use std::collections::BTreeMap;

/// Live blocks that are only counted of which each is known: the largest ones. Of such blocks there can be
/// millions, of less than 1 KiB each, and what is asked of most of them is their sum.
const MOST_ALONE: usize = 50_000;

/// The parts of a recording that several steps need, read once.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// All but those that are only counted, and the largest of these.
    pub live: Vec<LiveBlock>,
    /// All live blocks that are only counted, by site.
    pub alone: BTreeMap<u32, Alone>,
    /// Live records that were being written.
    pub unreadable: u64,
    pub resizes: Vec<BlockEvent>,
    pub births: Vec<BlockEvent>,
}

/// Live blocks of a site that are only counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Alone {
    pub blocks: u64,
    pub bytes: u64,
    /// How many of them are not among [`Blocks::live`].
    pub left_out: u64,
    /// The smallest and the largest.
    pub sizes: Option<(u64, u64)>,
}

impl Alone {
    fn add(&mut self, bytes: u64) {
        self.blocks += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let (least, most) = self.sizes.unwrap_or((bytes, bytes));
        self.sizes = Some((least.min(bytes), most.max(bytes)));
    }
}

impl Blocks {
    pub fn read(recording: &Recording) -> Self {
        let mut unreadable = 0;
        let live = recording.live().filter_map(|block| {
            unreadable += u64::from(block.is_none());
            block
        });
        let mut live: Vec<LiveBlock> = live.collect();
        let mut alone: BTreeMap<u32, Alone> = BTreeMap::new();
        for block in live.iter().filter(|block| block.untold()) {
            alone.entry(block.site).or_default().add(block.bytes);
        }
        let mut of_size = vec![0_usize; untold::BYTES_MOST + 1];
        for block in recording.untold() {
            alone.entry(block.site).or_default().add(block.bytes);
            of_size[size(&block)] += 1;
        }
        let mut room = Room::new(&of_size);
        for block in recording.untold() {
            if room.has_one_for(size(&block)) {
                live.push(block);
            } else if let Some(alone) = alone.get_mut(&block.site) {
                alone.left_out += 1;
            }
        }
        Self {
            live,
            alone,
            unreadable,
            resizes: recording.resize_events(),
            births: recording.birth_events(),
        }
    }

    /// Live blocks that are not only counted.
    pub fn told(&self) -> impl Iterator<Item = &LiveBlock> {
        self.live.iter().filter(|block| !block.untold())
    }

    /// Bytes of those that are.
    pub fn alone_bytes(&self) -> u64 {
        let all = self.alone.values().map(|alone| alone.bytes);
        all.fold(0, u64::saturating_add)
    }
}

fn size(block: &LiveBlock) -> usize {
    (block.bytes as usize).min(untold::BYTES_MOST)
}

/// Room for the largest blocks.
struct Room {
    /// Those of more bytes all have room.
    above: usize,
    /// So many of just these.
    left: usize,
}

impl Room {
    fn new(of_size: &[usize]) -> Self {
        let mut left = MOST_ALONE;
        for (bytes, &blocks) in of_size.iter().enumerate().rev() {
            if blocks > left {
                return Self { above: bytes, left };
            }
            left -= blocks;
        }
        Self { above: 0, left }
    }

    fn has_one_for(&mut self, bytes: usize) -> bool {
        if bytes > self.above {
            return true;
        }
        let has = bytes == self.above && self.left > 0;
        self.left -= usize::from(has);
        has
    }
}
