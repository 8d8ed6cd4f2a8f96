//! A recording in which all is well, and one for each law in which it alone is broken.

use super::{Finding, Law, Outcome, Scope, verify};
use crate::tests::counts::{Grower, grow, grower};
use crate::tests::{Names, program, table};
use mapgrow_fixture::Program;
use mapgrow_format::layout::{edge, event, header, live, region, site};
use mapgrow_format::reader::Recording;

/// Address of the live map.
const LIVE: u64 = 0x7000_0000;

/// A finished program: one map that grew and lives, one that was dropped, a vector that grew by
/// `realloc`.
fn honest() -> (Names, Program, Grower) {
    let (mut names, mut program) = (Names::default(), program());
    program
        .recording
        .set(header::MODE, 1)
        .set(header::FLOOR, 0)
        .set(header::DUMP_REASON, header::REASON_EXIT)
        .set(header::DUMP_THREADS, 1);
    let at = grower(&mut program, &mut names, "demo::cache::put@src/cache.rs:58");
    let map = grow(&mut program, &at, 6);
    program.keep(map, LIVE);
    let dropped = program.alloc(at.site, table(4, 40), 16);
    program.free(dropped);
    let push = names.at(&[
        "alloc::raw_vec::RawVec<T,A>::grow_one@/rustc/1/library/alloc/src/raw_vec.rs:340",
        "demo::log::push@src/log.rs:7",
    ]);
    let first = program.recording.site(site::ENTRY_ALLOC, &[push]);
    let then = program.recording.site(site::ENTRY_REALLOC, &[push]);
    let over = program
        .recording
        .edge(edge::KIND_REALLOC, Some(first), then, 0, 0);
    let vector = program.alloc(first, 64, 8);
    let vector = program.replace(vector, over, 128, 10);
    program.keep(vector, 0x8000_0000);
    (names, program, at)
}

fn judge(names: &mut Names, program: &mut Program) -> Vec<Finding> {
    judge_if(None, names, program)
}

fn judge_if(alive: Option<bool>, names: &mut Names, program: &mut Program) -> Vec<Finding> {
    let recording = Recording::parse(program.build()).expect("it is whole");
    verify(&recording, names, alive)
}

fn of(findings: &[Finding], law: Law) -> &Finding {
    let found = findings.iter().find(|finding| finding.law == law);
    found.expect("each law is judged")
}

#[test]
fn an_honest_recording_breaks_no_law() {
    let (mut names, mut program, _) = honest();
    for finding in judge(&mut names, &mut program) {
        match finding.law {
            Law::Samples => assert_eq!(finding.outcome, Outcome::NotApplicable, "{finding:?}"),
            _ => assert_eq!(finding.outcome, Outcome::Holds, "{finding:?}"),
        }
        assert!(
            finding.judged > 0 || finding.law == Law::Samples,
            "{finding:?}"
        );
        assert_eq!(finding.off, 0);
    }
}

/// Has `damage` done to a recording, and looks for the laws that it broke.
fn broken(damage: impl FnOnce(&mut Program, &Grower)) -> Vec<Finding> {
    let (mut names, mut program, at) = honest();
    damage(&mut program, &at);
    let mut findings = judge(&mut names, &mut program);
    findings.retain(|finding| finding.outcome == Outcome::Broken);
    findings
}

/// What is broken first, and what is said of it.
fn first(findings: &[Finding]) -> (Law, Scope, &str) {
    let finding = findings.first().expect("a law is broken");
    let spot = finding.spot.as_ref().expect("it is said where");
    (finding.law, spot.scope, &spot.figures)
}

#[test]
fn bytes_that_were_not_counted_as_freed_are_found_at_their_site() {
    let findings = broken(|program, at| {
        program.recording.site_words(at.site)[site::FREE_BYTES] -= 7;
    });
    let (law, scope, figures) = first(&findings);
    assert_eq!((law, scope), (Law::Bytes, Scope::Site));
    assert!(figures.contains("bytes allocated"), "{figures}");
    let spot = findings[0].spot.as_ref().unwrap();
    assert_eq!(spot.family, Some("hashbrown"));
    assert_eq!(spot.caller.as_ref().unwrap().line, Some(58));
    // The site, its family, the total.
    assert_eq!(findings[0].off, 3);
}

/// As a hand-over did that wrote one block's record over another's: one too many here, one too
/// few there, and nothing in total.
#[test]
fn two_sites_whose_counts_were_mixed_up_are_found_though_the_total_is_right() {
    let findings = broken(|program, at| {
        program.recording.site_words(at.site)[site::FREES] -= 1;
        program.recording.site_words(at.site + 1)[site::FREES] += 1;
    });
    let (law, scope, _) = first(&findings);
    assert_eq!((law, scope), (Law::Blocks, Scope::Site));
    assert_eq!(findings[0].off, 4, "two sites and their families");
}

#[test]
fn a_sum_of_live_bytes_that_drifted_is_found() {
    let findings = broken(|program, _| {
        program.recording.add(header::LIVE_BYTES, 3);
    });
    assert_eq!(first(&findings).0, Law::LiveSums);
    assert_eq!(first(&findings).1, Scope::Total);
    let findings = broken(|program, at| {
        program.recording.site_words(at.site)[site::PEAK_BYTES] = 1;
    });
    assert_eq!(first(&findings).0, Law::LiveSums);
    assert_eq!(first(&findings).1, Scope::Site);
}

#[test]
fn more_resizes_than_tables_are_found() {
    let findings = broken(|program, at| {
        program.recording.edge_words(at.grow)[edge::COUNT] += 100;
    });
    assert_eq!(first(&findings).0, Law::Moves);
    assert!(findings.iter().any(|finding| finding.law == Law::Maps));
    assert!(findings.iter().any(|finding| finding.law == Law::Events));
}

#[test]
fn a_map_that_is_neither_live_nor_dropped_is_found() {
    let findings = broken(|program, at| {
        // A resize whose old table is said to be one more than were ever freed for it.
        let words = program.recording.edge_words(at.grow);
        words[edge::COUNT] += 1;
    });
    // The one map that was dropped is now said to have been resized away.
    assert!(findings.iter().all(|finding| finding.law == Law::Events));
    let findings = broken(|program, at| {
        program.recording.edge_words(at.grow)[edge::COUNT] += 2;
    });
    assert!(findings.iter().any(|finding| finding.law == Law::Maps));
}

#[test]
fn an_event_that_is_missing_is_found() {
    let findings = broken(|program, at| {
        let fields = [
            1,
            99,
            0,
            40,
            0,
            u64::from(at.site) | event::KIND_DROP << 48,
            0,
        ];
        program.recording.event(region::BIRTHS, fields);
    });
    let (law, scope, figures) = first(&findings);
    assert_eq!((law, scope), (Law::Events, Scope::Site));
    assert!(figures.contains("on the timeline"), "{figures}");
    assert_eq!(findings.len(), 1);
}

#[test]
fn a_chain_that_misses_a_table_is_found() {
    let findings = broken(|program, at| {
        let block = program.alloc(at.site, 500, 16);
        program.keep(block, 0x9000_0000);
        let words = program.recording.live_words(2);
        words[live::WEIGHT] |= 3 << 32;
    });
    let (law, scope, figures) = first(&findings);
    assert_eq!((law, scope), (Law::Chains, Scope::Map));
    assert!(
        figures.contains("had 3 before, but 0 are kept"),
        "{figures}"
    );
    assert_eq!(findings.len(), 1);
}

#[test]
fn an_earlier_table_that_nobody_keeps_is_found() {
    let findings = broken(|program, _| {
        program.recording.history(None, 1, 10, 5, 6);
    });
    let (law, _, figures) = first(&findings);
    assert_eq!(law, Law::Nodes);
    assert!(figures.contains("1 are lost"), "{figures}");
    // On the free list it is not lost.
    let findings = broken(|program, _| {
        let node = program.recording.history(None, 1, 0, 5, 6);
        program
            .recording
            .set(header::HISTORY_FREE, u64::from(node) + 1);
    });
    assert_eq!(findings, []);
}

#[test]
fn samples_are_weighed() {
    let sample = |program: &mut Program, at: &Grower, weight: u64| {
        let words = program.recording.live(0xA000_0000, at.site, 100, 999);
        words[live::WEIGHT] = weight;
        let words = program.recording.site_words(at.site);
        words[site::SAMPLED_ALLOCS] += 1;
        words[site::W_ALLOC_BYTES] += 200;
    };
    let (mut names, mut program, at) = honest();
    sample(&mut program, &at, 512);
    let findings = judge(&mut names, &mut program);
    assert_eq!(of(&findings, Law::Samples).outcome, Outcome::Holds);
    let events = of(&findings, Law::Events);
    assert_eq!(events.outcome, Outcome::NotApplicable);
    assert!(events.reason.as_ref().unwrap().contains("by chance"));
    let (mut names, mut program, at) = honest();
    sample(&mut program, &at, 1024);
    let findings = judge(&mut names, &mut program);
    assert_eq!(of(&findings, Law::Samples).outcome, Outcome::Broken);
    assert_eq!(of(&findings, Law::Bytes).outcome, Outcome::Holds);
}

/// What the recording cannot tell is never said to hold.
#[test]
fn a_law_that_cannot_be_judged_says_why() {
    let off = |program: &mut Program, at: &Grower| {
        program.recording.site_words(at.site)[site::FREES] -= 1;
    };
    let reason = |alive, damage: &dyn Fn(&mut Program)| {
        let (mut names, mut program, at) = honest();
        off(&mut program, &at);
        damage(&mut program);
        let findings = judge_if(alive, &mut names, &mut program);
        let finding = of(&findings, Law::Blocks).clone();
        assert_eq!(finding.outcome, Outcome::NotApplicable, "{finding:?}");
        assert!(finding.spot.is_some(), "{finding:?}");
        finding.reason.unwrap()
    };
    let threads = reason(None, &|program| {
        program.recording.set(header::DUMP_THREADS, 4);
    });
    assert!(threads.contains("3 other threads"), "{threads}");
    let live = reason(Some(true), &|program| {
        program.recording.set(header::DUMP_REASON, 0);
    });
    assert!(live.contains("the process runs"), "{live}");
    let killed = reason(Some(false), &|program| {
        program.recording.set(header::DUMP_REASON, 0);
    });
    assert!(killed.contains("within an event"), "{killed}");

    let (mut names, mut program, _) = honest();
    program
        .recording
        .add(header::RESIZE_HEAD, 5)
        .set(header::EDGES_FOLDED, 2);
    let findings = judge(&mut names, &mut program);
    for (law, word) in [(Law::Events, "no longer on"), (Law::Maps, "no room")] {
        let finding = of(&findings, law);
        assert_eq!(finding.outcome, Outcome::NotApplicable);
        assert!(
            finding.reason.as_ref().unwrap().contains(word),
            "{finding:?}"
        );
    }
}

/// A process that was killed has at most one unfinished event for each of its threads.
#[test]
fn a_kill_does_not_excuse_everything() {
    let (mut names, mut program, at) = honest();
    program.recording.set(header::DUMP_REASON, 0);
    for _ in 0..20 {
        program.recording.live(0xB000_0000, at.site, 8, 1);
        let (a, b) = (
            program.recording.site(1, &[1]),
            program.recording.site(1, &[2]),
        );
        for id in [a, b] {
            program.recording.site_words(id)[site::ALLOCS] = 1;
        }
    }
    let findings = judge_if(Some(false), &mut names, &mut program);
    assert_eq!(of(&findings, Law::Blocks).outcome, Outcome::Broken);
}
