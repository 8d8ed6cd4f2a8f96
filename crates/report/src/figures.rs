//! The figures of a group of sites, summed from the words of its sites and edges.

use super::analysis::{Analysis, Blocks};
use super::clock::Clock;
use super::groups::{Group, Groups};
use super::model::{Coverage, Sampled, Series, SizeCount};
use super::pauses::PauseSum;
use super::relations::Relation;
use foldhash::HashMap;
use mapgrow_format::layout::{self, WEIGHT_ONE, edge, header, site};
use mapgrow_format::reader::{LiveBlock, Recording, Site};
use std::collections::BTreeMap;

/// What edges say about a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    pub resizes: u64,
    pub grows: u64,
    pub shrinks: u64,
    /// Resizes whose old block was not recorded.
    pub late: u64,
    pub aborted: u64,
    pub rebuilds: u64,
    pub replaces: u64,
    pub in_place: u64,
    pub copied: u64,
    pub overlap_peak: u64,
    /// When that began.
    pub overlap_ticks: u64,
    overlap_edge: u32,
    /// Longest time that old and new table lived side by side while entries moved step by step.
    pub both_lived: Option<u64>,
    pub pauses: PauseSum,
    /// Blocks of this group that a resize replaced.
    pub resized_away: u64,
    /// Of these, by one of another group: the map went on there.
    pub moved_on: u64,
    /// The site to which most of them went on at once, and how many.
    pub moved_on_to: Option<u32>,
    most_moved_on: u64,
    /// The same with the weights of sampled maps, these alone.
    pub w_resizes: f64,
    /// Estimated variance of that.
    pub var_resizes: f64,
}

impl Flow {
    /// So many maps got their next table at a site of another group.
    pub fn went_on(&mut self, to: u32, maps: u64) {
        self.moved_on = self.moved_on.saturating_add(maps);
        if maps > self.most_moved_on {
            (self.most_moved_on, self.moved_on_to) = (maps, Some(to));
        }
    }
}

pub(super) fn fixed(weight: u64) -> f64 {
    weight as f64 / WEIGHT_ONE as f64
}

/// The flows of all groups.
pub(super) fn flows(
    recording: &Recording,
    analysis: &Analysis,
    groups: &Groups,
    blocks: &Blocks,
) -> Vec<Flow> {
    let mut flows = vec![Flow::default(); groups.all.len()];
    for edge in recording.edges().filter(|edge| edge.id != 0) {
        let relation = analysis.relation(edge.id);
        let count = edge.word(edge::COUNT);
        if relation == Relation::Resize
            && let Some(group) = edge.old_site().and_then(|old| groups.index(old))
        {
            let flow = &mut flows[group];
            flow.resized_away = flow.resized_away.saturating_add(count);
            if groups
                .index(edge.new_site())
                .is_some_and(|new| new != group)
            {
                flow.went_on(edge.new_site(), count);
            }
        }
        let Some(group) = groups.index(edge.new_site()) else {
            continue;
        };
        let flow = &mut flows[group];
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        match relation {
            Relation::Resize => {}
            Relation::Aborted => {
                add(&mut flow.aborted, count);
                continue;
            }
            Relation::Rebuild => {
                add(&mut flow.rebuilds, count);
                continue;
            }
            Relation::Replace => {
                add(&mut flow.replaces, count);
                continue;
            }
            Relation::Unrelated | Relation::Unknown => continue,
        }
        add(&mut flow.resizes, count);
        add(&mut flow.grows, edge.word(edge::GROWS));
        add(&mut flow.shrinks, edge.word(edge::SHRINKS));
        add(&mut flow.in_place, edge.word(edge::IN_PLACE));
        add(&mut flow.copied, edge.word(edge::COPIED_BYTES));
        if edge.old_site().is_none() {
            add(&mut flow.late, count);
        }
        if edge.word(edge::OVERLAP_PEAK) > flow.overlap_peak {
            flow.overlap_peak = edge.word(edge::OVERLAP_PEAK);
            flow.overlap_ticks = edge.word(edge::OVERLAP_TICKS);
            flow.overlap_edge = edge.id;
        }
        flow.pauses.add(&edge);
        flow.w_resizes += fixed(edge.word(edge::W_COUNT));
        flow.var_resizes += edge.word(edge::VAR_COUNT) as f64;
    }
    // An edge keeps when its largest resize ended; the event tells when that began.
    let ends: HashMap<(u32, u64), usize> = flows
        .iter()
        .enumerate()
        .map(|(at, flow)| ((flow.overlap_edge, flow.overlap_ticks), at))
        .collect();
    for event in &blocks.resizes {
        let both = event.old_bytes.saturating_add(event.new_bytes);
        if let Some(&at) = ends.get(&(event.what, event.ticks))
            && flows[at].overlap_peak == both
        {
            flows[at].overlap_ticks = event.ticks.saturating_sub(event.pause);
        }
    }
    flows
}

/// Sums over the sites of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub allocs: u64,
    pub alloc_bytes: u64,
    pub frees: u64,
    pub free_bytes: u64,
    pub samples: u64,
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

/// What the live sampled blocks of a group stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct LiveSamples {
    pub blocks: f64,
    pub bytes: f64,
    var_blocks: f64,
    var_bytes: f64,
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

/// A peak: an upper bound, how far below it the true one may lie, and when it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Peak {
    pub bytes: u64,
    pub error: u64,
    pub ticks: Option<u64>,
}

impl Peak {
    /// Never less than what was live side by side. A `realloc` that copies has both blocks, which the
    /// recorder counts one after the other: how much of that was in the peak is within the error.
    pub fn at_least(self, overlap: u64) -> Self {
        if overlap <= self.bytes {
            return self;
        }
        Self {
            bytes: overlap,
            error: overlap - (self.bytes - self.error),
            ticks: None,
        }
    }

    /// Never more than all recorded blocks together had.
    pub fn at_most(self, all: u64) -> Self {
        let lower = (self.bytes - self.error).min(all);
        let bytes = self.bytes.min(all);
        Self {
            bytes,
            error: bytes - lower,
            ..self
        }
    }
}

/// Combines the peaks of roots that are each exact but were reached at unknown moments of each
/// other: together at most their sum, at least the largest and what is live now.
fn combine(peaks: &[(u64, u64)], outside: bool, live_now: u64) -> Peak {
    if let (&[(bytes, ticks)], false) = (peaks, outside) {
        return Peak {
            bytes,
            error: 0,
            ticks: Some(ticks),
        };
    }
    let upper = peaks
        .iter()
        .fold(0u64, |sum, &(peak, _)| sum.saturating_add(peak));
    let single = peaks.iter().map(|&(peak, _)| peak).max().unwrap_or(0);
    // A root that others share may have had its peak without any block of this group.
    let lower = if outside {
        live_now
    } else {
        single.max(live_now)
    };
    Peak {
        bytes: upper,
        error: upper.saturating_sub(lower),
        ticks: None,
    }
}

/// Which sites keep the live figures of which others.
pub(super) struct Roots {
    /// For each root: every site that has blocks under it.
    users: BTreeMap<u32, Vec<u32>>,
}

impl Roots {
    pub fn of(recording: &Recording, analysis: &Analysis) -> Self {
        let mut users: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for site in recording.sites() {
            if analysis.fact(site.id).is_some_and(|fact| fact.used) {
                users.entry(site.root()).or_default().push(site.id);
            }
        }
        Self { users }
    }

    /// The roots of some sites, and whether other sites have blocks under them too.
    fn under(&self, recording: &Recording, members: &[u32]) -> (Vec<u32>, bool) {
        let mut roots: Vec<u32> = members
            .iter()
            .filter_map(|&id| Some(recording.site(id)?.root()))
            .collect();
        roots.sort_unstable();
        roots.dedup();
        let users = roots
            .iter()
            .filter_map(|root| self.users.get(root))
            .flatten();
        let outside = users
            .into_iter()
            .any(|user| members.binary_search(user).is_err());
        (roots, outside)
    }

    /// The peak of sites together; `members` ascending.
    pub fn peak(&self, recording: &Recording, members: &[u32], live_now: u64) -> Peak {
        let (roots, outside) = self.under(recording, members);
        let roots = roots.iter().filter_map(|&root| recording.site(root));
        let peaks: Vec<_> = roots
            .map(|root| (root.word(site::PEAK_BYTES), root.word(site::PEAK_TICKS)))
            .filter(|&(peak, _)| peak > 0)
            .collect();
        combine(&peaks, outside, live_now)
    }

    /// Live bytes over time of sites together; `members` ascending.
    pub fn series(&self, recording: &Recording, members: &[u32], clock: &Clock) -> Option<Series> {
        let (roots, outside) = self.under(recording, members);
        let roots: Vec<_> = roots
            .iter()
            .filter_map(|&root| recording.site(root))
            .collect();
        let shift = roots
            .iter()
            .map(Site::series_shift)
            .max()
            .filter(|&shift| shift < 64)?;
        let mut sums = vec![0_u64; layout::site::SERIES_WORDS];
        let mut happened = vec![false; layout::site::SERIES_WORDS];
        for root in &roots {
            let finer = shift - root.series_shift();
            let mut coarse = vec![None; layout::site::SERIES_WORDS];
            for (bucket, live) in root.series().enumerate() {
                let slot: &mut Option<u64> = &mut coarse[bucket >> finer.min(63)];
                *slot = live.max(*slot);
            }
            // Where nothing happened under one root, it still had what it had before.
            let mut last = 0;
            for ((sum, seen), live) in sums.iter_mut().zip(&mut happened).zip(coarse) {
                last = live.unwrap_or(last);
                *sum = last.saturating_add(*sum);
                *seen |= live.is_some();
            }
        }
        let used = happened.iter().rposition(|&seen| seen)?;
        let buckets = sums.into_iter().zip(happened);
        let buckets = buckets.map(|(sum, seen)| seen.then_some(sum));
        let buckets = buckets.take(used + 1).collect();
        Some(Series {
            interval_ns: clock.span(1 << shift)?,
            max_live_bytes: buckets,
            last_live_bytes: Vec::new(),
            exact: roots.len() == 1 && !outside,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_of_several_roots_are_bounded_from_both_sides() {
        let exact = Peak {
            bytes: 100,
            error: 0,
            ticks: Some(7),
        };
        assert_eq!(combine(&[(100, 7)], false, 10), exact);
        let bound = combine(&[(100, 7), (30, 9)], false, 10);
        assert_eq!((bound.bytes, bound.error, bound.ticks), (130, 30, None));
        let bound = combine(&[(100, 7), (30, 9)], false, 120);
        assert_eq!((bound.bytes, bound.error), (130, 10));
        let shared = combine(&[(100, 7)], true, 40);
        assert_eq!((shared.bytes, shared.error), (100, 60));
        assert_eq!(combine(&[], false, 0), Peak::default());
    }
}
