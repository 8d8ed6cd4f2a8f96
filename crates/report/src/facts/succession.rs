//! Containers that move their entries step by step, as Redis's `dict` does: events go in, moves from
//! one table to the next come out.
//!
//! The new table is allocated in one call, every later operation moves a few entries, and the old
//! table is freed by whichever of them moved the last: nothing on the stacks joins the two. The
//! order of events does: a table that ends while a younger one of the same kind lives on, one
//! that nobody else can have come from, has moved into that one. Where several could be meant,
//! none is.

use super::analysis::Analysis;
use super::blocks::Blocks;
use super::groups::Groups;
use super::resize_or_rebuild::Relation;
use foldhash::HashMap;
use mapgrow_format::layout::event;
use mapgrow_format::reader::BlockEvent;

/// Tables of one place that are looked through; with more, nothing could be told apart.
const MOST_OPEN: usize = 1024;

/// A table of such a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its number in the recording.
    pub serial: u64,
    pub site: u32,
    pub bytes: u64,
    pub born_ticks: u64,
    pub thread: u16,
}

/// A table that moved into another, and when the last entry had moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    pub old: Table,
    pub new: Table,
    pub ended_ticks: u64,
}

impl Move {
    /// How long both tables lived, ticks.
    pub fn both_lived(&self) -> u64 {
        self.ended_ticks.saturating_sub(self.new.born_ticks)
    }
}

/// All such moves.
#[derive(Debug, Default)]
pub(crate) struct Successions {
    /// By the number of the new table.
    by_new: HashMap<u64, Move>,
    /// New table, by the number of the old.
    by_old: HashMap<u64, u64>,
    /// Sites of tables whose end could mean several moves, one for each.
    ambiguous: Vec<u32>,
}

/// A table and what is known of it so far.
#[derive(Debug)]
struct Open {
    table: Table,
    /// Whether it is known, or cannot be known any more, where it came from.
    settled: bool,
}

impl Successions {
    /// Sites of the old and of the new table of each move.
    pub fn sites(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.by_new
            .values()
            .map(|moved| (moved.old.site, moved.new.site))
    }

    pub fn of(blocks: &Blocks, analysis: &Analysis, groups: &Groups) -> Self {
        let mut changes = changes(blocks, analysis);
        changes.sort_by_key(|&(ticks, _)| ticks);
        let mut found = Self::default();
        let mut open: HashMap<&'static str, Vec<Open>> = HashMap::default();
        for (ticks, change) in changes {
            let site = match change {
                Change::Begin(table) => table.site,
                Change::End { site, .. } => site,
            };
            let Some(family) = analysis.family(site) else {
                continue;
            };
            let tables = open.entry(family.name).or_default();
            match change {
                Change::Begin(table) if tables.len() < MOST_OPEN => tables.push(Open {
                    table,
                    settled: false,
                }),
                Change::Begin(_) => {}
                Change::End { serial, thread, .. } => {
                    let at = tables.iter().position(|open| open.table.serial == serial);
                    if let Some(at) = at {
                        let old = tables.swap_remove(at).table;
                        found.end(old, ticks, thread, tables, groups);
                    }
                }
            }
        }
        found
    }

    /// The end of a table, while these others live on.
    fn end(&mut self, old: Table, ticks: u64, thread: u16, tables: &mut [Open], groups: &Groups) {
        let fits = |old: &Table, new: &Open| {
            let rank = rank(old, &new.table, groups)?;
            (!new.settled && new.table.thread == thread).then_some(rank)
        };
        let Some(best) = tables.iter().filter_map(|new| fits(&old, new)).min() else {
            return;
        };
        let candidates: Vec<usize> = (0..tables.len())
            .filter(|&at| fits(&old, &tables[at]) == Some(best))
            .collect();
        let others = |new: &Open| {
            let mut others = tables.iter().map(|open| &open.table);
            others.any(|other| fits(other, new).is_some_and(|rank| rank <= best))
        };
        let only = match candidates.as_slice() {
            &[only] if !others(&tables[only]) => Some(tables[only].table),
            _ => None,
        };
        for at in candidates {
            tables[at].settled = true;
        }
        let Some(new) = only else {
            self.ambiguous.push(old.site);
            return;
        };
        self.by_old.insert(old.serial, new.serial);
        self.by_new.insert(
            new.serial,
            Move {
                old,
                new,
                ended_ticks: ticks,
            },
        );
    }

    /// The move into this table.
    pub fn move_into(&self, new: u64) -> Option<&Move> {
        self.by_new.get(&new)
    }

    /// The move out of this table.
    pub fn move_out_of(&self, old: u64) -> Option<&Move> {
        self.by_new.get(self.by_old.get(&old)?)
    }

    /// All moves, by the end of each.
    pub fn all(&self) -> Vec<&Move> {
        let mut all: Vec<&Move> = self.by_new.values().collect();
        all.sort_by_key(|moved| (moved.ended_ticks, moved.new.serial));
        all
    }

    /// Sites of tables whose end could mean several moves, one for each.
    pub fn ambiguous(&self) -> &[u32] {
        &self.ambiguous
    }
}

/// How well `new` may have taken the place of `old`, the smaller the better. Tables of one place
/// first; then those twice as large, then other sizes.
fn rank(old: &Table, new: &Table, groups: &Groups) -> Option<(bool, u8)> {
    if new.born_ticks <= old.born_ticks {
        return None;
    }
    let by_size = match new.bytes {
        bytes if bytes == old.bytes.saturating_mul(2) => 0,
        bytes if bytes > old.bytes && bytes / 16 <= old.bytes => 1,
        bytes if bytes < old.bytes => 2,
        _ => return None,
    };
    Some((groups.index(old.site) != groups.index(new.site), by_size))
}

enum Change {
    Begin(Table),
    End { serial: u64, site: u32, thread: u16 },
}

/// Beginnings and ends of tables of containers that move step by step, as far as they were
/// recorded with certainty.
fn changes(blocks: &Blocks, analysis: &Analysis) -> Vec<(u64, Change)> {
    let certain = |event: &&BlockEvent| event.flags & event::FLAG_SAMPLED == 0;
    let wanted = |site: u32| {
        let family = analysis.family(site);
        family.is_some_and(|family| family.step_by_step)
    };
    let mut changes = Vec::new();
    let mut begun: HashMap<u64, u32> = HashMap::default();
    for event in blocks.births.iter().filter(certain) {
        let (thread, ticks) = (event.thread, event.ticks);
        match event.kind {
            event::KIND_CREATE if wanted(event.what) => {
                begun.insert(event.new_serial, event.what);
                let table = Table {
                    serial: event.new_serial,
                    site: event.what,
                    bytes: event.new_bytes,
                    born_ticks: ticks,
                    thread,
                };
                changes.push((ticks, Change::Begin(table)));
            }
            event::KIND_DROP if wanted(event.what) => {
                let (serial, site) = (event.old_serial, event.what);
                changes.push((
                    ticks,
                    Change::End {
                        serial,
                        site,
                        thread,
                    },
                ));
            }
            _ => {}
        }
    }
    // The end of one that seemed to have to do with another block, maybe one that only chance
    // recorded.
    for event in &blocks.resizes {
        let replaced = event.kind == event::KIND_REPLACE
            && analysis.relation(event.what) == Relation::Unrelated;
        if let Some(&site) = begun.get(&event.old_serial).filter(|_| replaced) {
            let (serial, thread) = (event.old_serial, event.thread);
            changes.push((
                event.ticks,
                Change::End {
                    serial,
                    site,
                    thread,
                },
            ));
        }
    }
    changes
}
