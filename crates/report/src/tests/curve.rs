//! Live bytes over time, from the timeline and from the series of sites.

use super::counts::{grow, grower};
use super::{Names, program, report, table};
use crate::rows::curve::LiveCurve;
use crate::{Series, Site, series};
use mapgrow_fixture::Program;
use mapgrow_format::layout::{edge, header, region, site};

const CALLER: &str = "demo::cache::Cache::put@src/cache.rs:58";

fn steps(curve: &LiveCurve) -> Vec<(u64, u64, u64)> {
    let bytes = curve.live_bytes.iter().zip(&curve.overlap_bytes);
    let steps = curve.t_ns.iter().zip(bytes);
    steps
        .map(|(&t, (&live, &twice))| (t, live, twice))
        .collect()
}

/// A place that makes vectors, called by `user`.
fn vectors_of(program: &mut Program, names: &mut Names, user: &str) -> u32 {
    let vector = names.at(&["alloc::raw_vec::RawVec<T,A>::with_capacity_in"]);
    let stack = [vector, names.at(&[user])];
    program.recording.site(site::ENTRY_ALLOC, &stack)
}

#[test]
fn each_resize_is_a_spike_of_its_length() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    let at = grower(&mut program, &mut names, CALLER);
    let [small, large] = [4, 8].map(|buckets| table(buckets, 40));
    program.now = 5_000;
    let map = program.alloc(at.site, small, 16);
    program.now = 9_000;
    let map = program.replace(map, at.grow, large, 700);
    program.now = 20_000;
    program.free(map);
    let curve = LiveCurve::of(&report(&mut program, &mut names)).expect("a curve");
    assert_eq!((curve.complete_from_ns, curve.before_bytes), (0, 0));
    assert_eq!(
        steps(&curve),
        [
            (5_000, small, 0),
            (9_000, small + large, small),
            (9_700, large, 0),
            (20_000, 0, 0),
        ]
    );
    assert_eq!(curve.peak_bytes(), small + large);
}

#[test]
fn the_curve_of_many_maps_has_the_peak_and_the_end_of_the_totals() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    let at = grower(&mut program, &mut names, CALLER);
    let kept = grow(&mut program, &at, 12);
    for to in [10, 14, 6] {
        program.now += 10_000;
        let map = grow(&mut program, &at, to);
        program.now += 10_000;
        program.free(map);
    }
    program.keep(kept, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let curve = LiveCurve::of(&report).expect("a curve");
    assert_eq!(curve.before_bytes, 0);
    assert_eq!(curve.live_bytes.last(), Some(&report.totals.live_bytes));
    let largest = table(1 << 13, 40) + table(1 << 14, 40);
    assert_eq!(curve.peak_bytes(), table(1 << 12, 40) + largest);
}

#[test]
fn what_was_dropped_from_the_timeline_does_not_move_the_rest() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    program
        .recording
        .ring(region::RESIZES, 4)
        .ring(region::BIRTHS, 64);
    let at = grower(&mut program, &mut names, CALLER);
    let map = grow(&mut program, &at, 12);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let from = report.honesty.timeline_complete_from_ns;
    // Of ten resizes the last four are there; the first of them ended with this one.
    let first = report
        .timeline
        .iter()
        .find(|event| event.new_bytes == Some(table(1 << 9, 40)))
        .expect("kept");
    assert_eq!(from, first.t_ns);
    let curve = LiveCurve::of(&report).expect("a curve");
    assert_eq!(curve.live_bytes.last(), Some(&table(1 << 12, 40)));
    // What was being moved when the complete part begins is there twice.
    let moving = [8, 9].map(|log2| table(1 << log2, 40));
    assert_eq!(curve.before_bytes, moving[0] + moving[1]);
}

/// Short vectors are only counted in exact mode: the curve knows from the series what they held.
#[test]
fn what_is_only_counted_is_in_the_curve() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    let vectors = vectors_of(&mut program, &mut names, "demo::parse@src/parse.rs:12");
    let at = grower(&mut program, &mut names, CALLER);
    let map = program.alloc(at.site, table(4, 40), 16);
    let interval = 1 << 20;
    let mut held = Vec::new();
    program.now = 3 * interval;
    for _ in 0..100 {
        held.push(program.alloc_untold(vectors, 64, 8));
    }
    program.now = 5 * interval;
    let kept = held.split_off(90);
    for block in held {
        program.free(block);
    }
    program.now = 8 * interval;
    let large = program.alloc(at.site, table(64, 40), 16);
    program.keep(map, 0x7000_0000_1000);
    program.keep(large, 0x7000_0000_2000);
    for (number, block) in kept.into_iter().enumerate() {
        program.keep(block, 0x7000_0001_0000 + 64 * number as u64);
    }
    let report = report(&mut program, &mut names);
    let site = report.sites.iter().find(|site| site.untold.is_some());
    let untold = site
        .and_then(|site| site.untold.as_ref())
        .expect("of the vectors");
    assert_eq!((untold.blocks, untold.live_bytes), (100, 640));
    assert!(
        report
            .timeline
            .iter()
            .all(|event| event.new_bytes != Some(64))
    );
    let curve = LiveCurve::of(&report).expect("a curve");
    let (small, large) = (table(4, 40), table(64, 40));
    assert_eq!(curve.live_bytes.last(), Some(&report.totals.live_bytes));
    assert_eq!(report.totals.live_bytes, small + large + 640);
    assert_eq!(curve.peak_bytes(), small + 6400.max(640 + large));
    let bytes_at = |at: u64| {
        let step = curve.t_ns.iter().rposition(|&begin| begin <= at);
        step.map_or(curve.before_bytes, |step| curve.live_bytes[step])
    };
    assert_eq!(bytes_at(interval), small, "before there was any");
    assert_eq!(bytes_at(3 * interval + 1), small + 6400);
    assert_eq!(bytes_at(7 * interval), small + 640);
}

/// A vector that is made at one place and grows at another leaves the one with its end: what is only
/// counted there is not more by its size.
#[test]
fn what_moved_on_to_another_place_is_not_held_where_it_began() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    let made = names.at(&["alloc::raw_vec::RawVec<T,A>::with_capacity_in"]);
    let grown = names.at(&["alloc::raw_vec::RawVec<T,A>::grow_one"]);
    let here = names.at(&["demo::make@src/make.rs:3"]);
    let there = names.at(&["demo::fill@src/fill.rs:30"]);
    let made = program.recording.site(site::ENTRY_ALLOC, &[made, here]);
    let grown = program.recording.site(site::ENTRY_REALLOC, &[grown, there]);
    let grow = program
        .recording
        .edge(edge::KIND_REALLOC, Some(made), grown, 0, 0);
    let kept = program.alloc_untold(made, 64, 8);
    for interval in 1..8 {
        program.now = interval << 20;
        for number in 0..100 {
            program.now += 1;
            let vector = program.alloc(made, 32, 8);
            let vector = program.replace(vector, grow, 4096, 1);
            let number = 1000 * interval + number;
            program.keep(vector, 0x7000_0010_0000 + 4096 * number);
        }
    }
    program.keep(kept, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let site = report.sites.iter().find(|site| site.untold.is_some());
    let untold = site.and_then(|site| site.untold.as_ref()).expect("one");
    let most = untold.max_live_bytes.iter().max();
    assert_eq!((untold.live_bytes, most), (64, Some(&64)), "{untold:?}");
    let curve = LiveCurve::of(&report).expect("a curve");
    assert_eq!(curve.live_bytes.last(), Some(&report.totals.live_bytes));
    assert_eq!(report.totals.live_bytes, 700 * 4096 + 64);
}

/// What short vectors held in a burst is not held through the time after it, in which nothing happens.
#[test]
fn a_burst_of_what_is_only_counted_ends() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    let at = vectors_of(&mut program, &mut names, "demo::parse@src/parse.rs:12");
    let mut burst = |from: u64, count: usize| {
        program.now = from << 20;
        let held: Vec<_> = (0..count)
            .map(|_| program.alloc_untold(at, 64, 8))
            .collect();
        for block in held {
            program.free(block);
        }
    };
    burst(3, 1000);
    burst(20, 1);
    let report = report(&mut program, &mut names);
    let site = report.sites.first().expect("one place");
    let intervals: Vec<_> = site.series.as_ref().expect("one").intervals().collect();
    assert_eq!(intervals[3].most, 64_000);
    assert!(intervals[4..20].iter().all(|quiet| quiet.most <= 64));
    assert_eq!(intervals[20].last, 0);
}

/// A vector made long ago is told of when it grows: the ring does not reach back to that for it.
#[test]
fn what_is_told_late_does_not_make_the_timeline_whole() {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    program.recording.ring(region::BIRTHS, 16);
    let vectors = vectors_of(&mut program, &mut names, "demo::log@src/log.rs:5");
    let at = grower(&mut program, &mut names, CALLER);
    program.now = 2_000;
    let old = program.alloc_untold(vectors, 64, 8);
    for _ in 0..100 {
        program.now += 1_000;
        let map = program.alloc(at.site, table(4, 40), 16);
        program.now += 1_000;
        program.free(map);
    }
    let realloc = program
        .recording
        .edge(edge::KIND_REALLOC, Some(vectors), vectors, 0, 0);
    let long = program.replace(old, realloc, 4096, 10);
    program.keep(long, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let from = report.honesty.timeline_complete_from_ns.expect("a clock");
    assert!(from > 180_000, "all but the last births are gone: {from}");
}

/// The largest live bytes of each interval, of a map that was resized in the fourth.
fn resized_once(resizes_kept: usize) -> Vec<u64> {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    program
        .recording
        .ring(region::RESIZES, resizes_kept)
        .ring(region::BIRTHS, 64);
    let at = grower(&mut program, &mut names, CALLER);
    let map = program.alloc(at.site, table(4, 40), 16);
    let interval = 1 << 20;
    program.now = 3 * interval + 5_000;
    let map = program.replace(map, at.grow, table(8, 40), 700);
    program.keep(map, 0x7000_0000_1000);
    program.now = 7 * interval;
    for address in [0x7000_0000_2000, 0x7000_0000_3000] {
        let other = program.alloc(at.site, table(4, 40), 16);
        let other = program.replace(other, at.grow, table(8, 40), 700);
        program.keep(other, address);
    }
    let site = report(&mut program, &mut names).sites.remove(0);
    let series = site.series.expect("a series");
    assert_eq!(series.interval_ns, interval);
    series.intervals().map(|interval| interval.most).collect()
}

#[test]
fn old_and_new_table_are_together_in_the_interval_of_the_resize_alone() {
    let [small, large] = [4, 8].map(|buckets| table(buckets, 40));
    let both = small + large;
    let most = 2 * large + both;
    let seen = resized_once(64);
    assert_eq!(seen, [small, small, small, both, large, large, large, most]);
    // Where events were dropped, all that can be said is what it was at most.
    let bounded = resized_once(1);
    assert_eq!(bounded, [small, small, small, both, both, both, both, most]);
}

#[test]
fn series_of_different_steps_are_summed() {
    let (mut names, mut program) = (Names::default(), program());
    let at = grower(&mut program, &mut names, CALLER);
    let map = grow(&mut program, &at, 8);
    program.keep(map, 0x7000_0000_1000);
    let site = report(&mut program, &mut names).sites.remove(0);
    let with = |interval_ns, max_live_bytes: &[Option<u64>]| {
        let mut site = site.clone();
        site.series = Some(Series {
            interval_ns,
            max_live_bytes: max_live_bytes.to_vec(),
            last_live_bytes: Vec::new(),
            exact: true,
        });
        site
    };
    let sites = [
        with(10, &[Some(5), Some(7), None, None, Some(1)]),
        with(20, &[Some(100), Some(200), None]),
    ];
    let together = series::together(&sites).expect("both have one");
    assert_eq!(together.interval_ns, 20);
    assert_eq!(
        together.max_live_bytes,
        [Some(107), Some(207), Some(201)],
        "what happened last counts on"
    );
    // Nothing bounds what a site held of which no series is known.
    let [first, second] = sites;
    let without = Site {
        series: None,
        ..second
    };
    assert_eq!(series::together(&[first, without]), None);
}

/// Of millions of small blocks the sums are told, and the largest are listed.
#[test]
fn more_small_vectors_than_are_listed_are_all_in_the_sums() {
    const VECTORS: u64 = 60_000;
    let (mut names, mut program) = (Names::default(), program());
    program.recording.set(header::MODE, 1).set(header::FLOOR, 0);
    let vectors = vectors_of(&mut program, &mut names, "demo::parse@src/parse.rs:12");
    for number in 0..VECTORS {
        let bytes = if number % 2 == 0 { 24 } else { 40 };
        let vector = program.alloc_untold(vectors, bytes, 8);
        program.keep(vector, 0x7000_0000_0000 + 64 * number);
    }
    let report = report(&mut program, &mut names);
    let site = &report.sites[0];
    let untold = site.untold.as_ref().expect("they are");
    assert_eq!((untold.blocks, untold.live_bytes), (VECTORS, VECTORS * 32));
    assert_eq!(
        (site.maps_live, site.live_bytes),
        (Some(VECTORS), VECTORS * 32)
    );
    assert!(report.maps.iter().all(|map| map.bytes == 40));
    let listed = report.maps.len() as u64;
    assert_eq!(report.honesty.maps_omitted + listed, VECTORS);
    assert_eq!(report.honesty.conservation_difference_bytes, 0);
}
