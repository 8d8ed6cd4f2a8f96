//! A container as the program's author knows it: one block, wherever it grew.

use super::text::service_report;
use super::{Names, program, report, table};
use crate::Report;
use crate::text::{TextOptions, headlines, render};
use mapgrow_format::layout::{edge, live, site};

const REHASH: &str = "hashbrown::raw::RawTable<T,A>::reserve_rehash";

/// One map that `load` fills up to 2^17 buckets, and `serve` to 2^19.
pub(super) fn moved() -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let growth = names.at(&[REHASH]);
    names.holds(growth, "(u64, u64)");
    let load = names.at(&["demo::load@src/moved.rs:5"]);
    let serve = names.at(&["demo::serve@src/moved.rs:6"]);
    let at_load = program.recording.site(site::ENTRY_ALLOC, &[growth, load]);
    let at_serve = program.recording.site(site::ENTRY_ALLOC, &[growth, serve]);
    let mut edge = |from, to| {
        let kind = edge::KIND_REPLACE;
        program.recording.edge(kind, Some(from), to, 0, growth)
    };
    let (loads, leaves, serves) = (
        edge(at_load, at_load),
        edge(at_load, at_serve),
        edge(at_serve, at_serve),
    );
    let mut map = program.alloc(at_load, table(1 << 6, 16), 16);
    for log2 in 7..=19 {
        program.now += 1000;
        let over = match log2 {
            7..=17 => loads,
            18 => leaves,
            _ => serves,
        };
        map = program.replace(map, over, table(1 << log2, 16), 100);
    }
    program.keep(map, 0x7000_0000_1000);
    report(&mut program, &mut names)
}

#[test]
fn a_map_that_grew_on_elsewhere_is_one() {
    let report = moved();
    assert_eq!((report.sites.len(), report.blocks.len()), (2, 1));
    let block = &report.blocks[0];
    let line = block.caller.as_ref().and_then(|caller| caller.line);
    assert_eq!(line, Some(5), "where it began");
    assert_eq!((block.grows, block.maps_created), (Some(13), Some(1)));
    assert_eq!((block.maps_live, block.maps_dropped), (Some(1), Some(0)));
    assert_eq!(block.live_bytes, table(1 << 19, 16));
    let places: Vec<_> = block.places.iter().map(|place| place.resizes).collect();
    assert_eq!(places, [Some(11), Some(2)]);
    // Its tables are one root's, so that the peak is exact.
    assert!(block.peak_live_bytes >= Some(table(1 << 19, 16)));

    let left = report.sites.iter().find(|site| site.id == block.id);
    let left = left.expect("where it began");
    assert_eq!((left.maps_moved_on, left.maps_dropped), (Some(1), Some(0)));
    let to = left.moved_on_to.as_ref().and_then(|to| to.line);
    assert_eq!(to, Some(6));
    // 57,345 entries need 2^17 buckets: what it had when it left. It came to 2^19.
    for advice in [&left.advice, &block.advice] {
        assert!(advice[0].contains("with_capacity(229377)"), "{advice:?}");
    }
    let sums = headlines(&report).sums;
    assert!(sums[0].contains("13 resizes at 1 place,"), "{sums:?}");
    let text = render(&report, &TextOptions::default());
    assert!(text.contains("grew 13 times (1 map, live)"), "{text}");
    assert!(!text.contains("dropped)"), "{text}");
    let places = "demo::serve, src/moved.rs:6: 2 resizes, holds 8.5 MiB now";
    assert!(text.contains(places), "{text}");
}

#[test]
fn one_line_that_many_call_is_one_block() {
    let (mut names, mut program) = (Names::default(), program());
    let growth = names.at(&[REHASH]);
    let put = names.at(&["demo::put@src/put.rs:9"]);
    for caller in 0..3 {
        let caller = names.at(&[&format!("demo::caller_{caller}@src/put.rs:2{caller}")]);
        let at = program
            .recording
            .site(site::ENTRY_ALLOC, &[growth, put, caller]);
        let map = program.alloc(at, table(1 << 10, 16), 16);
        program.keep(map, 0x7000_0000_1000 + u64::from(at) * 0x10_0000);
    }
    let report = report(&mut program, &mut names);
    assert_eq!((report.sites.len(), report.blocks.len()), (3, 1));
    let block = &report.blocks[0];
    assert_eq!(block.maps_live, Some(3));
    assert_eq!(block.live_bytes, 3 * table(1 << 10, 16));
}

#[test]
fn a_function_that_grows_for_two_callers_grows_one_container() {
    let (mut names, mut program) = (Names::default(), program());
    let asks = names.at(&["set_resize@set.c:8"]);
    let frees = names.at(&["set_resize@set.c:9"]);
    let load = names.at(&["load@set.c:20"]);
    let serve = names.at(&["serve@set.c:21"]);
    let at_load = program.recording.site(site::ENTRY_ALLOC, &[asks, load]);
    let at_serve = program.recording.site(site::ENTRY_ALLOC, &[asks, serve]);
    let kind = edge::KIND_REPLACE;
    let loads = program
        .recording
        .edge(kind, Some(at_load), at_load, 0, frees);
    let leaves = program
        .recording
        .edge(kind, Some(at_load), at_serve, 0, frees);
    let mut set = program.alloc(at_load, 2048, 16);
    for log2 in 12..=22 {
        program.now += 1000;
        let over = if log2 == 22 { leaves } else { loads };
        set = program.replace(set, over, 1 << log2, 100);
    }
    program.keep(set, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    assert_eq!(report.blocks.len(), 1, "{:?}", report.sites);
    let block = &report.blocks[0];
    assert_eq!((block.grows, block.maps_live), (Some(11), Some(1)));
    assert_eq!(block.live_bytes, 4 << 20);
    assert_eq!(block.overlap_peak_bytes, Some(6 << 20));
}

/// Two thousand maps, of which one in ten was recorded, to stand for ten each.
pub(super) fn mostly_sampled() -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let growth = names.at(&[REHASH]);
    let tenant = names.at(&["demo::tenant@src/many.rs:6"]);
    let at = program.recording.site(site::ENTRY_ALLOC, &[growth, tenant]);
    let bytes = table(1 << 7, 16);
    let words = program.recording.site_words(at);
    words[site::SAMPLED_ALLOCS] = 200;
    words[site::W_ALLOCS] = 200 * 10 * 256;
    words[site::W_ALLOC_BYTES] = 200 * 10 * bytes;
    (words[site::MIN_BYTES], words[site::MAX_BYTES]) = (bytes, bytes);
    for serial in 0..200 {
        let address = 0x7f3a_0000 + serial * 4096;
        let words = program
            .recording
            .live(address, at, bytes, 1_000_000 + serial);
        words[live::WEIGHT] = 10 * 256;
    }
    let counted = program.alloc(at, bytes, 16);
    program.keep(counted, 0x7f4a_0000);
    report(&mut program, &mut names)
}

#[test]
fn what_samples_stand_for_is_in_every_figure() {
    let report = mostly_sampled();
    let held = 2001 * table(1 << 7, 16);
    assert_eq!(report.totals.est_live_bytes, held);
    let wide = TextOptions {
        width: 300,
        ..TextOptions::default()
    };
    let text = render(&report, &wide);
    // 4.2 MiB in all, where the counted one has 2.1 KiB.
    let first = text.lines().next().expect("a headline");
    assert!(first.contains("about 4.2 MiB +- "), "{first}");
    assert!(text.contains("holds     about 4.2 MiB +- "), "{text}");
    assert!(text.contains("Containers hold about 4.2 MiB +- "), "{text}");
    assert!(text.contains("their peak was that or more"), "{text}");
    assert!(text.contains("about 2,000 maps live"), "{text}");
    assert!(!text.contains("below the floor"), "{text}");
}

/// What must hold in every report.
pub(super) fn laws(report: &Report) {
    let sum = |of: fn(&crate::Site) -> u64, rows: &[crate::Site]| rows.iter().map(of).sum::<u64>();
    for of in [
        (|site| site.allocs) as fn(&crate::Site) -> u64,
        |site| site.frees,
        |site| site.allocated_bytes,
        |site| site.freed_bytes,
        |site| site.live_bytes,
        |site| site.resizes.unwrap_or(0),
    ] {
        assert_eq!(sum(of, &report.sites), sum(of, report.blocks()));
    }
    for block in &report.blocks {
        let own = block.places.iter();
        let live: u64 = own.map(|place| place.live_bytes).sum();
        assert_eq!(live, block.live_bytes, "{:?}", block.caller);
    }
    for row in report.sites.iter().chain(report.blocks()) {
        let peak = row.peak_live_bytes.unwrap_or(u64::MAX);
        assert!(peak >= row.live_bytes, "{row:?}");
        let (live, dropped) = (row.maps_live, row.maps_dropped);
        assert!(live.is_none() || dropped.is_some(), "{row:?}");
    }
    let totals = &report.totals;
    assert!(totals.peak_bytes >= totals.live_bytes);
    assert!(totals.est_live_bytes >= totals.live_bytes);
    let all = TextOptions {
        width: 4000,
        ..TextOptions::default()
    };
    let text = render(report, &all);
    let first = text.lines().find_map(|line| line.strip_prefix("1. "));
    if let Some(block) = first {
        let place = block.rsplit_once(" at ").map_or(block, |(_, place)| place);
        let findings = headlines(report).findings;
        let said = findings.iter().any(|line| line.contains(place));
        assert!(said, "{place} in {findings:?}");
    }
}

#[test]
fn parts_sum_to_wholes_and_the_headline_is_the_first_block() {
    for report in [moved(), mostly_sampled(), service_report()] {
        laws(&report);
    }
}

#[test]
fn a_screen_has_who_holds_most_and_no_more_lines_than_it_may() {
    let report = service_report();
    for lines in [24, 40, 60] {
        let options = TextOptions {
            lines: Some(lines),
            ..TextOptions::default()
        };
        let text = render(&report, &options);
        assert!(text.lines().count() <= lines, "{text}");
        assert!(text.contains("\n1. HashMap<u64, Session> at src/cache.rs:58"));
    }
    let options = TextOptions {
        lines: Some(24),
        ..TextOptions::default()
    };
    assert!(render(&report, &options).contains("(--all shows them)"));
}

/// At the end of a program nothing is held: what it cost decides, not the order of the places.
#[test]
fn a_screen_of_what_is_gone_shows_what_cost_most() {
    let place = |id: u32, largest: u64| crate::Site {
        id,
        type_name: Some(format!("HashMap<u64, [u8; {id}]>")),
        caller: Some(crate::Caller {
            function: "job::run".into(),
            file: Some("src/job.rs".into()),
            line: Some(id),
        }),
        maps_created: Some(1),
        maps_live: Some(0),
        resizes: Some(9),
        grows: Some(9),
        largest_table_bytes: Some(largest),
        overlap_peak_bytes: Some(largest * 3 / 2),
        peak_live_bytes: Some(largest),
        peak_live_error_bytes: Some(0),
        ..crate::Site::default()
    };
    let sizes = [64 << 20, 32 << 20, 16 << 20, 8 << 10, 4 << 10, 2 << 10];
    let sites = (1..).zip(sizes).map(|(id, size)| place(id, size));
    let report = crate::Report {
        sites: sites.collect(),
        ..crate::Report::default()
    };
    let options = TextOptions {
        lines: Some(24),
        ..TextOptions::default()
    };
    let text = render(&report, &options);
    let shown = |line: u32| text.contains(&format!(" at src/job.rs:{line}\n"));
    assert!(shown(1) && shown(2) && !shown(6), "{text}");
}

#[test]
fn the_entries_of_an_indexed_map_are_part_of_it() {
    let row = |family, live_bytes, id| crate::Site {
        id,
        recorded_sites: vec![id],
        family: Some(family),
        type_name: Some("IndexMap<u64, [u64; 4]>".into()),
        caller: Some(crate::Caller {
            function: "index::main".into(),
            file: Some("src/index.rs".into()),
            line: Some(7),
        }),
        maps_created: Some(1),
        maps_live: Some(1),
        live_bytes,
        peak_live_bytes: Some(live_bytes),
        peak_live_error_bytes: Some(0),
        ..crate::Site::default()
    };
    let table = crate::Site {
        entries: Some(1_000),
        entries_error: Some(0),
        tombstones: Some(0),
        capacity: Some(458_752),
        retained_bytes: Some(4_700_000),
        ..row("hashbrown", 4_718_608, 1)
    };
    // 48 bytes for each of 458,752 entries.
    let vector = row("raw_vec", 458_752 * 48, 2);
    let rows = crate::judgement::indexed::joined(vec![vector, table], &[]);
    assert_eq!(rows.len(), 1);
    let map = &rows[0];
    assert_eq!((map.id, map.maps_live), (1, Some(1)));
    assert_eq!(map.live_bytes, 4_718_608 + 458_752 * 48);
    assert_eq!(map.retained_bytes, Some(4_700_000 + 457_752 * 48));
    let advice = "shrink_to_fit() would give back 25 MiB: 1,000 entries left in tables for 458,752";
    assert_eq!(map.advice, [advice]);
}

/// A row of what grows at one line of the program.
fn at_one_line(family: &'static str, type_name: &str, id: u32) -> crate::Site {
    crate::Site {
        id,
        recorded_sites: vec![id],
        family: Some(family),
        type_name: Some(type_name.into()),
        caller: Some(crate::Caller {
            function: "visit".into(),
            file: Some("src/visit.cpp".into()),
            line: Some(11),
        }),
        ..crate::Site::default()
    }
}

fn a_table(type_name: &str, id: u32) -> crate::Site {
    crate::Site {
        maps_created: Some(1),
        maps_live: Some(1),
        resizes: Some(7),
        grows: Some(7),
        allocs: 8,
        live_bytes: 166_024,
        allocated_bytes: 320_000,
        peak_live_bytes: Some(250_000),
        peak_live_error_bytes: Some(0),
        ..at_one_line("libstdcxx_hashtable", type_name, id)
    }
}

#[test]
fn the_nodes_of_an_unordered_map_are_part_of_it() {
    let nodes = |type_name, id| crate::Site {
        coverage: crate::Coverage::Sampled,
        live_bytes: 1_000_000,
        sampled: Some(crate::Sampled {
            samples: 16,
            est_allocs: 40_000.0,
            est_allocs_error: 10_000.0,
            est_allocated_bytes: 1_000_000.0,
            est_allocated_bytes_error: 250_000.0,
            est_live_bytes: 1_000_000.0,
            est_live_bytes_error: 250_000.0,
            est_maps_live: 40_000.0,
            est_maps_live_error: 10_000.0,
            est_resizes: None,
            est_resizes_error: None,
        }),
        ..at_one_line("libstdcxx_hashtable_node", type_name, id)
    };
    // Two maps of different types grow at one line.
    let rows = vec![
        nodes("unordered_map<unsigned, User>", 4),
        a_table("unordered_map<unsigned, User>", 1),
        a_table("unordered_map<unsigned, unsigned>", 2),
    ];
    let rows = crate::judgement::indexed::joined(rows, &[]);
    assert_eq!(rows.len(), 2);
    let users = &rows[0];
    assert_eq!(
        (users.id, users.maps_live, users.resizes),
        (1, Some(1), Some(7))
    );
    assert_eq!(users.live_bytes, 166_024, "counted one by one");
    assert_eq!(users.live(), (1_166_024, 250_000));
    assert_eq!(users.recorded_sites, [1, 4]);
    assert_eq!((rows[1].id, rows[1].live()), (2, (166_024, 0)));
    let text = crate::text::render(
        &Report {
            blocks: rows.clone(),
            ..Report::default()
        },
        &TextOptions::default(),
    );
    assert!(text.contains("grew"), "{text}");
    let holds = "holds     about 1.1 MiB +- 244 KiB now (162 KiB of it counted one by one)";
    assert!(text.contains(holds), "{text}");

    // Of which the nodes are nobody knows where both have one type.
    let rows = vec![nodes("set", 4), a_table("set", 1), a_table("set", 2)];
    let rows = crate::judgement::indexed::joined(rows, &[]);
    assert_eq!(rows.len(), 3);
}

/// So are the blocks of a deque, which is no vector.
#[test]
fn the_blocks_of_a_deque_are_part_of_it() {
    let deque = crate::Site {
        family: Some("libstdcxx_deque"),
        ..a_table("deque<Ev>", 1)
    };
    let blocks = crate::Site {
        live_bytes: 96_000_000,
        ..at_one_line("libstdcxx_deque_block", "deque<Ev>", 4)
    };
    let rows = crate::judgement::indexed::joined(vec![blocks.clone(), deque.clone()], &[]);
    assert_eq!((rows.len(), rows[0].live()), (1, (96_166_024, 0)));
    // It began in a constructor, and grows where the blocks are made.
    let began = crate::Site {
        caller: None,
        recorded_sites: vec![1, 3],
        ..deque.clone()
    };
    let grows = crate::Site { id: 3, ..deque };
    let both = crate::judgement::indexed::joined(vec![blocks, began], &[grows]);
    assert_eq!((both.len(), both[0].live()), (1, (96_166_024, 0)));
    let all = Report {
        blocks: rows,
        ..Report::default()
    };
    let text = crate::text::render(&all, &TextOptions::default());
    assert!(text.contains("(1 deque, live)"), "{text}");
    assert!(text.contains("a deque's length is not kept"), "{text}");
    assert!(
        !text.contains("vector") && !text.contains("shrink_to_fit"),
        "{text}"
    );
}
