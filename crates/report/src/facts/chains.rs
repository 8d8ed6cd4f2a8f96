//! Live maps: live blocks of containers go in, the chain of tables of each comes out.

use super::analysis::Analysis;
use super::blocks::Blocks;
use super::groups::Groups;
use super::resize_or_rebuild::Relation;
use super::succession::Successions;
use mapgrow_format::layout::live;
use mapgrow_format::reader::{LiveBlock, Recording};

/// An earlier table of a map.
#[derive(Debug, Clone, Copy)]
struct Table {
    bytes: u64,
    /// 0 when it was not recorded.
    serial: u64,
    /// When it was replaced.
    ticks: u64,
}

/// A live map: its tables from the first known one on.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// The present table.
    pub block: LiveBlock,
    /// Earlier tables, newest first.
    before: Vec<Table>,
    /// Whether `before` goes back to the map's first table.
    pub complete: bool,
    /// When the first recorded table was allocated.
    pub born_ticks: u64,
    /// Site of its first recorded table.
    pub birth_site: u32,
}

impl Chain {
    /// Numbers of its recorded tables, oldest first.
    pub fn serials(&self) -> impl Iterator<Item = u64> + '_ {
        let before = self.before.iter().rev().map(|table| table.serial);
        before
            .chain([self.block.serial])
            .filter(|&serial| serial != 0)
    }

    /// Bytes of its earlier tables, oldest first, and when each was replaced.
    pub fn replaced(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let before = self.before.iter().rev();
        before.map(|table| (table.bytes, table.ticks))
    }

    /// The chain with the tables that moved into its first one step by step.
    fn lengthened(mut self, successions: &Successions) -> Self {
        let mut first = self
            .before
            .last()
            .map_or(self.block.serial, |table| table.serial);
        while let Some(moved) = successions.move_into(first) {
            self.before.push(Table {
                bytes: moved.old.bytes,
                serial: moved.old.serial,
                ticks: moved.ended_ticks,
            });
            self.born_ticks = moved.old.born_ticks;
            self.birth_site = moved.old.site;
            // Whether there was a smaller one before is not known.
            self.complete = false;
            first = moved.old.serial;
        }
        self
    }

    /// Sizes of its tables, oldest first.
    pub fn sizes(&self) -> Vec<u64> {
        let before = self.before.iter().rev().map(|table| table.bytes);
        before.chain([self.block.bytes]).collect()
    }
}

/// The chains of all live blocks that belong to containers.
pub(crate) fn chains(
    recording: &Recording,
    blocks: &Blocks,
    analysis: &Analysis,
    groups: &Groups,
    successions: &Successions,
) -> Vec<Chain> {
    let mut met = vec![false; recording.history_count()];
    let live = blocks
        .live
        .iter()
        .filter(|block| groups.index(block.site).is_some());
    live.map(|&block| chain(recording, block, analysis, &mut met).lengthened(successions))
        .collect()
}

fn chain(recording: &Recording, block: LiveBlock, analysis: &Analysis, met: &mut [bool]) -> Chain {
    let mut chain = Chain {
        block,
        before: Vec::new(),
        complete: block.flags & (live::FLAG_LATE | live::FLAG_HISTORY_CUT) == 0,
        born_ticks: block.born_ticks,
        birth_site: block.site,
    };
    for node in recording.history_of(&block, met) {
        let Some(node) = node else {
            chain.complete = false;
            return chain;
        };
        let relation = analysis.relation(node.edge);
        if relation != Relation::Resize {
            // The map began when it took the place of another; or nobody knows.
            chain.born_ticks = node.ticks;
            chain.complete = matches!(relation, Relation::Rebuild | Relation::Unrelated);
            return chain;
        }
        chain.before.push(Table {
            bytes: node.bytes,
            serial: node.serial,
            ticks: node.ticks,
        });
        if let Some(edge) = recording.edge(node.edge) {
            chain.birth_site = edge.old_site().unwrap_or(edge.new_site());
        }
        if node.serial == 0 {
            chain.complete = false;
            return chain;
        }
    }
    chain
}
