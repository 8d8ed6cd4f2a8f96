//! What the live maps of a group hold together: chains and contents go in, the sums of each group come
//! out.

use super::contents::Contents;
use super::forecast::{Forecast, Forecaster};
use super::strata::{Estimate, Strata};
use crate::facts::chains::Chain;
use crate::facts::context::Context;
use crate::facts::weight::fixed;
use mapgrow_containers::occupancy::{Foreign, ForeignKind, HashVerdict, Occupancy};
use mapgrow_format::layout::header;
use std::collections::BTreeMap;

/// A live map that was read, with what is foretold of it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Bytes of its table.
    pub bytes: u64,
    pub occupancy: Occupancy,
    pub forecast: Forecast,
}

impl Held {
    fn badness(&self) -> (u8, u64) {
        badness(&self.occupancy, self.bytes)
    }
}

/// What a hash does to its map, and how large that is: what makes entries pile up is worse than all
/// else.
fn badness(told: &Occupancy, bytes: u64) -> (u8, u64) {
    match told.quality.map(|quality| quality.verdict) {
        None | Some(HashVerdict::Good) => (0, 0),
        Some(HashVerdict::ConstantTopBits | HashVerdict::IdentityLike) => (1, bytes),
        Some(HashVerdict::Clustered) => (2, bytes),
    }
}

/// Sums over the live maps of a group, and those of its maps that stand out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holdings {
    live: u64,
    /// Maps whose table was read.
    measured: u64,
    tombstones: Option<u64>,
    capacity: Option<u64>,
    /// Live samples, and those whose table was read.
    samples: u64,
    /// Entries, and bytes beyond what they need, of all live maps.
    entries: Option<Estimate>,
    retained: Option<Estimate>,
    /// Tables by log2 of their bytes.
    sizes: BTreeMap<u32, u64>,
    /// Bytes from which every table is counted.
    floor: u64,
    /// Bytes of an element, where the type's name tells.
    element: Option<u64>,
    /// The one with the worst hash; of several, the largest.
    worst_hash: Option<Held>,
    most_tombstones: Option<Held>,
    /// The largest that grows.
    growing: Option<Held>,
    /// The largest table of another container with hardly anything in it.
    emptied: Option<Emptied>,
    /// Buckets of the largest table.
    buckets: Option<(u64, u64)>,
    /// The map that retains most: how much, for how long at most, and how many entries it had before,
    /// at least.
    kept: Option<Kept>,
}

/// A table of another container than hashbrown's with hardly anything in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emptied {
    /// Bytes of the table.
    pub bytes: u64,
    /// Entries in it.
    pub entries: u64,
    /// Entries that it has room for: of one with chains, its buckets.
    pub room: u64,
}

impl Emptied {
    /// `None` when more than an eighth of the room is in use, or nobody knows.
    fn of(table: &Foreign, bytes: u64) -> Option<Self> {
        let none = table.buckets_used.filter(|&used| used == 0);
        let entries = table.entries.or(none)?;
        let room = match table.kind {
            ForeignKind::CpythonKeys | ForeignKind::CpythonSet | ForeignKind::Abseil => {
                table.capacity?
            }
            ForeignKind::Chains => table.buckets,
        };
        (entries < room / 8).then_some(Self {
            bytes,
            entries,
            room,
        })
    }
}

/// How a map came to keep what it does not need.
#[derive(Debug, Clone, Copy)]
struct Kept {
    retained: u64,
    for_at_most_ns: Option<u64>,
    had_entries: Option<u64>,
}

/// What is told of the contents of the live maps of a group. `None`: nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contained {
    pub entries: Option<u64>,
    pub entries_error: Option<u64>,
    pub tombstones: Option<u64>,
    pub capacity: Option<u64>,
    pub retained_bytes: Option<u64>,
    pub retained_error_bytes: Option<u64>,
    pub retained_for_at_most_ns: Option<u64>,
    pub had_entries_at_least: Option<u64>,
}

impl Holdings {
    /// Of every group.
    pub fn of(context: &Context<'_>, chains: &[Chain], contents: &Contents) -> Vec<Self> {
        let empty = Self {
            tombstones: Some(0),
            capacity: Some(0),
            floor: context.recording.header(header::FLOOR),
            ..Self::default()
        };
        let forecaster = Forecaster::new(context, contents);
        let mut all = vec![(empty, Sums::default()); context.groups.all.len()];
        for chain in chains.iter().filter(|chain| !chain.block.followed()) {
            let Some(group) = context.groups.index(chain.block.site) else {
                continue;
            };
            let (holdings, sums) = &mut all[group];
            holdings.samples += u64::from(!chain.block.certain());
            sums.add(chain, contents);
            if chain.block.certain() {
                holdings.add(context, chain, contents, &forecaster);
            }
        }
        let groups = context.groups.all.iter().zip(all);
        groups
            .map(|(group, (holdings, sums))| {
                let members = group.members.iter();
                let mut facts = members.filter_map(|&site| context.analysis.fact(site));
                Self {
                    entries: sums.entries.sum(),
                    retained: sums.retained.sum(),
                    element: facts.find_map(|fact| fact.element_bytes),
                    ..holdings
                }
            })
            .collect()
    }

    fn add(
        &mut self,
        context: &Context<'_>,
        chain: &Chain,
        contents: &Contents,
        forecaster: &Forecaster<'_>,
    ) {
        let bytes = chain.block.bytes;
        self.live += 1;
        if let Some(log2) = bytes.checked_ilog2() {
            *self.sizes.entry(log2).or_default() += 1;
        }
        if let Some(table) = contents.foreign(chain.block.serial)
            && let Some(emptied) = Emptied::of(table, bytes)
            && self.emptied.is_none_or(|other| other.bytes < bytes)
        {
            self.emptied = Some(emptied);
        }
        let sum = |sum: Option<u64>, more: Option<u64>| Some(sum?.saturating_add(more?));
        if let Some(table) = contents.foreign(chain.block.serial) {
            self.measured += 1;
            self.tombstones = sum(self.tombstones, table.tombstones);
            self.capacity = sum(self.capacity, table.capacity);
            return;
        }
        let Some(content) = contents.of_table(chain.block.serial) else {
            return;
        };
        let told = content.occupancy;
        self.measured += 1;
        self.tombstones = sum(self.tombstones, Some(told.tombstones.value));
        self.capacity = sum(self.capacity, told.capacity);
        if let Some(buckets) = told.buckets {
            self.buckets = self.buckets.max(Some((bytes, buckets)));
        }
        let retained = told.retained_bytes.unwrap_or(0);
        if self.kept.is_none_or(|kept| kept.retained < retained) {
            self.kept = Some(Kept {
                retained,
                for_at_most_ns: kept_for(context, chain, content.ticks),
                had_entries: forecaster.had_entries(content, chain),
            });
        }
        let family = context.analysis.family(chain.block.site);
        let held = Held {
            bytes,
            occupancy: told,
            forecast: forecaster.of(chain, family, None),
        };
        let larger = |other: &Option<Held>| other.as_ref().is_none_or(|held| held.bytes < bytes);
        if badness(&told, bytes) > self.worst_hash.as_ref().map_or((0, 0), Held::badness) {
            self.worst_hash = Some(held.clone());
        }
        if held.forecast.entries_per_s.is_some() && larger(&self.growing) {
            self.growing = Some(held.clone());
        }
        let tombstones = told.tombstones.value;
        let before = self.most_tombstones.as_ref();
        if before.map_or(0, |held| held.occupancy.tombstones.value) < tombstones {
            self.most_tombstones = Some(held);
        }
    }

    /// Entries that fit into the present tables.
    pub fn capacity(&self) -> Option<u64> {
        self.capacity
    }

    /// Live tables by log2 of their bytes.
    pub fn sizes(&self) -> &BTreeMap<u32, u64> {
        &self.sizes
    }

    /// Bytes from which every table is counted.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Bytes of an element, where the type's name tells.
    pub fn element(&self) -> Option<u64> {
        self.element
    }

    /// Buckets of the largest live table, if it has so many bytes.
    pub fn buckets_of(&self, bytes: u64) -> Option<u64> {
        self.buckets
            .filter(|&(size, _)| size == bytes)
            .map(|(_, buckets)| buckets)
    }

    /// The map with the worst hash; of several, the largest.
    pub fn worst_hash(&self) -> Option<&Held> {
        self.worst_hash.as_ref()
    }

    /// The map with most tombstones.
    pub fn most_tombstones(&self) -> Option<&Held> {
        self.most_tombstones.as_ref()
    }

    /// The largest table of another container than hashbrown's with hardly anything in it.
    pub fn emptied(&self) -> Option<Emptied> {
        self.emptied
    }

    /// The largest map that grows.
    pub fn growing(&self) -> Option<&Held> {
        self.growing.as_ref()
    }

    /// What is told of their contents, of tables with so many bytes.
    pub fn contained(&self, held: u64) -> Contained {
        let all_read = self.live > 0 && self.measured == self.live && self.samples == 0;
        let known = |figure: Option<u64>| figure.filter(|_| all_read);
        let figures = |sum: Option<Estimate>| sum.map(Estimate::rounded).unzip();
        let (entries, entries_error) = figures(self.entries);
        let (retained, retained_error_bytes) = figures(self.retained.filter(told));
        let kept = self.kept.filter(|kept| kept.retained > 0);
        Contained {
            entries,
            entries_error,
            tombstones: known(self.tombstones),
            capacity: known(self.capacity),
            // No table keeps more than it has.
            retained_bytes: retained.map(|kept| kept.min(held)),
            retained_error_bytes,
            retained_for_at_most_ns: kept.and_then(|kept| kept.for_at_most_ns),
            had_entries_at_least: kept.and_then(|kept| kept.had_entries),
        }
    }
}

/// Sums over the live maps of a group while they are gone through.
#[derive(Clone, Default)]
struct Sums {
    entries: Strata,
    retained: Strata,
}

impl Sums {
    fn add(&mut self, chain: &Chain, contents: &Contents) {
        let block = &chain.block;
        let weight = fixed(u64::from(block.weight));
        let (entries, retained) = contents.bounds(block.serial, block.bytes);
        self.entries.add(block.bytes, weight, entries);
        self.retained.add(block.bytes, weight, retained);
    }
}

/// Whether an estimate says more than that it may be anything.
fn told(sum: &Estimate) -> bool {
    sum.error <= sum.value.max(f64::from(1 << 16))
}

/// How long a map can have kept what it does not need: its table was filled when it was made
/// for the entries of the one before, so not longer than it has the table.
fn kept_for(context: &Context<'_>, chain: &Chain, read: u64) -> Option<u64> {
    context.clock.span(read.checked_sub(chain.block.ticks)?)
}

#[cfg(test)]
mod tests;
