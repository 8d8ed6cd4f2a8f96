//! The counts of sites go in, those of each group come out.

use super::flows::Flow;
use super::samples::LiveSamples;
use crate::facts::groups::Group;
use crate::facts::weight::fixed;
use crate::model::{Coverage, Sampled, SizeCount};
use mapgrow_format::layout::{header, site};
use mapgrow_format::reader::{Recording, Site};
use std::collections::BTreeMap;

/// Sums over the sites of a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sums {
    pub allocs: u64,
    pub alloc_bytes: u64,
    pub frees: u64,
    pub free_bytes: u64,
    pub samples: u64,
    /// Blocks that are counted, but neither began nor ended on the timeline.
    pub untold: u64,
    pub w_allocs: f64,
    pub w_alloc_bytes: f64,
    pub w_frees: f64,
    pub w_free_bytes: f64,
    var_allocs: f64,
    pub var_alloc_bytes: f64,
    pub smallest: Option<u64>,
    pub largest: Option<u64>,
    pub first_ticks: u64,
    pub truncated: bool,
    freed_sizes: BTreeMap<usize, u64>,
}

impl Sums {
    pub fn of(recording: &Recording, group: &Group) -> Self {
        let mut sums = Self {
            first_ticks: u64::MAX,
            ..Self::default()
        };
        for site in group.members.iter().filter_map(|&id| recording.site(id)) {
            sums.add(&site);
        }
        sums
    }

    fn add(&mut self, site: &Site<'_>) {
        let add = |sum: &mut u64, word: usize| *sum = sum.saturating_add(site.word(word));
        add(&mut self.allocs, site::ALLOCS);
        add(&mut self.alloc_bytes, site::ALLOC_BYTES);
        add(&mut self.frees, site::FREES);
        add(&mut self.free_bytes, site::FREE_BYTES);
        add(&mut self.samples, site::SAMPLED_ALLOCS);
        add(&mut self.untold, site::UNTOLD_ALLOCS);
        self.w_allocs += fixed(site.word(site::W_ALLOCS));
        self.w_alloc_bytes += site.word(site::W_ALLOC_BYTES) as f64;
        self.w_frees += fixed(site.word(site::W_FREES));
        self.w_free_bytes += site.word(site::W_FREE_BYTES) as f64;
        self.var_allocs += site.word(site::VAR_ALLOCS) as f64;
        self.var_alloc_bytes += site.word(site::VAR_ALLOC_BYTES) as f64 * f64::from(1 << 20);
        let (low, high) = (site.word(site::MIN_BYTES), site.word(site::MAX_BYTES));
        if low <= high {
            self.smallest = Some(self.smallest.map_or(low, |known| known.min(low)));
            self.largest = self.largest.max(Some(high));
        }
        self.first_ticks = self.first_ticks.min(site.word(site::FIRST_TICKS));
        self.truncated |= site.truncated();
        for (log2, count) in site
            .freed_sizes()
            .enumerate()
            .filter(|&(_, count)| count > 0)
        {
            *self.freed_sizes.entry(log2).or_default() += u64::from(count);
        }
    }

    pub fn live_bytes(&self) -> u64 {
        self.alloc_bytes.saturating_sub(self.free_bytes)
    }

    /// `nodes`: the blocks are nodes, for which no size sets the certain ones apart.
    pub fn coverage(&self, recording: &Recording, nodes: bool) -> Coverage {
        let all = recording.header(header::MODE) == 1 || recording.header(header::FLOOR) == 0;
        match (self.allocs, self.samples) {
            (0, 1..) if nodes => Coverage::Sampled,
            (_, 0) if all => Coverage::All,
            _ => Coverage::AboveFloor,
        }
    }

    pub fn freed_sizes(&self) -> Vec<SizeCount> {
        let sizes = self.freed_sizes.iter();
        sizes
            .map(|(&log2, &count)| SizeCount {
                from_bytes: 1 << log2,
                count,
            })
            .collect()
    }

    /// The sampled part, with what live samples of the group add up to.
    pub fn sampled(&self, live: &LiveSamples, flow: Option<&Flow>) -> Option<Sampled> {
        (self.samples > 0).then(|| Sampled {
            samples: self.samples,
            est_allocs: self.allocs as f64 + self.w_allocs,
            est_allocs_error: self.var_allocs.sqrt(),
            est_allocated_bytes: self.alloc_bytes as f64 + self.w_alloc_bytes,
            est_allocated_bytes_error: self.var_alloc_bytes.sqrt(),
            est_live_bytes: self.live_bytes() as f64 + live.bytes,
            est_live_bytes_error: live.var_bytes.sqrt(),
            est_maps_live: self.allocs.saturating_sub(self.frees) as f64 + live.blocks,
            est_maps_live_error: live.var_blocks.sqrt(),
            est_resizes: flow.map(|flow| flow.resizes as f64 + flow.w_resizes),
            est_resizes_error: flow.map(|flow| flow.var_resizes.sqrt()),
        })
    }
}
