//! Containers with several tables each, that grow together: keys in one array and values in another, or
//! buckets and what tells which of them are taken. Resizes go in, the number of tables of each
//! container comes out.

use crate::facts::analysis::Analysis;
use crate::facts::groups::Groups;
use crate::facts::resize_or_rebuild::Relation;
use foldhash::HashMap;
use mapgrow_format::layout::{edge, site};
use mapgrow_format::reader::Recording;
use std::collections::BTreeSet;

/// Tables between which maps moved, at sites of one group.
#[derive(Debug, Default, PartialEq, Eq)]
struct Column {
    /// Places at which they grew.
    grown_at: BTreeSet<usize>,
    live: u64,
    dropped: u64,
}

/// Resizes by the site of the new table: its number, and the site of the old one.
pub(crate) struct Columns(HashMap<u32, Vec<(u32, Option<u32>)>>);

impl Columns {
    pub fn of(recording: &Recording, analysis: &Analysis) -> Self {
        let mut by_new: HashMap<u32, Vec<(u32, Option<u32>)>> = HashMap::default();
        let resize = |id: u32| id != 0 && analysis.relation(id) == Relation::Resize;
        for edge in recording.edges().filter(|edge| resize(edge.id)) {
            let into = by_new.entry(edge.new_site()).or_default();
            into.push((edge.id, edge.old_site()));
        }
        Self(by_new)
    }

    /// How many tables each container of these sites has: the sites are columns between which none
    /// ever moved, all of which grew at the same places, and hold and lost as many tables. `None`
    /// where it has one, as far as can be told.
    pub fn of_each(&self, recording: &Recording, groups: &Groups, members: &[u32]) -> Option<u64> {
        if members.len() < 2 {
            return None;
        }
        let at: HashMap<u32, usize> = members.iter().copied().zip(0..).collect();
        let resizes = || {
            let into = members
                .iter()
                .filter_map(|new| Some((*new, self.0.get(new)?)));
            into.flat_map(|(new, all)| all.iter().map(move |&(edge, old)| (edge, old, new)))
        };
        let within = |old: Option<u32>| old.and_then(|old| at.get(&old).copied());
        let mut column: Vec<usize> = (0..members.len()).collect();
        for (_, old, new) in resizes() {
            let (from, to) = (within(old).map(|old| column[old]), column[at[&new]]);
            if let Some(from) = from.filter(|from| *from != to) {
                column
                    .iter_mut()
                    .filter(|of| **of == from)
                    .for_each(|of| *of = to);
            }
        }
        let mut columns: HashMap<usize, Column> = HashMap::default();
        for (&id, &of) in members.iter().zip(&column) {
            let words = recording.site(id)?;
            let (allocs, frees) = (words.word(site::ALLOCS), words.word(site::FREES));
            let column = columns.entry(of).or_default();
            column.live = column.live.saturating_add(allocs.saturating_sub(frees));
            column.dropped = column.dropped.saturating_add(frees);
        }
        for (edge, old, new) in resizes() {
            let column = columns.get_mut(&column[at[&new]])?;
            column.grown_at.extend(groups.index(new));
            // The old table of each was freed, too, if it was recorded.
            let count = recording.edge(edge)?.word(edge::COUNT);
            let freed = within(old).map_or(0, |_| count);
            column.dropped = column.dropped.saturating_sub(freed);
        }
        let mut all = columns.into_values();
        let first = all.next().filter(|first| !first.grown_at.is_empty())?;
        let others = all.len() as u64;
        (others > 0 && all.all(|other| other == first)).then_some(others + 1)
    }
}
