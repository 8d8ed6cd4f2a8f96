//! Live samples go in, what they stand for comes out.

use crate::facts::blocks::Blocks;
use crate::facts::groups::Groups;
use crate::facts::weight::fixed;
use mapgrow_format::reader::LiveBlock;
use std::collections::HashMap;

/// Less than one part in so many is no matter.
pub(crate) const MATTERS: u64 = 50;

/// What the live sampled blocks of a group stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveSamples {
    pub blocks: f64,
    pub bytes: f64,
    pub var_blocks: f64,
    pub var_bytes: f64,
}

impl LiveSamples {
    /// For every group.
    pub fn of(blocks: &Blocks, groups: &Groups) -> Vec<Self> {
        let mut all = vec![Self::default(); groups.all.len()];
        for block in sampled(blocks) {
            if let Some(group) = groups.index(block.site) {
                all[group].add(block);
            }
        }
        all
    }

    /// For every site that is in no group.
    pub fn elsewhere(blocks: &Blocks, groups: &Groups) -> HashMap<u32, Self> {
        let mut all = HashMap::<u32, Self>::new();
        for block in sampled(blocks).filter(|block| groups.index(block.site).is_none()) {
            all.entry(block.site).or_default().add(block);
        }
        all
    }

    /// For all that was sampled, containers or not.
    pub fn of_all(blocks: &Blocks) -> Self {
        let mut sum = Self::default();
        sampled(blocks).for_each(|block| sum.add(block));
        sum
    }

    fn add(&mut self, block: &LiveBlock) {
        let weight = fixed(u64::from(block.weight));
        let bytes = block.bytes as f64;
        // Horvitz-Thompson, with p = 1 / weight.
        let spread = (weight * (weight - 1.0)).max(0.0);
        self.blocks += weight;
        self.bytes += weight * bytes;
        self.var_blocks += spread;
        self.var_bytes += spread * bytes * bytes;
    }

    /// Standard error of `bytes`.
    pub fn bytes_error(&self) -> f64 {
        self.var_bytes.sqrt()
    }
}

/// Live blocks that stand for others too.
fn sampled(blocks: &Blocks) -> impl Iterator<Item = &LiveBlock> {
    let live = blocks.live.iter();
    live.filter(|block| !block.certain() && !block.followed())
}
