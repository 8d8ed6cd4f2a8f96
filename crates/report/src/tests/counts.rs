//! Counts of sites, maps and totals.

use super::{Names, program, report, table};
use crate::{Coverage, EventKind, KnownBy};
use mapgrow_fixture::{Block, Program};
use mapgrow_format::layout::{edge, header, site};

const SOURCE: &str = "src/cache.rs:58";

/// A site where a `HashMap<u64, [u8; 32]>` grows, and the edge along which it does.
pub(crate) struct Grower {
    pub(crate) site: u32,
    pub(crate) grow: u32,
}

pub(crate) fn grower(program: &mut Program, names: &mut Names, caller: &str) -> Grower {
    let growth = names.at(&[
        "alloc::alloc::alloc@/rustc/1/library/alloc/src/alloc.rs:95",
        "hashbrown::raw::RawTableInner::new_uninitialized@/rust/deps/hashbrown/src/raw.rs:1534",
        "hashbrown::raw::RawTableInner::resize_inner@/rust/deps/hashbrown/src/raw.rs:2836",
        "hashbrown::raw::RawTable<T,A>::reserve_rehash@/rust/deps/hashbrown/src/raw.rs:1018",
    ]);
    let free = names.at(&[
        "alloc::alloc::dealloc@/rustc/1/library/alloc/src/alloc.rs:114",
        "hashbrown::raw::RawTableInner::resize_inner@/rust/deps/hashbrown/src/raw.rs:2871",
        "hashbrown::raw::RawTable<T,A>::reserve_rehash@/rust/deps/hashbrown/src/raw.rs:1018",
    ]);
    names.holds(growth, "(u64, [u8; 32])");
    let insert = names.at(&[
        "std::collections::hash::map::HashMap<K,V,S>::insert@/rustc/1/library/std/src/map.rs:1",
        caller,
    ]);
    let main = names.at(&["demo::main@src/main.rs:9"]);
    let site = program
        .recording
        .site(site::ENTRY_ALLOC, &[growth, insert, main]);
    let grow = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 0, free);
    Grower { site, grow }
}

/// Grows a map from 4 buckets to 2^`to`, each table taking 10 times as long as the last.
pub(crate) fn grow(program: &mut Program, at: &Grower, to: u32) -> Block {
    let mut map = program.alloc(at.site, table(4, 40), 16);
    for log2 in 3..=to {
        program.now += 1_000;
        map = program.replace(map, at.grow, table(1 << log2, 40), 50 << log2);
    }
    map
}

#[test]
fn a_growing_map_is_counted_exactly() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    let at = grower(
        &mut program,
        &mut names,
        "demo::cache::Cache::put@src/cache.rs:58",
    );
    let map = grow(&mut program, &at, 16);
    let dropped = grow(&mut program, &at, 5);
    program.free(dropped);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);

    let big: Vec<u64> = (2..=16).map(|log2| table(1 << log2, 40)).collect();
    let small: Vec<u64> = (2..=5).map(|log2| table(1 << log2, 40)).collect();
    let allocated = big.iter().sum::<u64>() + small.iter().sum::<u64>();
    let live = table(1 << 16, 40);
    let overlap = table(1 << 15, 40) + table(1 << 16, 40);
    let copied = big.iter().sum::<u64>() - live + small.iter().sum::<u64>() - table(32, 40);

    assert_eq!(report.sites.len(), 1);
    let site = &report.sites[0];
    assert_eq!(
        (site.family, site.known_by),
        (Some("hashbrown"), Some(KnownBy::Symbol))
    );
    assert_eq!(site.coverage, Coverage::All);
    assert!(site.exact);
    let caller = site.caller.as_ref().expect("a caller");
    assert_eq!(caller.function, "demo::cache::Cache::put");
    assert_eq!(
        format!(
            "{}:{}",
            caller.file.as_deref().unwrap_or(""),
            caller.line.unwrap_or(0)
        ),
        SOURCE
    );
    assert_eq!(site.type_name.as_deref(), Some("HashMap<u64, [u8; 32]>"));
    assert_eq!(
        (site.maps_created, site.maps_dropped, site.maps_live),
        (Some(2), Some(1), Some(1))
    );
    assert_eq!(
        (site.resizes, site.grows, site.shrinks),
        (Some(17), Some(17), Some(0))
    );
    assert_eq!(site.rehashes, None, "in-place rehashes allocate nothing");
    assert_eq!(
        (site.rebuilds, site.replaces, site.aborted),
        (Some(0), Some(0), Some(0))
    );
    assert_eq!(site.allocated_bytes, allocated);
    assert_eq!(site.live_bytes, live);
    assert_eq!(site.freed_bytes, allocated - live);
    assert_eq!(site.copied_bytes, Some(copied));
    assert_eq!(site.overlap_peak_bytes, Some(overlap));
    // The small map came while the big one was at rest: the peak is the last growth.
    assert_eq!(
        (site.peak_live_bytes, site.peak_live_error_bytes),
        (Some(overlap), Some(0))
    );
    let pauses = site.pause_ns.as_ref().expect("pauses");
    let times: Vec<u64> = (3..=16).chain(3..=5).map(|log2| 50u64 << log2).collect();
    assert_eq!(pauses.count, 17);
    assert_eq!(pauses.total, Some(times.iter().sum()));
    assert_eq!((pauses.max, pauses.p99), (Some(50 << 16), Some(50 << 16)));
    let mut sorted = times;
    sorted.sort_unstable();
    let (p50, error) = (
        pauses.p50.expect("median"),
        pauses.p50_error.expect("its error"),
    );
    assert!(
        p50.abs_diff(sorted[8]) <= error,
        "{p50} +- {error}, truly {}",
        sorted[8]
    );

    assert_eq!(report.maps.len(), 1);
    let map = &report.maps[0];
    assert_eq!(map.tables, big);
    assert!(map.history_complete);
    assert_eq!((map.buckets, map.element_bytes), (Some(1 << 16), Some(40)));
    assert_eq!(map.capacity, Some((1 << 16) / 8 * 7));
    assert_eq!((map.site, map.table_site), (Some(site.id), site.id));
    assert_eq!(map.born_at_ns, Some(0));
    assert_eq!(map.thread.as_deref(), Some("main (4243)"));
    assert_eq!(map.entries, None);

    assert_eq!(report.totals.live_bytes, live);
    assert_eq!(
        (report.totals.peak_bytes, report.totals.peak_error_bytes),
        (overlap, 0)
    );
    assert_eq!(report.totals.resizes, 17);
    assert_eq!(report.totals.overlap_peak_bytes, overlap);
    let when = report.totals.overlap_peak_at_ns.expect("a time");
    // When it began.
    let expected: u64 = (3..=15).map(|log2| 1_000 + (50 << log2)).sum();
    assert_eq!(when, expected + 1_000);
    assert_eq!(report.totals.heap_live_bytes, Some(40 << 20));
    let share = report.totals.map_share.expect("a share");
    assert!((share - live as f64 / f64::from(40 << 20)).abs() < 1e-9);
    assert_eq!(report.honesty.conservation_difference_bytes, 0);

    let kinds = |kind| {
        report
            .timeline
            .iter()
            .filter(|event| event.kind == kind)
            .count()
    };
    assert_eq!(
        (
            kinds(EventKind::Create),
            kinds(EventKind::Grow),
            kinds(EventKind::Drop)
        ),
        (2, 17, 1)
    );
    let first = report
        .timeline
        .iter()
        .filter(|event| event.map == Some(map.id))
        .count();
    assert_eq!(first, 15, "one creation and 14 growths of the live map");
    let drop = report.timeline.last().expect("events");
    assert_eq!(
        (drop.kind, drop.old_bytes),
        (EventKind::Drop, Some(table(32, 40)))
    );
    assert!(report.timeline.is_sorted_by_key(|event| event.t_ns));
}

#[test]
fn a_map_from_below_the_floor_is_late() {
    let (mut names, mut program) = (Names::default(), program());
    let at = grower(&mut program, &mut names, "demo::run@src/run.rs:7");
    let enter = program
        .recording
        .edge(edge::KIND_REPLACE, None, at.site, 0, 0);
    let growth = names.at(&["hashbrown::raw::RawTable<T,A>::reserve_rehash"]);
    program.recording.edge_words(enter)[edge::FREE_PC] = growth;
    // What the recorder knows: a block of 1.3 KiB that took over from an unknown one.
    let map = program.alloc(at.site, table(32, 40), 16);
    let words = program.recording.edge_words(enter);
    words[edge::COUNT] = 1;
    words[edge::GROWS] = 1;
    words[edge::OLD_BYTES] = table(16, 40);
    words[edge::NEW_BYTES] = table(32, 40);
    words[edge::COPIED_BYTES] = table(16, 40);
    let map = program.replace(map, at.grow, table(64, 40), 900);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let site = &report.sites[0];
    assert_eq!(
        (site.maps_created, site.maps_late, site.maps_live),
        (Some(0), Some(1), Some(1))
    );
    assert_eq!((site.resizes, site.grows), (Some(2), Some(2)));
    assert_eq!(site.coverage, Coverage::AboveFloor);
    assert!(site.exact);
}

#[test]
fn plain_buffers_are_no_containers() {
    let (mut names, mut program) = (Names::default(), program());
    let at = grower(&mut program, &mut names, "demo::run@src/run.rs:7");
    let map = grow(&mut program, &at, 12);
    let asked = names.at(&[
        "alloc::alloc::alloc@/rustc/1/library/alloc/src/alloc.rs:95",
        "alloc::boxed::Box<T>::new_uninit_in@/rustc/1/library/alloc/src/boxed.rs:5",
        "demo::buffer@src/main.rs:30",
    ]);
    let buffers = program.recording.site(site::ENTRY_ALLOC, &[asked]);
    let buffer = program.alloc(buffers, 5 << 20, 8);
    program.keep(buffer, 0x7000_0100_0000);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    assert_eq!(report.sites.len(), 1);
    assert_eq!(report.maps.len(), 1);
    assert_eq!(report.totals.live_bytes, table(1 << 12, 40));
    assert_eq!(report.totals.other_live_bytes, 5 << 20);
    let [buffers] = &report.others[..] else {
        panic!("one place: {:?}", report.others);
    };
    let place = buffers.caller.as_ref().expect("a place");
    assert_eq!(place.function, "demo::buffer");
    assert_eq!((buffers.live_blocks, buffers.live_bytes), (1, 5 << 20));
    assert_eq!(
        (buffers.est_live_bytes, buffers.est_live_error_bytes),
        (5 << 20, 0)
    );
    let sums = crate::text::headlines(&report).sums;
    let named = "In no container: 5.0 MiB in 1 block at src/main.rs:30.";
    assert!(sums.iter().any(|line| line == named), "{sums:?}");
    // The common peak came with the buffer; the maps' own was the last growth.
    let own = table(1 << 11, 40) + table(1 << 12, 40);
    let (peak, error) = (report.totals.peak_bytes, report.totals.peak_error_bytes);
    assert!(peak >= own && peak - error <= own, "{peak} - {error}");
    assert_eq!(
        error, 0,
        "one root: the peak of the containers is their own"
    );
    assert!(
        report
            .timeline
            .iter()
            .all(|event| event.site == Some(report.sites[0].id))
    );
}

/// So many samples of weight 100 of blocks of 200 bytes, of which two live.
fn sampled(program: &mut Program, at: u32, samples: u64) {
    let freed = samples - 2;
    let words = program.recording.site_words(at);
    words[site::SAMPLED_ALLOCS] = samples;
    words[site::W_ALLOCS] = samples * 100 * 256;
    words[site::W_ALLOC_BYTES] = samples * 100 * 200;
    words[site::VAR_ALLOCS] = samples * 100 * 99;
    words[site::VAR_ALLOC_BYTES] = samples * 100 * 99 * 200 * 200 / (1 << 20);
    words[site::SAMPLED_FREES] = freed;
    words[site::W_FREES] = freed * 100 * 256;
    words[site::W_FREE_BYTES] = freed * 100 * 200;
    (words[site::MIN_BYTES], words[site::MAX_BYTES]) = (200, 200);
    for serial in [1, 2] {
        let (recording, address) = (&mut program.recording, 0x7000_0000 + serial * 256);
        recording.live(address, at, 200, serial)[mapgrow_format::layout::live::WEIGHT] = 100 * 256;
    }
}

#[test]
fn sampled_blocks_of_no_container_are_estimated_with_their_place() {
    let (mut names, mut program) = (Names::default(), program());
    let asked = names.at(&[
        "alloc::alloc::alloc@/rustc/1/library/alloc/src/alloc.rs:95",
        "demo::node@src/tree.rs:8",
    ]);
    let at = program.recording.site(site::ENTRY_ALLOC, &[asked]);
    sampled(&mut program, at, 2);
    // The samples are all of the heap that is known.
    (program.recording).set(header::BACKEND, header::BACKEND_PROGRAM);
    let report = report(&mut program, &mut names);
    let place = &report.others[0];
    assert_eq!((place.live_blocks, place.live_bytes), (0, 0));
    // The square root of 2 * 100 * 99 blocks of 200 bytes.
    assert_eq!(
        (place.est_live_bytes, place.est_live_error_bytes),
        (40_000, 28_142)
    );
    let sums = crate::text::headlines(&report).sums;
    let named = "In no container: about 39 KiB +- 27 KiB at src/tree.rs:8.";
    assert!(sums.iter().any(|line| line == named), "{sums:?}");
}

#[test]
fn sampled_sites_carry_estimates_and_their_error() {
    let (mut names, mut program) = (Names::default(), program());
    let node = names.at(&[
        "alloc::boxed::Box<T,A>::try_new_uninit_in@/rustc/1/library/alloc/src/boxed.rs:5",
        "alloc::collections::btree::node::LeafNode<K,V>::new@/rustc/1/library/alloc/src/node.rs:5",
        "alloc::collections::btree::map::BTreeMap<K,V,A>::insert@/rustc/1/library/alloc/src/map.rs:9",
        "demo::index@src/index.rs:4",
    ]);
    let at = program.recording.site(site::ENTRY_ALLOC, &[node]);
    sampled(&mut program, at, 3);
    let report = report(&mut program, &mut names);
    let site = &report.sites[0];
    assert_eq!(
        (site.family, site.coverage, site.exact),
        (Some("btree"), Coverage::Sampled, false)
    );
    assert_eq!(
        (site.resizes, site.grows, site.maps_created),
        (None, None, None)
    );
    assert_eq!(
        (site.peak_live_bytes, site.overlap_peak_bytes),
        (None, None)
    );
    assert_eq!(
        (site.allocs, site.allocated_bytes, site.live_bytes),
        (300, 60_000, 40_000)
    );
    let sampled = site.sampled.as_ref().expect("estimates");
    assert!((sampled.est_allocs_error - f64::from(3 * 100 * 99).sqrt()).abs() < 1e-6);
    let expected = (2.0f64 * 100.0 * 99.0 * 200.0 * 200.0).sqrt();
    assert!((sampled.est_live_bytes_error - expected).abs() < 1.0);
    // The word holds whole units of 2^20, hence the tolerance.
    let expected = (3.0f64 * 100.0 * 99.0 * 200.0 * 200.0).sqrt();
    assert!((sampled.est_allocated_bytes_error - expected).abs() / expected < 0.001);
    assert_eq!(report.totals.est_live_bytes, 40_000);
    assert_eq!(report.totals.live_bytes, 0);
}

#[test]
fn a_vector_begun_with_alloc_and_grown_with_realloc_is_one_site() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    let first = names.at(&["alloc::raw_vec::finish_grow"]);
    let again = names.at(&["alloc::raw_vec::finish_grow"]);
    let push = names.at(&["alloc::raw_vec::RawVec<T,A>::grow_one"]);
    let user = names.at(&["demo::log::append@src/log.rs:12"]);
    let alloc = program
        .recording
        .site(site::ENTRY_ALLOC, &[first, push, user]);
    let realloc = program
        .recording
        .site(site::ENTRY_REALLOC, &[again, push, user]);
    program.recording.site_words(realloc)[site::ROOT] = u64::from(alloc);
    let begin = program
        .recording
        .edge(edge::KIND_REALLOC, Some(alloc), realloc, 0, again);
    let grow = program
        .recording
        .edge(edge::KIND_REALLOC, Some(realloc), realloc, 0, again);
    let vector = program.alloc(alloc, 64, 8);
    let vector = program.replace(vector, begin, 128, 100);
    let vector = program.replace(vector, grow, 256, 100);
    program.keep(vector, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    assert_eq!(report.sites.len(), 1);
    let site = &report.sites[0];
    assert_eq!(site.recorded_sites, [alloc, realloc]);
    assert_eq!(
        (site.maps_created, site.resizes, site.rehashes),
        (Some(1), Some(2), Some(0))
    );
    assert_eq!(site.maps_live, Some(1));
    assert!(site.exact, "both share one root");
    assert_eq!(site.peak_live_bytes, Some(256 + 128));
    assert_eq!(report.maps[0].tables, [64, 128, 256]);
    assert_eq!(
        site.caller.as_ref().map(|caller| caller.line),
        Some(Some(12))
    );
}

/// A site whose tables are all small: nothing at or above the floor is a count too.
#[test]
fn small_maps_are_none_above_the_floor_and_an_estimate_below_it() {
    let (mut names, mut program) = (Names::default(), program());
    let at = grower(&mut program, &mut names, "demo::run@src/run.rs:7");
    let words = program.recording.site_words(at.site);
    words[site::SAMPLED_ALLOCS] = 4;
    words[site::W_ALLOCS] = 4 * 300 * 256;
    words[site::W_ALLOC_BYTES] = 4 * 300 * 212;
    words[site::VAR_ALLOCS] = 4 * 300 * 299;
    words[site::SAMPLED_FREES] = 4;
    words[site::W_FREES] = 4 * 300 * 256;
    words[site::W_FREE_BYTES] = 4 * 300 * 212;
    (words[site::MIN_BYTES], words[site::MAX_BYTES]) = (212, 212);
    let report = report(&mut program, &mut names);
    let site = &report.sites[0];
    assert_eq!((site.coverage, site.exact), (Coverage::AboveFloor, true));
    assert_eq!(
        (site.allocs, site.live_bytes, site.maps_live),
        (0, 0, Some(0))
    );
    assert_eq!((site.resizes, site.peak_live_bytes), (Some(0), Some(0)));
    let sampled = site.sampled.as_ref().expect("estimates");
    assert!((sampled.est_allocs - 1200.0).abs() < 1e-6);
    let text = crate::text::render(&report, &Default::default());
    assert!(text.contains("none live; 248 KiB +- "), "{text}");
    assert!(!text.contains("resizes   none seen"), "{text}");
}
