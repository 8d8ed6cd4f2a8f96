//! The sizes that maps went through: chains and events go in, one example for each group comes out.

use crate::facts::blocks::Blocks;
use crate::facts::chains::Chain;
use crate::facts::context::Context;
use crate::facts::resize_or_rebuild::Relation;
use crate::facts::serials::Serials;
use std::collections::BTreeMap;

/// For each group, the sizes that its largest map went through: a live one, or one whose
/// resizes are still in the timeline.
pub(crate) fn examples(
    context: &Context<'_>,
    blocks: &Blocks,
    chains: &[Chain],
    serials: &Serials,
) -> Vec<Vec<u64>> {
    let mut examples: Vec<Vec<u64>> = vec![Vec::new(); context.groups.all.len()];
    let mut offer = |site: u32, sizes: Vec<u64>| {
        if let Some(group) = context.groups.index(site) {
            let example = &mut examples[group];
            if sizes.last() > example.last() {
                *example = sizes;
            }
        }
    };
    for chain in chains {
        offer(chain.block.site, chain.sizes());
    }
    let mut gone: BTreeMap<u64, (u32, Vec<u64>)> = BTreeMap::new();
    for event in &blocks.resizes {
        let resize = context.analysis.relation(event.what) == Relation::Resize;
        let edge = context.recording.edge(event.what).filter(|_| resize);
        if let (Some(edge), Some(map)) = (edge, serials.map_of(event.new_serial)) {
            let (site, sizes) = gone.entry(map).or_insert((0, vec![event.old_bytes]));
            *site = edge.new_site();
            sizes.push(event.new_bytes);
        }
    }
    for (site, sizes) in gone.into_values() {
        offer(site, sizes);
    }
    examples
}
