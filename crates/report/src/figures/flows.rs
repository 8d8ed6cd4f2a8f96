//! What moved between groups of sites: edges and moves step by step go in, the flow of each group
//! comes out.

use super::pauses::PauseSum;
use crate::facts::analysis::Analysis;
use crate::facts::blocks::Blocks;
use crate::facts::groups::Groups;
use crate::facts::resize_or_rebuild::Relation;
use crate::facts::succession::{Move, Successions};
use crate::facts::weight::fixed;
use foldhash::HashMap;
use mapgrow_format::layout::edge;
use mapgrow_format::reader::{Edge, Recording};

/// What edges and moves step by step say about a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
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

/// What the time is from the new table to the free of the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timing {
    /// The thread moved the entries.
    Pause,
    /// It did other work meanwhile.
    BothLived,
}

impl Flow {
    /// So many maps of this group, `own`, got their next table at this site.
    fn left(&mut self, to: u32, maps: u64, own: usize, groups: &Groups) {
        add(&mut self.resized_away, maps);
        if groups.index(to).is_some_and(|new| new != own) {
            add(&mut self.moved_on, maps);
            if maps > self.most_moved_on {
                (self.most_moved_on, self.moved_on_to) = (maps, Some(to));
            }
        }
    }

    /// What an edge to a site of this group counted.
    fn came(&mut self, edge: &Edge<'_>, relation: Relation, timing: Timing) {
        let count = edge.word(edge::COUNT);
        match relation {
            Relation::Resize => self.resized(edge, timing),
            Relation::Aborted => add(&mut self.aborted, count),
            Relation::Rebuild => add(&mut self.rebuilds, count),
            Relation::Replace => add(&mut self.replaces, count),
            Relation::Unrelated | Relation::Unknown => {}
        }
    }

    fn resized(&mut self, edge: &Edge<'_>, timing: Timing) {
        let count = edge.word(edge::COUNT);
        add(&mut self.resizes, count);
        add(&mut self.grows, edge.word(edge::GROWS));
        add(&mut self.shrinks, edge.word(edge::SHRINKS));
        add(&mut self.in_place, edge.word(edge::IN_PLACE));
        add(&mut self.copied, edge.word(edge::COPIED_BYTES));
        if edge.old_site().is_none() {
            add(&mut self.late, count);
        }
        if edge.word(edge::OVERLAP_PEAK) > self.overlap_peak {
            self.overlap_peak = edge.word(edge::OVERLAP_PEAK);
            self.overlap_ticks = edge.word(edge::OVERLAP_TICKS);
            self.overlap_edge = edge.id;
        }
        match timing {
            Timing::Pause => self.pauses.add(edge),
            Timing::BothLived => {
                let longest = edge.word(edge::PAUSE_MAX);
                self.both_lived = self.both_lived.max(Some(longest));
            }
        }
        self.w_resizes += fixed(edge.word(edge::W_COUNT));
        self.var_resizes += edge.word(edge::VAR_COUNT) as f64;
    }

    /// A table of this group into which another moved step by step.
    fn came_step_by_step(&mut self, moved: &Move) {
        let (old, new) = (&moved.old, &moved.new);
        add(&mut self.resizes, 1);
        add(&mut self.grows, u64::from(new.bytes > old.bytes));
        add(&mut self.shrinks, u64::from(new.bytes < old.bytes));
        add(&mut self.copied, old.bytes.min(new.bytes));
        self.both_lived = self.both_lived.max(Some(moved.both_lived()));
        let overlap = old.bytes.saturating_add(new.bytes);
        if overlap > self.overlap_peak {
            self.overlap_peak = overlap;
            self.overlap_ticks = new.born_ticks;
        }
    }
}

/// The flows of all groups.
pub(crate) fn flows(
    recording: &Recording,
    analysis: &Analysis,
    groups: &Groups,
    blocks: &Blocks,
    successions: &Successions,
) -> Vec<Flow> {
    let mut flows = vec![Flow::default(); groups.all.len()];
    for edge in recording.edges().filter(|edge| edge.id != 0) {
        let relation = analysis.relation(edge.id);
        if relation == Relation::Resize
            && let Some(group) = edge.old_site().and_then(|old| groups.index(old))
        {
            let flow = &mut flows[group];
            flow.left(edge.new_site(), edge.word(edge::COUNT), group, groups);
        }
        if let Some(group) = groups.index(edge.new_site()) {
            let timing = match analysis.moves_little_by_little(edge.id) {
                true => Timing::BothLived,
                false => Timing::Pause,
            };
            flows[group].came(&edge, relation, timing);
        }
    }
    largest_began(&mut flows, blocks);
    for moved in successions.all() {
        let (old, new) = (&moved.old, &moved.new);
        if let Some(group) = groups.index(old.site) {
            flows[group].left(new.site, 1, group, groups);
        }
        if let Some(group) = groups.index(new.site) {
            flows[group].came_step_by_step(moved);
        }
    }
    let ambiguous = successions.ambiguous().iter();
    for group in ambiguous.filter_map(|&site| groups.index(site)) {
        add(&mut flows[group].replaces, 1);
    }
    flows
}

/// An edge keeps when its largest resize ended; the event tells when that began.
fn largest_began(flows: &mut [Flow], blocks: &Blocks) {
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
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}
