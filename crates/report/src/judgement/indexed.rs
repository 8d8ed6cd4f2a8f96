//! Maps whose entries do not lie in their table: in a vector, as those of `IndexMap` do, or in a node
//! for each, as those of C++'s unordered containers.
//!
//! The table and what lies beside it are blocks of their own, with stacks of their own; for the program
//! they are one map.

use super::advice::indexed_shrink;
use crate::merge::fold;
use crate::model::{Coverage, Sampled, Site, error_of_sum};
use mapgrow_containers::classify::catalogue::nodes_of;

/// Puts the vectors and nodes of such maps to their tables.
pub(crate) fn join(rows: &mut Vec<Site>) {
    for at in (0..rows.len()).rev() {
        let nodes = rows[at]
            .family
            .is_some_and(|family| nodes_of(family).is_some());
        if !nodes && (rows[at].family != Some("raw_vec") || !indexed(&rows[at])) {
            continue;
        }
        let belongs = if nodes { hang_on } else { belongs };
        let mut alike = (0..rows.len()).filter(|&of| belongs(&rows[at], &rows[of]));
        let (Some(table), None) = (alike.next(), alike.next()) else {
            continue;
        };
        let beside = rows[at].clone();
        if nodes {
            add_nodes(&mut rows[table], &beside);
        } else {
            add(&mut rows[table], &beside);
        }
        rows.remove(at);
    }
}

/// Nodes are made where the table grows.
fn hang_on(nodes: &Site, table: &Site) -> bool {
    let types = nodes.type_name.as_ref().zip(table.type_name.as_ref());
    table.family.is_some()
        && table.family == nodes.family.and_then(nodes_of)
        && types.is_none_or(|(nodes, table)| nodes == table)
        && table.caller == nodes.caller
        && nodes.caller.is_some()
}

/// Counts, resizes and contents stay those of the table; what is held is that of both.
fn add_nodes(table: &mut Site, nodes: &Site) {
    if nodes.coverage != Coverage::Sampled {
        for (sum, more) in [
            (&mut table.live_bytes, nodes.live_bytes),
            (&mut table.allocated_bytes, nodes.allocated_bytes),
            (&mut table.freed_bytes, nodes.freed_bytes),
        ] {
            *sum = sum.saturating_add(more);
        }
        let least = table.live_bytes.max(table.peak_live_bytes.unwrap_or(0));
        let upper = [table.peak_live_bytes, nodes.peak_live_bytes];
        let upper = upper.into_iter().flatten().fold(0, u64::saturating_add);
        table.peak_live_bytes = Some(upper.max(least));
        table.peak_live_error_bytes = Some(upper.saturating_sub(least));
        table.peak_at_ns = None;
    }
    if let Some(more) = &nodes.sampled {
        // Nodes that were counted one by one are in the sums already.
        let (live, allocated) = match nodes.coverage {
            Coverage::Sampled => (0, 0),
            _ => (nodes.live_bytes, nodes.allocated_bytes),
        };
        let own = table.sampled.take().unwrap_or_else(|| counted(table));
        table.sampled = Some(Sampled {
            samples: own.samples.saturating_add(more.samples),
            est_allocated_bytes: own.est_allocated_bytes + more.est_allocated_bytes
                - allocated as f64,
            est_allocated_bytes_error: error_of_sum(
                own.est_allocated_bytes_error,
                more.est_allocated_bytes_error,
            ),
            est_live_bytes: own.est_live_bytes + more.est_live_bytes - live as f64,
            est_live_bytes_error: error_of_sum(own.est_live_bytes_error, more.est_live_bytes_error),
            ..own
        });
    }
    table.series = None;
    table.exact &= nodes.exact;
    table.recorded_sites.extend(&nodes.recorded_sites);
    table.recorded_sites.sort_unstable();
}

/// What was counted one by one, as an estimate without an error.
fn counted(site: &Site) -> Sampled {
    Sampled {
        samples: 0,
        est_allocs: site.allocs as f64,
        est_allocs_error: 0.0,
        est_allocated_bytes: site.allocated_bytes as f64,
        est_allocated_bytes_error: 0.0,
        est_live_bytes: site.live_bytes as f64,
        est_live_bytes_error: 0.0,
        est_maps_live: site.maps_live.unwrap_or(0) as f64,
        est_maps_live_error: 0.0,
        est_resizes: site.resizes.map(|resizes| resizes as f64),
        est_resizes_error: site.resizes.map(|_| 0.0),
    }
}

fn indexed(row: &Site) -> bool {
    let named = |name: &str| name.starts_with("IndexMap") || name.starts_with("IndexSet");
    row.type_name.as_deref().is_some_and(named)
}

fn belongs(vector: &Site, table: &Site) -> bool {
    table.family == Some("hashbrown")
        && table.type_name == vector.type_name
        && table.caller == vector.caller
        && vector.caller.is_some()
}

/// The maps stay those of the table: each has one vector.
fn add(table: &mut Site, vector: &Site) {
    let own = table.clone();
    fold(table, vector, 0);
    table.maps_created = own.maps_created;
    table.maps_late = own.maps_late;
    table.maps_live = own.maps_live;
    table.maps_dropped = own.maps_dropped;
    table.known_by = own.known_by;
    table.retained_bytes = retained(&own, vector);
    (table.entries, table.capacity) = (own.entries, own.capacity);
    table.entries_error = own.entries_error;
    table.retained_error_bytes = table.retained_bytes.map(|_| 0);
    table.tombstones = own.tombstones;
    table.example_tables = own.example_tables;
    table.suggestions = own.suggestions;
    table.recorded_sites.extend(&vector.recorded_sites);
    table.recorded_sites.sort_unstable();
    // Each reached its peak at a moment of its own.
    let peaks = [
        (own.peak_live_bytes, own.peak_live_error_bytes),
        (vector.peak_live_bytes, vector.peak_live_error_bytes),
    ];
    let (mut upper, mut least) = (0u64, table.live_bytes);
    for (peak, error) in peaks {
        let peak = peak.unwrap_or(0);
        upper = upper.saturating_add(peak);
        least = least.max(peak.saturating_sub(error.unwrap_or(0)));
    }
    table.peak_live_bytes = Some(upper);
    table.peak_live_error_bytes = Some(upper.saturating_sub(least));
    table.exact &= upper == least;
    indexed_shrink(table);
}

/// What both keep that the entries do not need: known where the vector has room for as many as
/// the table.
fn retained(table: &Site, vector: &Site) -> Option<u64> {
    // Of several maps of which only some were read nothing tells which vector is whose.
    table.entries_error.filter(|&error| error == 0)?;
    let (entries, room) = (table.entries?, table.capacity.filter(|&room| room > 0)?);
    let whole = vector.live_bytes.is_multiple_of(room) && table.maps_live == vector.maps_live;
    let element = whole.then_some(vector.live_bytes / room)?;
    let needed = entries.checked_mul(element)?;
    let spare = vector.live_bytes.checked_sub(needed)?;
    Some(table.retained_bytes?.saturating_add(spare))
}
