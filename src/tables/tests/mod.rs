//! Tests of the tables on real atomics.

mod counting;
mod edges;
mod history;
mod index;
mod live;
mod reader;
#[cfg(feature = "preload")]
mod scripts;
mod sites;
mod stress;
mod untold;

use super::Tables;
use crate::pool::Commit;
use crate::sync::{AtomicU64, Ordering};
use mapgrow_format::layout::{
    edge, event, header, history as node, live as record, mark, region, script, site,
    untold as alone,
};
use std::sync::Mutex;

/// Memory of a recording, and a bound to what may be committed of each region.
pub(crate) struct Memory {
    pub(crate) header: Vec<AtomicU64>,
    regions: Vec<Vec<AtomicU64>>,
    pub(crate) commit: Bounded,
}

/// Commits up to a bound, and knows what it committed.
pub(crate) struct Bounded {
    bound: [usize; region::COUNT],
    committed: Mutex<[usize; region::COUNT]>,
}

impl Commit for Bounded {
    fn commit(&self, region: usize, upto_words: usize) -> bool {
        let fits = upto_words <= self.bound[region];
        if fits {
            let committed = &mut self.committed.lock().unwrap()[region];
            *committed = upto_words.max(*committed);
        }
        fits
    }
}

impl Bounded {
    /// Words of a region that are committed.
    pub(crate) fn committed(&self, region: usize) -> usize {
        self.committed.lock().unwrap()[region]
    }
}

/// Capacities of a recording, in records (words for the indexes and the stack pool).
#[derive(Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) sites: usize,
    pub(crate) stack_words: usize,
    pub(crate) index_words: usize,
    pub(crate) edges: usize,
    pub(crate) live: usize,
    pub(crate) nodes: usize,
    pub(crate) events: usize,
    pub(crate) marks: usize,
    pub(crate) scripts: usize,
    pub(crate) untold: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            sites: 64,
            stack_words: 1024,
            index_words: 256,
            edges: 64,
            live: record::LEVEL0_SLOTS,
            nodes: 64,
            events: 16,
            marks: 4,
            scripts: 4,
            untold: 1,
        }
    }
}

impl Capacity {
    pub(crate) fn memory(self) -> Memory {
        let mut words = [0; region::COUNT];
        words[region::SITE_INDEX] = self.index_words;
        words[region::SITES] = self.sites * site::WORDS;
        words[region::STACKS] = self.stack_words;
        words[region::EDGE_INDEX] = self.index_words;
        words[region::EDGES] = self.edges * edge::WORDS;
        words[region::LIVE_KEYS] = self.live;
        words[region::LIVE] = self.live * record::WORDS;
        words[region::HISTORY] = self.nodes * node::WORDS;
        words[region::RESIZES] = self.events * event::WORDS;
        words[region::BIRTHS] = self.events * event::WORDS;
        words[region::MARKS] = self.marks * mark::WORDS;
        words[region::GROUP_INDEX] = self.index_words;
        words[region::SCRIPTS] = self.scripts * script::WORDS;
        words[region::SCRIPT_INDEX] = self.index_words;
        words[region::UNTOLD] = self.untold * alone::WORDS;
        words[region::UNTOLD_INDEX] = self.index_words;
        Memory {
            header: zeroes(header::WORDS),
            regions: words.iter().map(|&words| zeroes(words)).collect(),
            commit: Bounded {
                bound: words,
                committed: Mutex::new([0; region::COUNT]),
            },
        }
    }
}

impl Memory {
    pub(crate) fn region(&self, region: usize) -> &[AtomicU64] {
        &self.regions[region]
    }

    /// Lowers what may be committed of a region.
    pub(crate) fn bound(&mut self, region: usize, words: usize) {
        self.commit.bound[region] = words;
    }

    pub(crate) fn tables(&self) -> Tables<'_, Bounded> {
        let regions = std::array::from_fn(|region| self.region(region));
        let tables = Tables::new(&self.header, &regions, &self.commit).unwrap();
        assert!(tables.start(0));
        tables
    }

    pub(crate) fn header(&self, word: usize) -> u64 {
        self.header[word].load(Ordering::Relaxed)
    }

    pub(crate) fn site(&self, id: u32, word: usize) -> u64 {
        self.region(region::SITES)[id as usize * site::WORDS + word].load(Ordering::Relaxed)
    }

    pub(crate) fn edge(&self, id: u32, word: usize) -> u64 {
        self.region(region::EDGES)[id as usize * edge::WORDS + word].load(Ordering::Relaxed)
    }
}

/// Taken as a whole: word by word it is what an interpreter spends most of its time on.
pub(crate) fn zeroes(words: usize) -> Vec<AtomicU64> {
    let mut zeroes = std::mem::ManuallyDrop::new(vec![0_u64; words]);
    let (length, capacity) = (zeroes.len(), zeroes.capacity());
    // SAFETY: the parts of a vector that is not used again; an `AtomicU64` has the size, alignment
    // and bit validity of a `u64`.
    unsafe { Vec::from_raw_parts(zeroes.as_mut_ptr().cast(), length, capacity) }
}
