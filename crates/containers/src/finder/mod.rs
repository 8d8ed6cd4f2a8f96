//! Finds the tables of containers in memory that nobody prepared: of a running process, or of
//! this one. Nothing has to be known of the program.
//!
//! # What proves a table
//!
//! The *header* of a container holds the address of its table and some numbers about it. The
//! table tells the same numbers itself. Where the two agree there is a container, in whatever
//! way it was made and whatever it belongs to. Each family has its own proof: `hashbrown`,
//! `libstdcxx`, `cpython`.
//!
//! # What is no table
//!
//! Programs move containers about, and the memory they were moved from keeps copies of their
//! headers: one table is counted once, however many headers lead to it. A table that was freed
//! keeps most of its bytes, too; where the allocator says that its block is free, it is none.
//!
//! # What changes meanwhile
//!
//! The program may go on running. A header is read again after its table; what was not the same
//! at both times is looked at again, and left out and counted when it never holds still.
//!
//! Memory is read in pieces of a fixed size; what is kept grows with the tables found alone.

mod block;
mod cpython;
mod hashbrown;
mod libstdcxx;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use mapgrow_system::memory::Memory;

use crate::occupancy::Occupancy;

/// Tables kept at most: what the finder itself needs stays bounded.
const MOST_TABLES: usize = 1_000_000;

/// Headers that are remembered of one table, beside the first.
const MOST_COPIES: usize = 8;

/// Memory that containers can lie in: writable, and of this process alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
}

/// Memory that is searched.
pub trait Searched: Memory {
    /// The parts between `from` and `to` that are worth reading, in order: `to` must have them
    /// one by one. Pages that were never touched, and those that would have to be read from a
    /// disk first, are not.
    fn parts(&self, from: u64, to: u64, add: &mut dyn FnMut(u64, u64)) {
        add(from, to);
    }
}

/// Which implementation a table belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FoundFamily {
    /// Rust's `HashMap`, `HashSet`, and all that is built on hashbrown.
    Hashbrown,
    /// `std::unordered_map` and its like of libstdc++.
    LibstdcxxHashtable,
    /// `dict` of CPython.
    CpythonDict,
}

impl FoundFamily {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hashbrown => "hashbrown",
            Self::LibstdcxxHashtable => "libstdcxx_hashtable",
            Self::CpythonDict => "cpython_dict",
        }
    }

    /// Whether deleted entries go on taking room.
    #[must_use]
    pub fn keeps_tombstones(self) -> bool {
        !matches!(self, Self::LibstdcxxHashtable)
    }
}

/// A table that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Which implementation.
    pub family: FoundFamily,
    /// Where the container's header lies: the first of them, if there are copies.
    pub header: u64,
    /// Where others lie that lead to this table, as moves leave them behind: the first few.
    pub copies: Vec<u64>,
    /// Where its block begins, when the allocator tells.
    pub block: Option<u64>,
    /// Bytes of the table, as the container asked for them.
    pub bytes: Option<u64>,
    /// What it holds.
    pub occupancy: Occupancy,
    /// Entries with which it grows next.
    pub grows_at: Option<u64>,
    /// Bytes that its next table needs.
    pub next_bytes: Option<u64>,
}

/// What a search found, and what it could not see.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Finding {
    /// The tables, by the address of their header.
    pub tables: Vec<Found>,
    /// Bytes that were searched.
    pub bytes_read: u64,
    /// Bytes that could not be read.
    pub bytes_unreadable: u64,
    /// Candidates that changed each time they were looked at, and were left out.
    pub changed_while_read: u64,
    /// Tables whose block the allocator has free, and which were left out.
    pub freed: u64,
    /// Tables left out because there were too many.
    pub omitted: u64,
}

/// Searches `regions`, which are sorted and do not overlap. `group` is the width of hashbrown's
/// control groups in that program. `progress` is told, now and then, how many bytes are behind.
pub fn find(
    memory: &impl Searched,
    regions: &[Region],
    group: u64,
    progress: &mut dyn FnMut(u64),
) -> Finding {
    let regions = joined(regions);
    let mut search = Search {
        memory,
        regions: &regions,
        group,
        seen: HashMap::new(),
        types: HashMap::new(),
        blocks_known: false,
        swallowed: HashSet::new(),
        finding: Finding::default(),
    };
    words::scan(&mut search, progress);
    let mut finding = search.finding;
    if search.blocks_known {
        let before = finding.tables.len();
        let swallowed = &search.swallowed;
        (finding.tables).retain(|found| !swallowed.contains(&found.header));
        finding.freed += (before - finding.tables.len()) as u64;
    }
    finding.tables.sort_unstable_by_key(|found| found.header);
    finding
}

/// A search in progress.
struct Search<'a, M> {
    memory: &'a M,
    regions: &'a [Region],
    group: u64,
    /// Tables met, by address: their place among those found, or none.
    seen: HashMap<u64, Option<usize>>,
    /// Objects that may be CPython's types, and whether they are those of dicts.
    types: HashMap<u64, bool>,
    /// Whether the allocator's own words were found around any table.
    blocks_known: bool,
    /// Headers of tables that are none if they were.
    swallowed: HashSet<u64>,
    finding: Finding,
}

impl<M: Searched> Search<'_, M> {
    /// The region that `bytes` bytes at `address` lie in.
    fn region(&self, address: u64, bytes: u64) -> Option<Region> {
        let after = self.regions.partition_point(|r| r.start <= address);
        let region = self.regions.get(after.checked_sub(1)?)?;
        (address.checked_add(bytes)? <= region.end).then_some(*region)
    }

    /// Whether a table was met before, by another header than that at `header`.
    fn met(&mut self, table: u64, header: u64) -> bool {
        let Some(&at) = self.seen.get(&table) else {
            return false;
        };
        if let Some(found) = at.and_then(|at| self.finding.tables.get_mut(at))
            && found.copies.len() < MOST_COPIES
        {
            found.copies.push(header);
        }
        true
    }

    fn add(&mut self, table: u64, found: Found) {
        if self.finding.tables.len() == MOST_TABLES {
            self.finding.omitted += 1;
            return;
        }
        self.seen.insert(table, Some(self.finding.tables.len()));
        self.finding.tables.push(found);
    }
}

/// Regions that touch are one: a block may lie across.
fn joined(regions: &[Region]) -> Vec<Region> {
    let mut joined: Vec<Region> = Vec::with_capacity(regions.len());
    for &region in regions {
        match joined.last_mut() {
            Some(last) if last.end == region.start => last.end = region.end,
            _ => joined.push(region),
        }
    }
    joined
}

/// A word of `bytes`.
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}
