//! The sizes that maps went through: chains and events go in, one example for each group comes out.

use crate::facts::blocks::Blocks;
use crate::facts::chains::Chain;
use crate::facts::context::Context;
use crate::facts::resize_or_rebuild::Relation;
use crate::facts::serials::Serials;
use mapgrow_format::layout::header;
use std::collections::BTreeMap;

/// The sizes that a map went through.
#[derive(Debug, Default)]
pub(crate) struct Example {
    /// Oldest first.
    pub sizes: Vec<u64>,
    /// Whether it had tables before the first of them, which would have been recorded.
    pub cut: bool,
}

/// For each group, the sizes that its largest map went through: a live one, or one whose
/// resizes are still in the timeline.
pub(crate) fn examples(
    context: &Context<'_>,
    blocks: &Blocks,
    chains: &[Chain],
    serials: &Serials,
) -> Vec<Example> {
    let floor = context.recording.header(header::FLOOR);
    let groups = context.groups.all.iter();
    let mut examples: Vec<Example> = groups.map(|_| Example::default()).collect();
    let mut offer = |site: u32, sizes: Vec<u64>, complete: bool| {
        if let Some(group) = context.groups.index(site) {
            let example = &mut examples[group];
            if sizes.last() > example.sizes.last() {
                // The ones below the floor, which are not recorded, doubled up to it.
                let recorded = sizes.first() > Some(&floor.saturating_mul(2));
                let cut = recorded && !complete;
                *example = Example { sizes, cut };
            }
        }
    };
    for chain in chains {
        offer(chain.block.site, chain.sizes(), chain.complete);
    }
    // A map has the number of its first known table: whether that was its first one is known only
    // where the timeline has them all.
    let all = context.recording.header(header::RESIZE_HEAD) <= blocks.resizes.len() as u64;
    let mut gone: BTreeMap<u64, (u32, bool, Vec<u64>)> = BTreeMap::new();
    for event in &blocks.resizes {
        let resize = context.analysis.relation(event.what) == Relation::Resize;
        let edge = context.recording.edge(event.what).filter(|_| resize);
        if let (Some(edge), Some(map)) = (edge, serials.map_of(event.new_serial)) {
            let begins = all && event.old_serial == map;
            let (site, _, sizes) = gone
                .entry(map)
                .or_insert((0, begins, vec![event.old_bytes]));
            *site = edge.new_site();
            sizes.push(event.new_bytes);
        }
    }
    for (site, complete, sizes) in gone.into_values() {
        offer(site, sizes, complete);
    }
    examples
}
