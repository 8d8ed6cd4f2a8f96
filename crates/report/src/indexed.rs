//! Maps that keep their entries in a vector and only numbers in a hash table, as `IndexMap` does.
//!
//! The table and the vector are blocks of their own, with stacks of their own; for the program they
//! are one map, and `shrink_to_fit` shrinks both.

use super::advice::indexed_shrink;
use super::merge::fold;
use super::model::Site;

/// Puts the vectors of such maps to their tables.
pub(super) fn join(rows: &mut Vec<Site>) {
    for at in (0..rows.len()).rev() {
        if rows[at].family != Some("raw_vec") || !indexed(&rows[at]) {
            continue;
        }
        let mut alike = (0..rows.len()).filter(|&of| belongs(&rows[at], &rows[of]));
        let (Some(table), None) = (alike.next(), alike.next()) else {
            continue;
        };
        let vector = rows[at].clone();
        add(&mut rows[table], &vector);
        rows.remove(at);
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
