//! Resizes told from rebuilds, and families known without names.

use super::{Names, program, report, table};
use crate::recording::fixture::Program;
use crate::recording::layout::{edge, header, site};
use crate::report::{EventKind, KnownBy, Report, Site};

const RAW: &str = "/rust/deps/hashbrown-0.16.1/src/raw.rs";
const REHASH: &str = "hashbrown::raw::RawTable<T,A>::reserve_rehash";
const USER: &str = "demo::Cache::tidy";

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

fn only(report: &Report) -> &Site {
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

/// A stripped program: a map that doubles from 64 to 1024 buckets.
fn stripped(join: u16, callee: u64, sizes: impl Iterator<Item = u64>) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let frames: Vec<u64> = (0..4).map(|_| names.nameless()).collect();
    let free = names.nameless();
    let site = program.recording.site(site::ENTRY_ALLOC, &frames);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, join, free);
    program.recording.edge_words(edge)[edge::FREE_CALLEE_PC] = callee;
    let mut block = program.alloc(site, table(64, 24), 16);
    for bytes in sizes {
        block = program.replace(block, edge, bytes, 100);
    }
    program.keep(block, 0x7000_0000_1000);
    report(&mut program, &mut names)
}

#[test]
fn stripped_maps_are_known_by_their_shape() {
    let doubling = || (7..=10).map(|log2| table(1 << log2, 24));
    for (join, callee) in [(0, 0), (2, 0x5555_0000_1234)] {
        let report = stripped(join, callee, doubling());
        let site = only(&report);
        assert_eq!(
            (site.family, site.known_by),
            (Some("hashbrown"), Some(KnownBy::Layout))
        );
        assert_eq!(
            (site.resizes, site.replaces),
            (Some(4), Some(0)),
            "join {join}"
        );
        assert_eq!(report.maps[0].tables.len(), 5);
        let caller = site.caller.as_ref().expect("a placeholder");
        assert!(
            caller.function.starts_with("demo+0x"),
            "{}",
            caller.function
        );
        assert_eq!(caller.line, None);
    }
    // Further out it may be the program that fills one map and drops another.
    let report = stripped(3, 0x5555_0000_1234, doubling());
    assert_eq!(
        (only(&report).resizes, only(&report).replaces),
        (Some(0), Some(4))
    );
    // So it may where tables become smaller.
    let report = stripped(1, 0, [table(32, 24), table(16, 24)].into_iter());
    assert_eq!(
        (only(&report).resizes, only(&report).replaces),
        (Some(0), Some(2))
    );
}

#[test]
fn stripped_vectors_are_known_by_how_they_grow() {
    let grown = |sizes: &[u64], backend: u64| {
        let (mut names, mut program) = (Names::default(), program());
        program.recording.set(header::BACKEND, backend);
        let frames: Vec<u64> = (0..3).map(|_| names.nameless()).collect();
        let first = program.recording.site(site::ENTRY_ALLOC, &frames[1..]);
        let site = program.recording.site(site::ENTRY_REALLOC, &frames);
        let begin = program
            .recording
            .edge(edge::KIND_REALLOC, Some(first), site, 0, frames[0]);
        let edge = program
            .recording
            .edge(edge::KIND_REALLOC, Some(site), site, 0, frames[0]);
        let mut block = program.alloc(first, sizes[0], 8);
        for (index, &bytes) in sizes[1..].iter().enumerate() {
            block = program.replace(block, if index == 0 { begin } else { edge }, bytes, 100);
        }
        program.keep(block, 0x7000_0000_1000);
        report(&mut program, &mut names)
    };
    let doubling = [1024, 2048, 4096, 8192];
    let families = |report: &Report| -> Vec<_> {
        report
            .sites
            .iter()
            .map(|site| (site.family, site.known_by))
            .collect()
    };
    let vector = (Some("raw_vec"), Some(KnownBy::Behaviour));
    let unknown = (Some("unknown_container"), Some(KnownBy::Behaviour));
    let doubled = grown(&doubling, header::BACKEND_JEMALLOC);
    assert_eq!(families(&doubled), [vector, vector]);
    assert_eq!(doubled.maps[0].tables, doubling);
    assert_eq!(doubled.totals.resizes, 3);
    assert_eq!(
        families(&grown(&doubling, header::BACKEND_PROGRAM)),
        [unknown, unknown]
    );
    assert_eq!(
        families(&grown(&[1000, 1500, 2250], header::BACKEND_JEMALLOC)),
        [unknown, unknown]
    );
}

#[test]
fn a_container_of_the_programs_own_is_known_by_how_it_grows() {
    let (mut names, mut program) = (Names::default(), program());
    let grow = names.at(&["demo::OpenTable::grow"]);
    let free = names.at(&["demo::OpenTable::grow"]);
    let main = names.at(&["demo::main"]);
    let site = program.recording.site(site::ENTRY_ALLOC, &[grow, main]);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 0, free);
    let mut block = program.alloc(site, 3 << 10, 8);
    for log2 in 11..15 {
        block = program.replace(block, edge, 3 << log2, 100);
    }
    program.keep(block, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let site = only(&report);
    assert_eq!(
        (site.family, site.known_by),
        (Some("unknown_container"), Some(KnownBy::Behaviour))
    );
    assert_eq!((site.resizes, site.rehashes), (Some(4), Some(0)));
    assert_eq!(report.maps[0].tables.len(), 5);
}

/// A map born with `with_capacity` inlined into the program, without line tables, that later
/// grows where names tell: the birth is told by what it grew into.
#[test]
fn a_nameless_birth_is_told_by_what_it_grew_into() {
    let (mut names, mut program) = (Names::default(), program());
    let birth = names.at(&["demo::start"]);
    let growth = names.at(&[REHASH]);
    let user = names.at(&[USER]);
    let free = names.at(&[REHASH]);
    let born = program.recording.site(site::ENTRY_ALLOC, &[birth]);
    let grown = program.recording.site(site::ENTRY_ALLOC, &[growth, user]);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(born), grown, 0, free);
    let map = program.alloc(born, table(64, 24), 16);
    let map = program.replace(map, edge, table(128, 24), 100);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    assert_eq!(report.sites.len(), 2);
    let by_id = |id: u32| {
        report
            .sites
            .iter()
            .find(|site| site.id == id)
            .expect("a site")
    };
    let first = by_id(born);
    assert_eq!(
        (first.family, first.known_by),
        (Some("hashbrown"), Some(KnownBy::Behaviour))
    );
    assert_eq!((first.maps_created, first.maps_dropped), (Some(1), Some(0)));
    let second = by_id(grown);
    assert_eq!((second.maps_created, second.resizes), (Some(0), Some(1)));
    assert_eq!(
        (report.maps[0].site, report.maps[0].table_site),
        (Some(born), grown)
    );
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
