//! Containers whose entries do not lie in their table: in a vector, as those of `IndexMap` do, in a
//! node for each, as those of C++'s unordered containers, or in many blocks, as those of a deque.
//!
//! The table and what lies beside it are blocks of their own, with stacks of their own; for the program
//! they are one map. Rows of tables and of what lies beside them go in, rows of maps come out.

use super::advice::{advised_as_one, presize};
use crate::model::{Advice, AdviceKind, Caller, Coverage, Sampled, Site, error_of_sum};
use crate::rows::fold::fold;
use foldhash::HashMap;
use mapgrow_containers::classify::catalogue::nodes_of;

/// The rows with the vectors and nodes of such maps put to their tables. `places` are the rows of
/// the places that each is made of.
pub(crate) fn joined(rows: Vec<Site>, places: &[Site]) -> Vec<Site> {
    let tables = tables(&rows, places);
    let mut rows: Vec<Option<Site>> = rows.into_iter().map(Some).collect();
    // A row has a table or is one, never both: the last come first.
    for (at, table) in tables.into_iter().enumerate().rev() {
        let Some(to) = table else {
            continue;
        };
        if let (Some(beside), Some(table)) = (rows[at].take(), rows[to].take()) {
            let nodes = beside.family.and_then(nodes_of).is_some();
            rows[to] = Some(match nodes {
                true => with_nodes(table, &beside),
                false => advised_as_one(with_vector(table, &beside)),
            });
        }
    }
    rows.into_iter().flatten().collect()
}

/// For each row that is no map of its own the place of its table, where that can be one alone.
fn tables(rows: &[Site], places: &[Site]) -> Vec<Option<usize>> {
    type By<'a> = HashMap<&'a Caller, Vec<usize>>;
    let (mut begun_by, mut grown_by) = (By::default(), By::default());
    let at: HashMap<u32, &Site> = places.iter().map(|place| (place.id, place)).collect();
    for (of, row) in rows.iter().enumerate() {
        if let Some(caller) = &row.caller {
            begun_by.entry(caller).or_default().push(of);
        }
        let members = row.recorded_sites.iter();
        for caller in members.filter_map(|id| at.get(id)?.caller.as_ref()) {
            let rows = grown_by.entry(caller).or_default();
            if rows.last() != Some(&of) {
                rows.push(of);
            }
        }
    }
    let table = |row: &Site| {
        let belongs = match row.family.and_then(nodes_of) {
            Some(_) => hang_on,
            None if row.family == Some("raw_vec") && indexed(row) => belongs,
            None => return None,
        };
        let alike = |by: &By<'_>| -> Option<Vec<usize>> {
            let near = by.get(row.caller.as_ref()?)?.iter().copied();
            Some(near.filter(|&of| belongs(row, &rows[of])).collect())
        };
        // A deque has a table from its constructor on, and grows elsewhere.
        let begun = alike(&begun_by).filter(|found| !found.is_empty());
        match begun.or_else(|| alike(&grown_by))?.as_slice() {
            [table] => Some(*table),
            _ => None,
        }
    };
    rows.iter().map(table).collect()
}

/// Whether nodes that are made where a table grows may be of that table.
fn hang_on(nodes: &Site, table: &Site) -> bool {
    let types = nodes.type_name.as_ref().zip(table.type_name.as_ref());
    table.family.is_some()
        && table.family == nodes.family.and_then(nodes_of)
        && types.is_none_or(|(nodes, table)| nodes == table)
}

/// Counts, resizes and contents stay those of the table; what is held is that of both.
fn with_nodes(mut table: Site, nodes: &Site) -> Site {
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
        let own = table.sampled.take().unwrap_or_else(|| counted(&table));
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
    table
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

/// Whether a vector that is made where a table grows may have its entries.
fn belongs(vector: &Site, table: &Site) -> bool {
    table.family == Some("hashbrown") && table.type_name == vector.type_name
}

/// The maps stay those of the table: each has one vector.
fn with_vector(table: Site, vector: &Site) -> Site {
    let retained_bytes = retained(&table, vector);
    let (suggestions, advice) = presized_as_one(&table, vector);
    let mut both = table.clone();
    fold(&mut both, vector, 0);
    both.recorded_sites.extend(&vector.recorded_sites);
    both.recorded_sites.sort_unstable();
    // Each reached its peak at a moment of its own.
    let peaks = [
        (table.peak_live_bytes, table.peak_live_error_bytes),
        (vector.peak_live_bytes, vector.peak_live_error_bytes),
    ];
    let (mut upper, mut least) = (0u64, both.live_bytes);
    for (peak, error) in peaks {
        let peak = peak.unwrap_or(0);
        upper = upper.saturating_add(peak);
        least = least.max(peak.saturating_sub(error.unwrap_or(0)));
    }
    Site {
        exact: both.exact && upper == least,
        maps_created: table.maps_created,
        maps_late: table.maps_late,
        maps_live: table.maps_live,
        maps_dropped: table.maps_dropped,
        known_by: table.known_by,
        retained_bytes,
        retained_error_bytes: retained_bytes.map(|_| 0),
        entries: table.entries,
        entries_error: table.entries_error,
        capacity: table.capacity,
        tombstones: table.tombstones,
        example_tables: table.example_tables,
        example_tables_cut: table.example_tables_cut,
        suggestions,
        advice,
        peak_live_bytes: Some(upper),
        peak_live_error_bytes: Some(upper.saturating_sub(least)),
        ..both
    }
}

/// The advice for a table, of which that on its size from the start says what it saves in the vector,
/// too.
fn presized_as_one(table: &Site, vector: &Site) -> (Vec<Advice>, Vec<String>) {
    let presizes = |one: &&Advice| one.kind == AdviceKind::Presize;
    let of_vector = vector.suggestions.iter().find(presizes);
    let both = |one: &Advice| match of_vector.filter(|_| presizes(&one)) {
        Some(more) => presize::with_vector(one.clone(), more),
        None => one.clone(),
    };
    let suggestions: Vec<Advice> = table.suggestions.iter().map(both).collect();
    let renamed = |told: &String| {
        let of = table.suggestions.iter().position(|one| one.text == *told);
        of.map_or_else(|| told.clone(), |at| suggestions[at].text.clone())
    };
    let advice = table.advice.iter().map(renamed).collect();
    (suggestions, advice)
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
