//! Which tables are of one map: chains and events go in, for each table the map's first one comes out.

use super::analysis::Analysis;
use super::blocks::Blocks;
use super::chains::Chain;
use super::resize_or_rebuild::Relation;
use super::succession::Successions;
use foldhash::HashMap;
use mapgrow_format::layout::event;

/// For each table that followed another, the first known table of its map. A map is called by that
/// one's number.
#[derive(Debug, Default)]
pub(crate) struct Serials(HashMap<u64, u64>);

impl Serials {
    pub fn of(
        chains: &[Chain],
        blocks: &Blocks,
        analysis: &Analysis,
        successions: &Successions,
    ) -> Self {
        // As many as are joined, or nearly so.
        let tables = chains.iter().map(|chain| chain.serials().count());
        let mut joins = Joins::default();
        joins
            .earlier
            .reserve(tables.sum::<usize>().max(blocks.resizes.len()));
        for chain in chains {
            let mut before = None;
            for serial in chain.serials() {
                if let Some(before) = before {
                    joins.join(before, serial);
                }
                before = Some(serial);
            }
        }
        for event in &blocks.resizes {
            let moved = matches!(event.kind, event::KIND_REPLACE | event::KIND_REALLOC)
                && analysis.relation(event.what) == Relation::Resize;
            if moved && event.old_serial != 0 && event.new_serial != 0 {
                joins.join(event.old_serial, event.new_serial);
            }
        }
        for moved in successions.all() {
            joins.join(moved.old.serial, moved.new.serial);
        }
        joins.finish()
    }

    /// The map that a table is of; `None` for a table that was not recorded.
    pub fn map_of(&self, serial: u64) -> Option<u64> {
        let first = self.0.get(&serial).copied();
        (serial != 0).then(|| first.unwrap_or(serial))
    }
}

/// Numbers of tables, joined where a resize led from one to the next.
#[derive(Debug, Default)]
struct Joins {
    /// To an earlier table of the same map.
    earlier: HashMap<u64, u64>,
}

impl Joins {
    fn first(&mut self, mut serial: u64) -> u64 {
        while let Some(&earlier) = self.earlier.get(&serial) {
            if let Some(&yet) = self.earlier.get(&earlier) {
                self.earlier.insert(serial, yet);
            }
            serial = earlier;
        }
        serial
    }

    /// `after` is the table that followed `before`.
    fn join(&mut self, before: u64, after: u64) {
        let (first, later) = (self.first(before), self.first(after));
        // Two first tables become one map; within one map there is nothing to do, so no circle
        // comes about.
        if first != later {
            self.earlier.insert(later, first);
        }
    }

    /// Leads each table to the first one at once.
    fn finish(mut self) -> Serials {
        let joined: Vec<u64> = self.earlier.keys().copied().collect();
        for serial in joined {
            let first = self.first(serial);
            self.earlier.insert(serial, first);
        }
        Serials(self.earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_called_by_its_first_table_whatever_the_numbers() {
        let of_tables = |damaged: bool| {
            let mut joins = Joins::default();
            // Tables 900, 70, 500, 8 in this order, told of in another.
            joins.join(70, 500);
            joins.join(900, 70);
            joins.join(500, 8);
            // What a damaged recording says twice or the wrong way round ends all the same.
            if damaged {
                joins.join(8, 900);
                joins.join(500, 70);
            }
            joins.finish()
        };
        for serials in [of_tables(false), of_tables(true)] {
            for table in [900, 70, 500, 8] {
                assert_eq!(serials.map_of(table), Some(900));
            }
            assert_eq!((serials.map_of(5), serials.map_of(0)), (Some(5), None));
        }
    }
}
