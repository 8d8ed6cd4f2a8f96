//! Resizes told from rebuilds, and families known without names.

use super::{Names, program, report, table};
use crate::{EventKind, Report, Site};
use mapgrow_fixture::Program;
use mapgrow_format::layout::{edge, site};

const RAW: &str = "/rust/deps/hashbrown-0.16.1/src/raw.rs";
pub(super) const REHASH: &str = "hashbrown::raw::RawTable<T,A>::reserve_rehash";
pub(super) const USER: &str = "demo::Cache::tidy";

fn lines(functions: &[(&str, &str)]) -> Vec<String> {
    functions
        .iter()
        .map(|(function, place)| format!("{function}@{place}"))
        .collect()
}

fn at(names: &mut Names, functions: &[(&str, &str)]) -> u64 {
    let lines = lines(functions);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    names.at(&lines)
}

/// One map replaced once, from 64 to `buckets` buckets: the report on it.
fn replaced(names: &mut Names, stack: &[u64], join: u16, free: u64, buckets: u64) -> Report {
    let mut program = program();
    let site = program.recording.site(site::ENTRY_ALLOC, stack);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, join, free);
    let old = program.alloc(site, table(64, 24), 16);
    let new = program.replace(old, edge, table(buckets, 24), 1_000);
    program.keep(new, 0x7000_0000_1000);
    report(&mut program, names)
}

/// Resizes, rebuilds and replaces of the only site, and the chain of its map.
fn outcome(report: &Report) -> (u64, u64, u64, usize) {
    let site = only(report);
    let figure = |figure: Option<u64>| figure.expect("a map");
    let tables = report.maps[0].tables.len();
    (
        figure(site.resizes),
        figure(site.rebuilds),
        figure(site.replaces),
        tables,
    )
}

pub(super) fn only(report: &Report) -> &Site {
    assert_eq!(report.sites.len(), 1);
    &report.sites[0]
}

const RESIZED: (u64, u64, u64, usize) = (1, 0, 0, 2);
const REBUILT: (u64, u64, u64, usize) = (0, 1, 0, 1);
const REPLACED: (u64, u64, u64, usize) = (0, 0, 1, 1);

#[test]
fn a_shrink_inlined_into_the_program_is_a_resize_by_its_lines() {
    let mut names = Names::default();
    let user = (USER, "src/cache.rs:40");
    let shrink = (
        "std::collections::hash::map::HashMap<K,V,S>::shrink_to_fit",
        "/rustc/1/library/std/src/map.rs:9",
    );
    let alloc = at(
        &mut names,
        &[
            (
                "hashbrown::raw::RawTableInner::new_uninitialized",
                &format!("{RAW}:1534"),
            ),
            (
                "hashbrown::raw::RawTableInner::resize_inner",
                &format!("{RAW}:2836"),
            ),
            shrink,
            user,
        ],
    );
    let free = at(
        &mut names,
        &[
            (
                "hashbrown::raw::RawTableInner::free_buckets",
                &format!("{RAW}:2100"),
            ),
            (
                "hashbrown::raw::RawTableInner::resize_inner",
                &format!("{RAW}:2871"),
            ),
            shrink,
            user,
        ],
    );
    let report = replaced(&mut names, &[alloc], 0, free, 16);
    assert_eq!(outcome(&report), RESIZED);
    assert_eq!(only(&report).shrinks, Some(1));
    assert_eq!(
        report.timeline.last().map(|event| event.kind),
        Some(EventKind::Shrink)
    );
}

#[test]
fn the_same_growth_function_called_from_two_lines_is_no_resize() {
    let mut names = Names::default();
    let shrink = "std::collections::hash::map::HashMap<K,V,S>::shrink_to_fit";
    let chain = |inner: u32, line: u32| {
        [
            (
                "hashbrown::raw::RawTableInner::resize_inner".to_owned(),
                format!("{RAW}:{inner}"),
            ),
            (
                shrink.to_owned(),
                "/rustc/1/library/std/src/map.rs:9".to_owned(),
            ),
            (USER.to_owned(), format!("src/cache.rs:{line}")),
        ]
    };
    let (alloc, free) = (chain(2836, 40), chain(2871, 41));
    let borrow = |chain: &[(String, String); 3]| -> Vec<String> {
        chain
            .iter()
            .map(|(function, place)| format!("{function}@{place}"))
            .collect()
    };
    let (alloc, free) = (borrow(&alloc), borrow(&free));
    let alloc = names.at(&alloc.iter().map(String::as_str).collect::<Vec<_>>());
    let free = names.at(&free.iter().map(String::as_str).collect::<Vec<_>>());
    let report = replaced(&mut names, &[alloc], 0, free, 16);
    assert_eq!(outcome(&report), REBUILT);
}

#[test]
fn a_collect_in_place_of_the_old_map_is_a_rebuild() {
    let mut names = Names::default();
    let growth = at(&mut names, &[(REHASH, &format!("{RAW}:1018"))]);
    let alloc = at(
        &mut names,
        &[
            (
                "<std::collections::hash::map::HashMap<K,V,S> as core::iter::traits::collect::FromIterator<(K,V)>>::from_iter",
                "/rustc/1/library/std/src/map.rs:5",
            ),
            (USER, "src/cache.rs:50"),
        ],
    );
    let free = at(
        &mut names,
        &[
            (
                "core::ptr::drop_in_place<hashbrown::raw::RawTable<T>>",
                "/rustc/1/library/core/src/ptr/mod.rs:5",
            ),
            (USER, "src/cache.rs:51"),
        ],
    );
    let report = replaced(&mut names, &[growth, alloc], 1, free, 128);
    assert_eq!(outcome(&report), REBUILT);
    let site = only(&report);
    assert_eq!(
        (site.maps_created, site.maps_dropped, site.maps_live),
        (Some(2), Some(1), Some(1))
    );
    let kinds: Vec<EventKind> = report.timeline.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::Create, EventKind::Create, EventKind::Rebuild]
    );
    let rebuild = &report.timeline[2];
    assert_eq!(
        (rebuild.map, rebuild.old_map),
        (report.timeline[1].map, report.timeline[0].map)
    );
    assert!(
        report.maps[0].history_complete,
        "the map began with the rebuild"
    );
}

#[test]
fn into_iter_collected_by_the_library_is_a_rebuild() {
    let mut names = Names::default();
    let from_iter = "<std::collections::hash::map::HashMap<K,V,S> as core::iter::traits::collect::FromIterator<(K,V)>>::from_iter";
    // Both the growth and the drop of the iterated map lie in `from_iter`, not inlined.
    let growth = names.at(&[REHASH]);
    let alloc = names.at(&[from_iter]);
    let free = names.at(&[from_iter]);
    let user = names.at(&[USER]);
    let report = replaced(&mut names, &[growth, alloc, user], 1, free, 128);
    assert_eq!(outcome(&report), REBUILT);
}

#[test]
fn clone_from_is_no_resize() {
    let mut names = Names::default();
    let clone = "<hashbrown::raw::RawTable<T,A> as core::clone::Clone>::clone_from";
    let alloc = at(
        &mut names,
        &[(clone, &format!("{RAW}:3000")), (USER, "src/cache.rs:60")],
    );
    let free = at(
        &mut names,
        &[(clone, &format!("{RAW}:3010")), (USER, "src/cache.rs:60")],
    );
    let report = replaced(&mut names, &[alloc], 0, free, 128);
    assert_eq!(outcome(&report), REBUILT);
}

#[test]
fn without_line_tables_the_programs_own_function_cannot_tell() {
    let mut names = Names::default();
    // `fallible_with_capacity` kept its symbol; what was inlined around it did not.
    let alloc = names.at(&["hashbrown::raw::RawTableInner::fallible_with_capacity"]);
    let user = names.at(&[USER]);
    let free = names.at(&[USER]);
    let report = replaced(&mut names, &[alloc, user], 1, free, 16);
    assert_eq!(outcome(&report), REPLACED);
    assert!(!report.maps[0].history_complete);
    // But a whole growth function in between had ended before the free.
    let mut names = Names::default();
    let growth = names.at(&[REHASH]);
    let user = names.at(&[USER]);
    let free = names.at(&[USER]);
    let report = replaced(&mut names, &[growth, user], 1, free, 128);
    assert_eq!(outcome(&report), REBUILT);
}

#[test]
fn a_growth_inlined_into_an_insert_is_a_resize_without_line_tables() {
    let mut names = Names::default();
    let insert = "hashbrown::map::HashMap<K,V,S,A>::insert";
    let alloc = names.at(&[insert]);
    let free = names.at(&[insert]);
    let user = names.at(&[USER]);
    let report = replaced(&mut names, &[alloc, user], 0, free, 128);
    assert_eq!(outcome(&report), RESIZED);
    assert_eq!(
        only(&report)
            .caller
            .as_ref()
            .map(|caller| caller.function.as_str()),
        Some(USER)
    );
}

#[test]
fn a_table_made_by_the_hasher_is_not_the_growing_maps() {
    let mut names = Names::default();
    let inner = names.at(&[REHASH]);
    let hasher = names.at(&["<demo::Key as core::hash::Hash>::hash"]);
    let outer = names.at(&[REHASH]);
    let user = names.at(&[USER]);
    let free = names.at(&[REHASH]);
    let report = replaced(&mut names, &[inner, hasher, outer, user], 2, free, 128);
    let site = only(&report);
    assert_eq!(
        (site.resizes, site.rebuilds, site.maps_created),
        (Some(0), Some(0), Some(2))
    );
    assert_eq!(
        report.timeline.last().map(|event| event.kind),
        Some(EventKind::Drop)
    );
}

#[test]
fn a_growth_given_up_is_neither_a_map_nor_a_drop() {
    let (mut names, mut program) = (Names::default(), program());
    let growth = names.at(&[REHASH]);
    let free = names.at(&[REHASH]);
    let user = names.at(&[USER]);
    let site = program.recording.site(site::ENTRY_ALLOC, &[growth, user]);
    let give_up = program
        .recording
        .edge(edge::KIND_ABANDON, None, site, 0, free);
    let map = program.alloc(site, table(64, 24), 16);
    let vain = program.alloc(site, table(128, 24), 16);
    program.abandon(vain, give_up, 500);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let site = only(&report);
    assert_eq!((site.aborted, site.resizes), (Some(1), Some(0)));
    assert_eq!(
        (site.maps_created, site.maps_dropped, site.maps_live),
        (Some(1), Some(0), Some(1))
    );
    let kinds: Vec<EventKind> = report.timeline.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Create, EventKind::Aborted]);
}

#[test]
fn a_short_life_in_the_programs_function_is_no_aborted_growth() {
    let (mut names, mut program) = (Names::default(), program());
    let growth = names.at(&[REHASH]);
    let user = at(&mut names, &[(USER, "src/cache.rs:5")]);
    let free = at(&mut names, &[(USER, "src/cache.rs:9")]);
    let site = program.recording.site(site::ENTRY_ALLOC, &[growth, user]);
    let end = program
        .recording
        .edge(edge::KIND_ABANDON, None, site, 1, free);
    let map = program.alloc(site, table(64, 24), 16);
    program.abandon(map, end, 500);
    let report = report(&mut program, &mut names);
    let site = only(&report);
    assert_eq!(
        (site.aborted, site.maps_created, site.maps_dropped),
        (Some(0), Some(1), Some(1))
    );
    let kinds: Vec<EventKind> = report.timeline.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Create, EventKind::Drop]);
    assert_eq!(report.timeline[0].map, report.timeline[1].map);
}

#[test]
fn maps_of_different_types_in_one_function_are_not_rebuilds() {
    let (mut names, mut program): (Names, Program) = (Names::default(), program());
    let (one, other) = (names.at(&[REHASH]), names.at(&[REHASH]));
    names.holds(one, "(u64, u64)");
    names.holds(other, "(u64, alloc::string::String)");
    let user = at(&mut names, &[(USER, "src/cache.rs:5")]);
    let later = at(&mut names, &[(USER, "src/cache.rs:8")]);
    let old_site = program.recording.site(site::ENTRY_ALLOC, &[one, user]);
    let new_site = program.recording.site(site::ENTRY_ALLOC, &[other, later]);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(old_site), new_site, 1, later);
    let old = program.alloc(old_site, table(64, 16), 16);
    let new = program.replace(old, edge, table(64, 32), 100);
    program.keep(new, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    assert!(
        report
            .sites
            .iter()
            .all(|site| site.rebuilds == Some(0) && site.replaces == Some(0))
    );
    let kinds: Vec<EventKind> = report.timeline.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::Create, EventKind::Create, EventKind::Drop]
    );
}
