//! What edges say about groups of sites: facts of edges go in, the flow of each group comes out.

use super::pauses::PauseSum;
use crate::facts::analysis::Analysis;
use crate::facts::blocks::Blocks;
use crate::facts::groups::Groups;
use crate::facts::relations::Relation;
use crate::facts::weight::fixed;
use foldhash::HashMap;
use mapgrow_format::layout::edge;
use mapgrow_format::reader::Recording;

/// What edges say about a group.
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

impl Flow {
    /// So many maps got their next table at a site of another group.
    pub fn went_on(&mut self, to: u32, maps: u64) {
        self.moved_on = self.moved_on.saturating_add(maps);
        if maps > self.most_moved_on {
            (self.most_moved_on, self.moved_on_to) = (maps, Some(to));
        }
    }
}

/// The flows of all groups.
pub(crate) fn flows(
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
