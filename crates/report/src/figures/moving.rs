//! Tables that were read while a resize was filling them: what tables held goes in, the numbers of
//! those come out.
//!
//! Until a resize ends, its new table looks like another map that holds a part of the entries. It
//! is told from one by the full table beside it.

use foldhash::HashMap;
use mapgrow_containers::occupancy::Occupancy;
use std::cmp::Reverse;

/// A move takes no longer than this for each entry, unless the thread waits for its turn. Those of
/// 128 bytes into fresh pages take half a microsecond.
const MOST_NS_PER_ENTRY: u64 = 10_000;

/// A live hashbrown table that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// Number of the table.
    pub serial: u64,
    /// When it was allocated, ticks.
    pub ticks: u64,
    /// Whether it took the place of no other, as far as the recording goes.
    pub first: bool,
    /// Time from its allocation to the reading, nanoseconds.
    pub age_ns: Option<u64>,
    /// What it held.
    pub occupancy: &'a Occupancy,
}

impl Seen<'_> {
    /// Whether its next insert allocates the table after it, as far as the reading tells.
    fn full(&self) -> bool {
        let Occupancy {
            entries,
            tombstones,
            growth_left,
            ..
        } = self.occupancy;
        let error = entries.error.saturating_add(tombstones.error);
        entries.value > 0 && growth_left.is_some_and(|left| left <= error)
    }

    /// Whether the entries of `full` can have been on their way into this table.
    fn takes_from(&self, full: &Seen<'_>) -> bool {
        let (new, old) = (self.occupancy, full.occupancy);
        let most = MOST_NS_PER_ENTRY.saturating_mul(old.entries.value);
        self.ticks > full.ticks
            && self.age_ns.is_some_and(|age| age <= most)
            && new.element_bytes.is_some()
            && new.element_bytes == old.element_bytes
            && new.buckets > old.buckets
            && new.entries.value <= old.entries.value.saturating_add(old.entries.error)
    }
}

/// The numbers of those tables that were being filled from another, as far as can be told: what
/// they held is no figure of any map.
pub(crate) fn being_filled(tables: &[Seen<'_>]) -> Vec<u64> {
    // Of each shape the one with most entries, or thousands of full tables would be compared with
    // thousands of new ones.
    let mut full: HashMap<(u64, u64), &Seen<'_>> = HashMap::default();
    for table in tables.iter().filter(|table| table.full()) {
        let Some(shape) = table.occupancy.element_bytes.zip(table.occupancy.buckets) else {
            continue;
        };
        let first = full.entry(shape).or_insert(table);
        let rank = |table: &Seen<'_>| (table.occupancy.entries.value, Reverse(table.ticks));
        if rank(table) > rank(first) {
            *first = table;
        }
    }
    let smaller = |new: &Seen<'_>| {
        let (element, buckets) = new.occupancy.element_bytes.zip(new.occupancy.buckets)?;
        let mut sizes =
            (1..u64::BITS).map_while(|log2| Some(buckets >> log2).filter(|&size| size > 0));
        sizes.find(|&size| {
            full.get(&(element, size))
                .is_some_and(|old| new.takes_from(old))
        })
    };
    tables
        .iter()
        .filter(|new| new.first && smaller(new).is_some())
        .map(|new| new.serial)
        .collect()
}

/// A live hashbrown table that could not be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone {
    /// When it was allocated, ticks.
    pub ticks: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// Whether a table of `bytes` that took the place of no other, as far as the recording goes, is one
/// into which a resize was moving what a table had that was `gone` when it should have been read. What
/// it holds is then that of a map of which the recording knows another history.
pub(crate) fn took_over(table: &Seen<'_>, bytes: u64, gone: &[Gone]) -> bool {
    let most = table.occupancy.buckets.unwrap_or(0);
    let most = MOST_NS_PER_ENTRY.saturating_mul(most);
    let young = table.first && table.age_ns.is_some_and(|age| age <= most);
    let outgrown =
        |gone: &Gone| gone.ticks < table.ticks && gone.bytes < bytes && bytes / 3 <= gone.bytes;
    young && gone.iter().any(outgrown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapgrow_containers::occupancy::Count;

    fn holding(buckets: u64, entries: u64, growth_left: u64) -> Occupancy {
        let exactly = |value| Count { value, error: 0 };
        Occupancy {
            buckets: Some(buckets),
            element_bytes: Some(128),
            entries: exactly(entries),
            tombstones: exactly(0),
            capacity: Some(buckets / 8 * 7),
            growth_left: Some(growth_left),
            retained_bytes: None,
            quality: None,
        }
    }

    fn seen(serial: u64, first: bool, age_ns: u64, occupancy: &Occupancy) -> Seen<'_> {
        Seen {
            serial,
            ticks: serial,
            first,
            age_ns: Some(age_ns),
            occupancy,
        }
    }

    #[test]
    fn a_table_beside_one_that_is_gone_may_have_taken_its_place() {
        let half = holding(262_144, 167_104, 62_272);
        let gone = |ticks, bytes| Gone { ticks, bytes };
        let (young, old) = (176_000_000, 3_000_000_000);
        let took = |first, age, gone| took_over(&seen(9, first, age, &half), 33_816_592, &[gone]);
        assert!(took(true, young, gone(3, 16_908_304)));
        assert!(!took(false, young, gone(3, 16_908_304)), "it has a history");
        assert!(
            !took(true, old, gone(3, 16_908_304)),
            "no resize takes that long"
        );
        assert!(!took(true, young, gone(10, 16_908_304)), "it is younger");
        assert!(!took(true, young, gone(3, 4_227_088)), "it is much smaller");
        assert!(!took(true, young, gone(3, 67_633_168)), "it is larger");
    }

    #[test]
    fn a_table_is_being_filled_while_a_full_one_stands_beside_it() {
        let full = holding(1024, 896, 0);
        let filling = holding(2048, 300, 1492);
        let tables = [seen(1, false, 9, &full), seen(2, true, 5_000, &filling)];
        assert_eq!(being_filled(&tables), [2]);
        // The map beside it still has room, so nothing moves out of it.
        let roomy = holding(1024, 890, 6);
        let tables = [seen(1, false, 9, &roomy), seen(2, true, 5_000, &filling)];
        assert!(being_filled(&tables).is_empty());
    }

    #[test]
    fn a_map_of_its_own_is_not_being_filled() {
        let full = holding(1024, 896, 0);
        let other = holding(2048, 300, 1492);
        // No move takes so long.
        let tables = [seen(1, false, 9, &full), seen(2, true, 1 << 40, &other)];
        assert!(being_filled(&tables).is_empty());
        // It has grown before.
        let tables = [seen(1, false, 9, &full), seen(2, false, 5_000, &other)];
        assert!(being_filled(&tables).is_empty());
        // It holds more than could have come.
        let more = holding(2048, 897, 895);
        let tables = [seen(1, false, 9, &full), seen(2, true, 5_000, &more)];
        assert!(being_filled(&tables).is_empty());
        // It was there before.
        let tables = [seen(3, false, 9, &full), seen(2, true, 5_000, &other)];
        assert!(being_filled(&tables).is_empty());
    }
}
