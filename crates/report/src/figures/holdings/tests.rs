//! Rows completed from what their maps hold.

use super::*;
use crate::judgement::advice::advised;
use crate::judgement::gates::{Rule, judge};
use crate::judgement::measure::Measure;
use crate::model::{Report, Site};
use crate::rows::cost::held;
use crate::rows::sites::Row;
use crate::tests::{Names, program, report, table};
use crate::words::units::bytes;
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

/// A row of which the contents of its maps are told, with the advice for it.
fn completed(site: Site, holdings: Holdings, largest_buckets: Option<u64>) -> Site {
    let told = holdings.contained(held(&site).0);
    let site = Site {
        entries: told.entries,
        entries_error: told.entries_error,
        tombstones: told.tombstones,
        capacity: told.capacity,
        retained_bytes: told.retained_bytes,
        retained_error_bytes: told.retained_error_bytes,
        retained_for_at_most_ns: told.retained_for_at_most_ns,
        had_entries_at_least: told.had_entries_at_least,
        ..site
    };
    advised(Row {
        site,
        holdings,
        largest_buckets,
    })
}

/// The sum of tables of so many bytes.
fn sum(bytes: u64, figures: &[Option<(u64, u64)>]) -> Option<Estimate> {
    let mut sum = Strata::default();
    for &figure in figures {
        sum.add(bytes, 1.0, figure);
    }
    sum.sum()
}

/// The sum of one table of a grown map.
fn one(figure: u64) -> Option<Estimate> {
    sum(table(1 << 16, 40), &[Some((figure, figure))])
}

fn read(entries: u64, retained: u64) -> Holdings {
    Holdings {
        live: 1,
        measured: 1,
        entries: one(entries),
        sizes: BTreeMap::from([(table(1 << 16, 40).ilog2(), 1)]),
        capacity: Some(57_344),
        retained: one(retained),
        ..Holdings::default()
    }
}

#[test]
fn a_full_map_should_have_been_made_large_at_once() {
    let site = completed(grown(), read(50_000, 0), Some(1 << 16));
    assert_eq!((site.entries, site.retained_bytes), (Some(50_000), Some(0)));
    let copied = bytes((10..16).map(|log2| table(1 << log2, 40)).sum());
    let old = bytes(table(1 << 15, 40));
    let advice = format!(
        "create it with_capacity(50000) or more to save 6 resizes, {copied} of copying and \
         {old} at the peak"
    );
    assert_eq!(site.advice, [advice]);
}

#[test]
fn all_resizes_that_were_counted_are_saved() {
    // Two more, out of tables below the floor.
    let mut site = grown();
    site.grows = Some(8);
    let site = completed(site, read(50_000, 0), Some(1 << 16));
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
    let site = completed(site, two, Some(1 << 16));
    let start = "create them with_capacity(57344): of 2 maps all end with a \
                 table of 2.6 MiB or less; it saves 12 resizes";
    assert!(site.advice[0].starts_with(start), "{:?}", site.advice);
}

#[test]
fn an_emptied_map_should_shrink_and_not_be_made_larger() {
    let site = completed(grown(), read(1, 2 << 20), Some(1 << 16));
    assert_eq!(
        site.advice,
        ["shrink_to_fit() would give back 2.0 MiB: 1 entry left in tables for 57,344"]
    );
}

#[test]
fn a_failed_gate_is_told_what_cures_it() {
    let site = completed(grown(), read(1, 2 << 20), Some(1 << 16));
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
        completed(Site::default(), holdings, None).advice
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
        let site = Site {
            family: Some(family),
            live_bytes: 11 << 20,
            ..grown()
        };
        let range = |figure| (figure, figure);
        let holdings = Holdings {
            emptied: Emptied::of(&table, 11 << 20),
            sizes: BTreeMap::from([(table_log2(), 1)]),
            live: 1,
            measured: 1,
            capacity: table.capacity,
            entries: sum(11 << 20, &[table.entries.map(range)]),
            retained: sum(11 << 20, &[table.retained(11 << 20)]),
            ..Holdings::default()
        };
        completed(site, holdings, None).advice
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
    let gives_back = "d = dict(d) would give back 11 MiB: 1,000 entries left in tables for 349,525";
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
    let gives_back = "rehash(0) would give back 11 MiB: 100 entries left in 11 MiB";
    assert_eq!(advice("libstdcxx_hashtable", chains), [gives_back]);
    let chains = Foreign {
        entries: Some(1_000_000),
        ..chains
    };
    let told = advice("libstdcxx_hashtable", chains);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("begin with reserve("), "{told:?}");
    // Nobody knows how much of a vector is used.
    let nothing = Foreign {
        entries: None,
        ..chains
    };
    let told = advice("libstdcxx_vector", nothing);
    let vector = "if it is full, begin with reserve(N) for the N that it will have (here a table of \
                  2.6 MiB) to save";
    assert!(told[0].starts_with(vector), "{told:?}");
    assert!(
        told[0].ends_with("; if not, shrink_to_fit() gives back what is not used"),
        "{told:?}"
    );
}

#[test]
fn what_was_not_read_is_unknown_and_draws_no_advice() {
    let half = |figure: u64| sum(table(1 << 16, 40), &[Some((figure, figure)), None]);
    let half_read = Holdings {
        live: 2,
        entries: half(1),
        retained: half(2 << 20),
        ..read(1, 2 << 20)
    };
    let site = completed(grown(), half_read, None);
    assert_eq!((site.entries, site.retained_bytes), (None, None));
    assert!(site.advice.is_empty(), "{:?}", site.advice);
}
