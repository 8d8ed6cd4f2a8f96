//! What the nodes of containers hold that have a block for each entry.

use super::blocks::Blocks;
use super::elements::Nodes;
use super::reach::Root;
use super::{Finding, Found, Region, Searched, words};

/// Nodes of a container that are all followed, and of all containers.
const PER_MAP: u64 = 1 << 17;
const ALL_MAPS: u64 = 1 << 21;

/// Bytes of a container's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeBytes {
    /// As many as can be used of their blocks.
    pub bytes: u64,
    /// Whether all were followed; else it is the size of those that were for every entry.
    pub exact: bool,
}

/// Bytes of the nodes of each of `finding.tables`; `None` of those that have none, and where blocks
/// are not known. `regions` and `roots` are sorted; blocks do not lie in roots.
#[must_use]
pub fn nodes(
    memory: &dyn Searched,
    regions: &[Region],
    finding: &Finding,
    roots: &[Root],
) -> Vec<Option<NodeBytes>> {
    let regions = words::joined(regions);
    let blocks = Blocks::new(memory, &regions, roots, &finding.extents);
    let tables = finding
        .tables
        .iter()
        .filter(|found| found.family.has_nodes());
    let followed = tables.map(|found| found.occupancy.entries.value.min(PER_MAP));
    let all = followed.fold(1, u64::saturating_add);
    let most = (PER_MAP as f64 * (ALL_MAPS as f64 / all as f64).min(1.0)) as u64;
    let of = |found: &Found| {
        let entries = found.occupancy.entries.value;
        let nodes = Nodes::follow(&blocks, found, most.max(1), &mut |_, _| ())?;
        let bytes = match nodes.all {
            true => nodes.bytes,
            false => (nodes.bytes as f64 / nodes.followed as f64 * entries as f64).round() as u64,
        };
        Some(NodeBytes {
            bytes,
            exact: nodes.all,
        })
    };
    finding.tables.iter().map(of).collect()
}
