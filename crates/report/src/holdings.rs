//! What the live maps of a site hold together.

use super::advice::advise;
use super::chains::Chain;
use super::contents::Contents;
use super::forecast::{Forecast, Forecaster};
use super::maps::Context;
use super::model::Site;
use mapgrow_containers::occupancy::{Foreign, ForeignKind, HashVerdict, Occupancy};
use mapgrow_format::layout::header;
use std::collections::BTreeMap;

/// A live map that was read, with what is foretold of it.
#[derive(Debug, Clone)]
pub(super) struct Held {
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
pub(super) struct Holdings {
    live: u64,
    /// Maps whose table was read.
    measured: u64,
    entries: u64,
    tombstones: u64,
    capacity: Option<u64>,
    retained: Option<u64>,
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
    /// Of the map that retains most: how much, since when at most, and what it held before at
    /// least.
    kept: Option<Kept>,
}

/// A table of another container than hashbrown's with hardly anything in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Emptied {
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
            ForeignKind::CpythonKeys => table.capacity?,
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

impl Holdings {
    /// Of every group.
    pub fn of(context: &Context<'_>, chains: &[Chain], contents: &Contents) -> Vec<Self> {
        let empty = Self {
            capacity: Some(0),
            retained: Some(0),
            floor: context.recording.header(header::FLOOR),
            ..Self::default()
        };
        let forecaster = Forecaster::new(context, contents);
        let mut all = vec![empty; context.groups.all.len()];
        let certain = chains.iter().filter(|chain| chain.block.certain());
        for chain in certain {
            if let Some(group) = context.groups.index(chain.block.site) {
                all[group].add(context, chain, contents, &forecaster);
            }
        }
        for (holdings, group) in all.iter_mut().zip(&context.groups.all) {
            let facts = group
                .members
                .iter()
                .filter_map(|&site| context.analysis.fact(site));
            holdings.element = facts.filter_map(|fact| fact.element_bytes).next();
        }
        all
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
        let Some(content) = contents.of_table(chain.block.serial) else {
            return;
        };
        let told = content.occupancy;
        let sum = |sum: Option<u64>, more: Option<u64>| Some(sum?.saturating_add(more?));
        self.measured += 1;
        self.entries = self.entries.saturating_add(told.entries.value);
        self.tombstones = self.tombstones.saturating_add(told.tombstones.value);
        self.capacity = sum(self.capacity, told.capacity);
        self.retained = sum(self.retained, told.retained_bytes);
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

    /// Of maps of which nothing but their room is told.
    pub fn with_capacity(capacity: Option<u64>) -> Self {
        Self {
            capacity,
            ..Self::default()
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

    /// Fills in the row of a site.
    pub fn complete(&self, site: &mut Site, buckets: impl Fn(u64) -> Option<u64>) {
        let all_read = self.live > 0 && self.measured == self.live;
        let known = |figure: Option<u64>| figure.filter(|_| all_read);
        site.entries = known(Some(self.entries));
        site.tombstones = known(Some(self.tombstones));
        site.capacity = known(self.capacity);
        site.retained_bytes = known(self.retained);
        let kept = self.kept.filter(|kept| kept.retained > 0);
        site.retained_for_at_most_ns = kept.and_then(|kept| kept.for_at_most_ns);
        site.had_entries_at_least = kept.and_then(|kept| kept.had_entries);
        advise(site, self, &buckets);
    }
}

/// How long a map can have kept what it does not need: its table was filled when it was made
/// for the entries of the one before, so not longer than it has the table.
fn kept_for(context: &Context<'_>, chain: &Chain, read: u64) -> Option<u64> {
    context.clock.span(read.checked_sub(chain.block.ticks)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::{Rule, judge};
    use crate::measure::Measure;
    use crate::model::Report;
    use crate::tests::{Names, program, report, table};
    use crate::text::units::bytes;
    use mapgrow_containers::occupancy::{Count, HashQuality};
    use mapgrow_format::layout::{edge, site};

    /// The row of a map that doubled from 2^10 to 2^16 buckets of 40 bytes, and was read or not.
    fn grown() -> Site {
        let (mut names, mut program) = (Names::default(), program());
        let growth = names.at(&["hashbrown::raw::RawTable<T,A>::reserve_rehash"]);
        let user = names.at(&["demo::run@src/run.rs:7"]);
        let at = program.recording.site(site::ENTRY_ALLOC, &[growth, user]);
        let grow = program
            .recording
            .edge(edge::KIND_REPLACE, Some(at), at, 0, growth);
        let mut map = program.alloc(at, table(1 << 10, 40), 16);
        for log2 in 11..=16 {
            map = program.replace(map, grow, table(1 << log2, 40), 100);
        }
        program.keep(map, 0x7000_0000_1000);
        let mut site = report(&mut program, &mut names).sites.remove(0);
        site.advice.clear();
        site
    }

    fn read(entries: u64, retained: u64) -> Holdings {
        Holdings {
            live: 1,
            measured: 1,
            entries,
            sizes: BTreeMap::from([(table(1 << 16, 40).ilog2(), 1)]),
            capacity: Some(57_344),
            retained: Some(retained),
            ..Holdings::default()
        }
    }

    #[test]
    fn a_full_map_should_have_been_made_large_at_once() {
        let mut site = grown();
        read(50_000, 0).complete(&mut site, |_| Some(1 << 16));
        assert_eq!((site.entries, site.retained_bytes), (Some(50_000), Some(0)));
        let copied = bytes((10..16).map(|log2| table(1 << log2, 40)).sum());
        let overlap = bytes(table(1 << 15, 40) + table(1 << 16, 40));
        let advice = format!(
            "create it with_capacity(50000) or more to save 6 resizes, {copied} of copying and \
             {overlap} of old and new table at once"
        );
        assert_eq!(site.advice, [advice]);
    }

    #[test]
    fn all_resizes_that_were_counted_are_saved() {
        // Two more, out of tables below the floor.
        let mut site = grown();
        site.grows = Some(8);
        read(50_000, 0).complete(&mut site, |_| Some(1 << 16));
        assert!(
            site.advice[0].contains("to save 8 resizes, "),
            "{:?}",
            site.advice
        );
    }

    #[test]
    fn several_maps_are_told_of_by_their_sizes() {
        let mut site = grown();
        for size in &mut site.freed_sizes {
            size.count *= 2;
        }
        (site.maps_created, site.grows) = (Some(2), Some(12));
        let mut two = read(100_000, 0);
        two.sizes.values_mut().for_each(|maps| *maps *= 2);
        two.complete(&mut site, |_| Some(1 << 16));
        let start = "create them with_capacity(57344): of 2 maps all but 5 % end with a \
                     table of 2.6 MiB or less; it saves 12 resizes";
        assert!(site.advice[0].starts_with(start), "{:?}", site.advice);
    }

    #[test]
    fn an_emptied_map_should_shrink_and_not_be_made_larger() {
        let mut site = grown();
        read(1, 2 << 20).complete(&mut site, |_| Some(1 << 16));
        assert_eq!(
            site.advice,
            ["shrink_to_fit() would give back 2.0 MiB: 1 entry left in tables for 57,344"]
        );
    }

    #[test]
    fn a_failed_gate_is_told_what_cures_it() {
        let mut site = grown();
        read(1, 2 << 20).complete(&mut site, |_| Some(1 << 16));
        let report = Report {
            sites: vec![site],
            ..Report::default()
        };
        let advice = |measure| {
            let rules = [Rule::site(measure, "demo::run", 0)];
            judge(&report, &rules).remove(0).advice
        };
        // It is emptied: but what shrinks it saves no resize, and no stall.
        for measure in [Measure::Resizes, Measure::Pause, Measure::Overlap] {
            let advice = advice(measure);
            assert_eq!(advice.len(), 1, "{advice:?}");
            assert!(advice[0].starts_with("create it with_capacity(28673)"));
        }
        let shrink = "shrink_to_fit() would give back 2.0 MiB: 1 entry left in tables for 57,344";
        assert_eq!(advice(Measure::Retained), [shrink]);
        assert_eq!(advice(Measure::Live), [shrink]);
    }

    #[test]
    fn a_hash_that_piles_entries_up_is_named_on_a_small_map() {
        let with = |verdict| {
            let count = |value| Count { value, error: 0 };
            let occupancy = Occupancy {
                buckets: Some(1 << 15),
                element_bytes: Some(16),
                entries: count(28_000),
                tombstones: count(0),
                capacity: Some(28_672),
                growth_left: Some(672),
                retained_bytes: Some(0),
                quality: Some(HashQuality {
                    verdict,
                    tag_repeats: 128.0,
                    packed: 1.0,
                    fill_variance: 7.0,
                }),
            };
            let holdings = Holdings {
                worst_hash: Some(Held {
                    bytes: table(1 << 15, 16),
                    occupancy,
                    forecast: Forecast::default(),
                }),
                ..Holdings::default()
            };
            let mut site = Site::default();
            holdings.complete(&mut site, |_| None);
            site.advice
        };
        let advice = with(HashVerdict::Clustered);
        assert_eq!(advice.len(), 1, "{advice:?}");
        let cost = "may go through 28,000 slots and compare 28,000 keys";
        assert!(advice[0].contains(cost), "{advice:?}");
        // Numbers in a row, which nothing has to go far for.
        assert!(with(HashVerdict::IdentityLike).is_empty());
    }

    #[test]
    fn other_languages_are_told_what_they_can_do() {
        let advice = |family, table: Foreign| {
            let mut site = Site {
                family: Some(family),
                ..grown()
            };
            let holdings = Holdings {
                emptied: Emptied::of(&table, 11 << 20),
                sizes: BTreeMap::from([(table_log2(), 1)]),
                live: 1,
                ..Holdings::default()
            };
            holdings.complete(&mut site, |_| None);
            site.advice
        };
        fn table_log2() -> u32 {
            table(1 << 16, 40).ilog2()
        }
        let full = Foreign {
            kind: ForeignKind::CpythonKeys,
            buckets: 524_288,
            buckets_used: None,
            entries: Some(300_000),
            tombstones: Some(0),
            capacity: Some(349_525),
            growth_left: Some(49_525),
        };
        let emptied = Foreign {
            entries: Some(1_000),
            tombstones: Some(299_000),
            ..full
        };
        let gives_back =
            "d = dict(d) would give back most of 11 MiB: 1,000 entries left in a table for 349,525";
        // A dict cannot be made larger at once.
        assert_eq!(advice("cpython_dict", full), [""; 0]);
        assert_eq!(advice("cpython_dict", emptied), [gives_back]);
        let chains = Foreign {
            kind: ForeignKind::Chains,
            buckets: 1_447_153,
            entries: Some(100),
            capacity: None,
            ..full
        };
        let gives_back =
            "rehash(0) would give back most of 11 MiB: 100 entries left in a table for 1,447,153";
        assert_eq!(advice("libstdcxx_hashtable", chains), [gives_back]);
        let chains = Foreign {
            entries: Some(1_000_000),
            ..chains
        };
        let told = advice("libstdcxx_hashtable", chains);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("begin with reserve("), "{told:?}");
        let told = advice("libstdcxx_vector", chains);
        let vector =
            "begin with reserve(N) for the N that it will have (here a table of 2.6 MiB) to save";
        assert!(told[0].starts_with(vector), "{told:?}");
    }

    #[test]
    fn what_was_not_read_is_unknown_and_draws_no_advice() {
        let mut site = grown();
        let half_read = Holdings {
            live: 2,
            ..read(1, 2 << 20)
        };
        half_read.complete(&mut site, |_| None);
        assert_eq!((site.entries, site.retained_bytes), (None, None));
        assert!(site.advice.is_empty(), "{:?}", site.advice);
    }
}
