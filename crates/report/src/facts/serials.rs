//! Which tables are of one map.

use super::analysis::Analysis;
use super::blocks::Blocks;
use super::chains::Chain;
use super::relations::Relation;
use super::succession::Successions;
use foldhash::HashMap;
use mapgrow_format::layout::event;

/// Numbers of tables, joined where a resize led from one to the next. A map is called by the
/// number of its first known table.
#[derive(Debug, Default)]
pub(crate) struct Serials {
    /// To an earlier table of the same map.
    earlier: HashMap<u64, u64>,
}

impl Serials {
    pub fn of(
        chains: &[Chain],
        blocks: &Blocks,
        analysis: &Analysis,
        successions: &Successions,
    ) -> Self {
        // As many as are joined, or nearly so.
        let tables = chains.iter().map(|chain| chain.serials().count());
        let mut serials = Self::default();
        serials
            .earlier
            .reserve(tables.sum::<usize>().max(blocks.resizes.len()));
        for chain in chains {
            let mut before = None;
            for serial in chain.serials() {
                if let Some(before) = before {
                    serials.join(before, serial);
                }
                before = Some(serial);
            }
        }
        for event in &blocks.resizes {
            let moved = matches!(event.kind, event::KIND_REPLACE | event::KIND_REALLOC)
                && analysis.relation(event.what) == Relation::Resize;
            if moved && event.old_serial != 0 && event.new_serial != 0 {
                serials.join(event.old_serial, event.new_serial);
            }
        }
        for moved in successions.all() {
            serials.join(moved.old.serial, moved.new.serial);
        }
        serials
    }

    /// The map that a table is of; `None` for a table that was not recorded.
    pub fn map_of(&mut self, serial: u64) -> Option<u64> {
        (serial != 0).then(|| self.first(serial))
    }

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_called_by_its_first_table_whatever_the_numbers() {
        let mut serials = Serials::default();
        // Tables 900, 70, 500, 8 in this order, told of in another.
        serials.join(70, 500);
        serials.join(900, 70);
        serials.join(500, 8);
        for table in [900, 70, 500, 8] {
            assert_eq!(serials.map_of(table), Some(900));
        }
        // What a damaged recording says twice or the wrong way round ends all the same.
        serials.join(8, 900);
        serials.join(500, 70);
        assert_eq!(serials.map_of(8), Some(900));
        assert_eq!((serials.map_of(5), serials.map_of(0)), (Some(5), None));
    }
}
