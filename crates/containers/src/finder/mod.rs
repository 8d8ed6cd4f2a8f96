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

mod abseil;
mod again;
mod block;
mod blocks;
mod boost;
mod cpython;
mod cpython_older;
mod cpython_set;
mod deep;
mod effort;
mod elements;
mod family;
mod glib;
mod go;
mod go_buckets;
mod hashbrown;
mod headers;
mod jemalloc;
mod khash;
mod libcxx;
mod libstdcxx;
mod musl;
mod nodes;
mod proof;
mod reach;
mod redis;
mod redis_older;
mod ruby;
mod view;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::thread::ScopedJoinHandle;

use mapgrow_system::memory::Memory;

use crate::occupancy::{Count, Occupancy};
pub use again::find_again;
pub use deep::{Deep, STEPS as DEEP_STEPS, deep};
pub use family::FoundFamily;
use jemalloc::Extents;
pub use nodes::{NodeBytes, nodes};
pub use reach::{Reach, Root, reach};
use view::View;

/// Tables kept at most: what the finder itself needs stays bounded.
const MOST_TABLES: usize = 300_000;

/// Searches that run side by side at most.
const MOST_THREADS: usize = 4;

/// Tables that are worth one more.
const WORTH_A_SHARE: usize = 1024;

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
pub trait Searched: Memory + Sync {
    /// The parts between `from` and `to` that are worth reading, in order: `to` must have them
    /// one by one. Pages that were never touched, and those that would have to be read from a
    /// disk first, are not.
    fn parts(&self, from: u64, to: u64, add: &mut dyn FnMut(u64, u64)) {
        add(from, to);
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
    /// Where what the header leads to begins: of hashbrown the control bytes.
    pub table: u64,
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
    /// Whether so little proves it that chance may have made it: then it is one if others of its
    /// family are there without a doubt.
    doubtful: bool,
    /// The other family whose header looks the same: it is of that one if others are, and none of its
    /// own is there.
    or_else: Option<FoundFamily>,
}

/// What the headers of most families tell.
#[derive(Debug, Clone, Copy)]
struct Figures {
    buckets: u64,
    entries: u64,
    tombstones: u64,
    capacity: u64,
    growth_left: u64,
}

impl Found {
    /// A table with these figures, of which nothing else is known.
    fn of(family: FoundFamily, header: u64, table: u64, figures: Figures) -> Self {
        let exact = |value| Count { value, error: 0 };
        Self {
            family,
            header,
            copies: Vec::new(),
            table,
            block: None,
            bytes: None,
            occupancy: Occupancy {
                buckets: Some(figures.buckets),
                element_bytes: None,
                entries: exact(figures.entries),
                tombstones: exact(figures.tombstones),
                capacity: Some(figures.capacity),
                growth_left: Some(figures.growth_left),
                retained_bytes: None,
                quality: None,
            },
            grows_at: None,
            next_bytes: None,
            doubtful: false,
            or_else: None,
        }
    }
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
    /// Whether so much could have been tables that not all of it was looked at.
    pub gave_up: bool,
    /// What jemalloc says of its memory.
    extents: Extents,
}

/// Searches `regions`, which are sorted and do not overlap. `group` is the width of hashbrown's
/// control groups in that program. `progress` is told, now and then, how many bytes are behind.
pub fn find(
    memory: &dyn Searched,
    regions: &[Region],
    group: u64,
    progress: &mut dyn FnMut(u64),
) -> Finding {
    let regions = words::joined(regions);
    let (finding, extents) = scanned(memory, &regions, group, progress);
    measured(memory, &regions, group, finding, extents)
}

/// The tables that prove themselves, each once, and what jemalloc says of its memory.
fn scanned(
    memory: &dyn Searched,
    regions: &[Region],
    group: u64,
    progress: &mut dyn FnMut(u64),
) -> (Finding, Extents) {
    let pieces = words::Pieces::of(regions);
    let threads = threads(regions);
    let effort = effort::to_prove(regions);
    let view = || View::with_effort(memory, effort);
    let search = || Search::new(view(), regions, group, MOST_TABLES / threads);
    let mut first = search();
    let others = std::thread::scope(|scope| {
        let work = || {
            let mut search = search();
            words::scan(&mut search, &pieces, &mut |_| ());
            (search.finding, search.extents)
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        words::scan(&mut first, &pieces, progress);
        others.into_iter().map(joined_with).collect::<Vec<_>>()
    });
    let (mut finding, mut extents) = (first.finding, first.extents);
    for (more, and_more) in others {
        finding.take(more);
        extents.take(and_more);
    }
    finding.once();
    extents.sort();
    (finding, extents)
}

/// The same with what the allocators say of the tables' blocks, without those that were freed.
fn measured(
    memory: &dyn Searched,
    regions: &[Region],
    group: u64,
    mut finding: Finding,
    extents: Extents,
) -> Finding {
    let mut rest = std::mem::take(&mut finding.tables);
    let effort = effort::to_measure(regions, rest.len());
    let search = || Search::new(View::with_effort(memory, effort), regions, group, 0);
    let share = rest.len().div_ceil(threads(regions)).max(WORTH_A_SHARE);
    let measured = std::thread::scope(|scope| {
        let (search, extents) = (&search, &extents);
        let mut shares = Vec::new();
        while rest.len() > share {
            let share = rest.split_off(rest.len() - share);
            shares.push(scope.spawn(move || block::measure(&search(), extents, share)));
        }
        let mut measured = block::measure(&search(), extents, rest);
        (shares.into_iter().map(joined_with)).for_each(|more| measured.take(more));
        measured.finish();
        measured
    });
    finding.tables = measured.tables;
    finding.freed += measured.freed;
    finding.gave_up |= measured.gave_up;
    finding.settle_doubts();
    finding.extents = extents;
    finding.tables.sort_unstable_by_key(|found| found.header);
    finding
}

/// Searches that are worth their while side by side.
fn threads(regions: &[Region]) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(MOST_THREADS).min(words::Pieces::worth(regions))
}

/// The result of a search thread. If that thread panicked this one does too: a part of the tables
/// would be a wrong answer.
fn joined_with<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    (thread.join()).unwrap_or_else(|grief| std::panic::resume_unwind(grief))
}

/// A search in progress.
struct Search<'a> {
    view: View<'a>,
    regions: &'a [Region],
    group: u64,
    /// Tables met, by address: their place among those found.
    seen: HashMap<u64, usize>,
    /// Tables that there is room for.
    room: usize,
    /// Objects that may be CPython's types, and whether they are those of dicts.
    types: HashMap<u64, bool>,
    /// What jemalloc says of its memory, if it is there.
    extents: Extents,
    finding: Finding,
}

impl<'a> Search<'a> {
    fn new(view: View<'a>, regions: &'a [Region], group: u64, room: usize) -> Self {
        Self {
            view,
            regions,
            group,
            seen: HashMap::new(),
            room,
            types: HashMap::new(),
            extents: Extents::default(),
            finding: Finding::default(),
        }
    }

    /// The region that `bytes` bytes at `address` lie in.
    fn region(&self, address: u64, bytes: u64) -> Option<Region> {
        let after = self.regions.partition_point(|r| r.start <= address);
        let region = self.regions.get(after.checked_sub(1)?)?;
        (address.checked_add(bytes)? <= region.end).then_some(*region)
    }

    /// The least address of any region, and how far on the last one ends.
    fn span(&self) -> (u64, u64) {
        let least = self.regions.first().map_or(0, |region| region.start);
        (
            least,
            self.regions.last().map_or(0, |region| region.end - least),
        )
    }

    /// Whether a table was met before, by another header than that at `header`.
    fn met(&mut self, table: u64, header: u64) -> bool {
        let Some(&at) = self.seen.get(&table) else {
            return false;
        };
        if let Some(found) = self.finding.tables.get_mut(at)
            && found.copies.len() < MOST_COPIES
        {
            found.copies.push(header);
        }
        true
    }

    fn add(&mut self, found: Found) {
        if self.finding.tables.len() >= self.room {
            self.finding.omitted += 1;
            return;
        }
        self.seen.insert(found.table, self.finding.tables.len());
        self.finding.tables.push(found);
    }

    /// Reads what was not the same at two times once more, and looks at what is there now.
    fn anew<T>(&mut self, look: impl FnOnce(&mut Self) -> T) -> T {
        self.view.fresh(true);
        let result = look(self);
        self.view.fresh(false);
        result
    }
}

impl Finding {
    /// Takes over what another search found in its part of the memory.
    fn take(&mut self, other: Finding) {
        self.tables.extend(other.tables);
        self.bytes_read += other.bytes_read;
        self.bytes_unreadable += other.bytes_unreadable;
        self.changed_while_read += other.changed_while_read;
        self.freed += other.freed;
        self.omitted += other.omitted;
        self.gave_up |= other.gave_up;
    }

    /// Leaves out what only its like could prove, where there is none.
    fn settle_doubts(&mut self) {
        let proved: HashSet<FoundFamily> = (self.tables.iter())
            .filter(|found| !found.doubtful && found.or_else.is_none())
            .map(|found| found.family)
            .collect();
        for found in &mut self.tables {
            if let Some(other) = found.or_else.filter(|other| proved.contains(other))
                && !proved.contains(&found.family)
            {
                found.family = other;
            }
        }
        (self.tables).retain(|found| !found.doubtful || proved.contains(&found.family));
    }

    /// Leaves each table once, by the first of its headers.
    fn once(&mut self) {
        (self.tables).sort_unstable_by_key(|found| (found.table, found.header));
        self.tables.dedup_by(|more, kept| {
            let same = more.table == kept.table;
            if same {
                kept.copies.push(more.header);
                kept.copies.append(&mut more.copies);
            }
            same
        });
        for found in &mut self.tables {
            found.copies.sort_unstable();
            if let Some(first) = found.copies.first_mut()
                && *first < found.header
            {
                std::mem::swap(first, &mut found.header);
            }
            found.copies.truncate(MOST_COPIES);
        }
    }
}

/// A word of `bytes`.
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}
