//! Which tables are of one map.

use super::analysis::{Analysis, Blocks};
use super::chains::Chain;
use super::relations::Relation;
use crate::recording::layout::event;
use std::collections::HashMap;

/// Numbers of tables, joined where a resize led from one to the next. A map is called by the
/// number of its first known table.
#[derive(Debug, Default)]
pub(super) struct Serials {
    /// To an earlier table of the same map.
    earlier: HashMap<u64, u64>,
}

impl Serials {
    pub fn of(chains: &[Chain], blocks: &Blocks, analysis: &Analysis) -> Self {
        let mut serials = Self::default();
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

    fn join(&mut self, one: u64, other: u64) {
        let (one, other) = (self.first(one), self.first(other));
        if one != other {
            // Always towards the smaller number, so no circle can come about.
            self.earlier.insert(one.max(other), one.min(other));
        }
    }
}
