//! What the report says first.

use super::counts::{grow, grower};
use super::text::service_report;
use super::{Names, program, report};
use crate::text::{Sort, TextOptions, headlines, render, table};
use crate::{NextResize, Pauses, Report, Site};
use mapgrow_format::layout;

/// A site by its type, with its largest table, overlap and longest stall.
fn site(name: &str, grows: u64, table: u64, stall_ns: u64) -> Site {
    Site {
        type_name: Some(name.into()),
        resizes: Some(grows),
        grows: Some(grows),
        largest_table_bytes: Some(table),
        overlap_peak_bytes: Some(table * 3 / 2),
        copied_bytes: Some(grows * table / 2),
        pause_ns: Some(Pauses {
            count: grows,
            total: Some(stall_ns + grows * 2_000),
            p50: None,
            p50_error: None,
            p99: None,
            p99_error: None,
            max: Some(stall_ns),
        }),
        ..Site::default()
    }
}

#[test]
fn a_large_map_leads_before_many_small_ones() {
    // A thread that had to wait once while it moved 3 KiB.
    let small = site("Vec<Row>", 60_000, 6 << 10, 12_000_000);
    let large = site("HashMap<u64, u64>", 18, 34 << 20, 30_000_000);
    for sites in [[small.clone(), large.clone()], [large, small]] {
        let report = Report {
            sites: sites.to_vec(),
            ..Report::default()
        };
        let first = &headlines(&report).findings[0];
        assert!(first.starts_with("HashMap<u64, u64>"), "{first}");
    }
}

#[test]
fn a_stall_that_moving_cannot_explain_is_said_to_be_one() {
    let stalls = |stall_ns: u64, table: u64| {
        let report = Report {
            sites: vec![site("Vec<Row>", 3, table, stall_ns)],
            ..Report::default()
        };
        let text = render(&report, &TextOptions::default());
        let lines: Vec<&str> = text
            .lines()
            .skip_while(|line| !line.contains("stalls"))
            .collect();
        lines
            .into_iter()
            .take(2)
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let waited = stalls(9_900_000, 776);
    assert!(
        waited.contains("worst 9.9 ms (longer than to move 1.1 KiB takes: the thread waited, or"),
        "{waited}"
    );
    for (stall_ns, table) in [(9_900_000, 1 << 20), (900_000, 776)] {
        let moved = stalls(stall_ns, table);
        assert!(!moved.contains("waited"), "{moved}");
    }
}

#[test]
fn what_is_about_to_fail_comes_first_of_all() {
    let mut report = service_report();
    let before = headlines(&report).findings;
    report.maps[0].upcoming = vec![NextResize {
        at_entries: Some(3_670_017),
        needs_bytes: 392 << 20,
        eta_ns: Some(60_000_000_000),
        fits: Some(false),
        short_bytes: Some(100 << 20),
    }];
    let after = headlines(&report).findings;
    assert!(after[0].contains("grows in about 1 min 0 s"), "{after:?}");
    assert_eq!(after[1..], before);
}

#[test]
fn a_hash_that_piles_entries_up_is_said_at_once() {
    let mut report = service_report();
    let map = &mut report.maps[0];
    (map.hash_verdict, map.entries) = (Some("clustered"), Some(28_000));
    let findings = headlines(&report).findings;
    let told = findings.last().expect("some");
    assert!(told.contains("many of its 28,000 entries have the same hash"));
    report.maps[0].hash_verdict = Some("identity-like");
    assert_eq!(headlines(&report).findings.len(), findings.len() - 1);
}

/// Small tables, or nodes, that samples stand for and that are gone are in no counted peak: it is no
/// upper bound, nor all there is to tell.
#[test]
fn a_peak_that_leaves_samples_out_is_told_as_a_range() {
    let (mut names, mut program) = (Names::default(), program());
    let at = grower(&mut program, &mut names, "demo::put@src/a.rs:5");
    let map = grow(&mut program, &at, 12);
    program.free(map);
    let words = program.recording.site_words(at.site);
    words[layout::site::SAMPLED_ALLOCS] = 20;
    words[layout::site::W_ALLOCS] = 20 * 1000 * 256;
    words[layout::site::W_ALLOC_BYTES] = 20 * 1000 * 200;
    words[layout::site::W_FREES] = 20 * 1000 * 256;
    words[layout::site::W_FREE_BYTES] = 20 * 1000 * 200;
    words[layout::site::VAR_ALLOCS] = 20 * 1000 * 999;
    words[layout::site::VAR_ALLOC_BYTES] = 20 * 1000 * 999 * 200 * 200 / (1 << 20);
    let report = report(&mut program, &mut names);
    let text = render(&report, &TextOptions::default());
    // 4,096 buckets and 2,048; 20,000 tables of 200 bytes.
    let (counted, all) = ("246 KiB", "4.1 MiB");
    let range = format!("nothing now, between {counted} and about {all} at its peak");
    assert!(text.contains(&range), "{text}");
    let plain = table(&report, Sort::Harm, usize::MAX);
    assert!(plain.contains(">=251936"), "{plain}");
}

/// A small table is not moved for nine milliseconds.
#[test]
fn a_thread_that_waited_for_its_turn_is_not_in_the_headline() {
    for (stall, said) in [(9_000_000, false), (40_000, true)] {
        let report = Report {
            sites: vec![site("Vec<Event>", 3, 5 << 10, stall)],
            ..Report::default()
        };
        let first = &headlines(&report).findings[0];
        assert_eq!(first.contains("a stall of"), said, "{first}");
    }
}
