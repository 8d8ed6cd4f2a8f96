//! Tables whose entries move step by step: who took whose place is told by the order of events.

use super::kinds::only;
use super::{Names, program, report};
use crate::{EventKind, Report};
use mapgrow_fixture::{Block, Program};
use mapgrow_format::layout::{edge, site};

/// A server with one place that adds to its dicts.
struct Server {
    names: Names,
    program: Program,
    adds: u32,
    blocks: u64,
}

impl Server {
    fn new() -> Self {
        let (mut names, mut program) = (Names::default(), program());
        let frames: Vec<u64> = ["zcalloc", "_dictExpand", "dictAddRaw", "dbAdd", "main"]
            .iter()
            .map(|name| names.at(&[name]))
            .collect();
        let adds = program.recording.site(site::ENTRY_ALLOC, &frames);
        Self {
            names,
            program,
            adds,
            blocks: 0,
        }
    }

    fn expand(&mut self, bytes: u64) -> Block {
        self.program.now += 1_000;
        self.program.alloc(self.adds, bytes, 16)
    }

    fn free(&mut self, block: Block, later: u64) {
        self.program.now += later;
        self.program.free(block);
    }

    fn keep(&mut self, block: Block) {
        self.blocks += 1;
        self.program
            .keep(block, 0x7000_0000_0000 + self.blocks * 0x10_0000);
    }

    fn report(mut self) -> Report {
        report(&mut self.program, &mut self.names)
    }
}

#[test]
fn a_table_that_outlives_its_half_has_taken_its_place() {
    let mut server = Server::new();
    let first = server.expand(4096);
    let second = server.expand(8192);
    server.free(first, 70_000);
    let third = server.expand(16384);
    server.free(second, 500_000);
    server.keep(third);
    let report = server.report();
    let site = only(&report);
    assert_eq!((site.grows, site.replaces), (Some(2), Some(0)));
    assert_eq!((site.maps_created, site.maps_live), (Some(1), Some(1)));
    assert_eq!(site.overlap_peak_bytes, Some(8192 + 16384));
    assert_eq!(site.overlap_longest_ns, Some(500_000));
    assert_eq!(site.pause_ns.as_ref().map_or(0, |pauses| pauses.count), 0);
    assert_eq!(report.maps[0].tables, [4096, 8192, 16384]);
    let kinds: Vec<EventKind> = report.timeline.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Create, EventKind::Grow, EventKind::Grow]);
    let grow = &report.timeline[1];
    assert_eq!((grow.old_bytes, grow.new_bytes), (Some(4096), Some(8192)));
    assert_eq!((grow.overlap_ns, grow.pause_ns), (Some(70_000), None));
    let map = report.timeline[0].map;
    assert!(report.timeline.iter().all(|event| event.map == map));
}

/// The free of the old table was taken for the end of something else, by chance of the stacks.
#[test]
fn an_edge_to_another_block_does_not_hide_the_move() {
    let mut server = Server::new();
    let strings = {
        let frames = [server.names.at(&["zmalloc"]), server.names.at(&["sdsnew"])];
        server.program.recording.site(site::ENTRY_ALLOC, &frames)
    };
    let free = server.names.at(&["call"]);
    let (adds, kind) = (server.adds, edge::KIND_REPLACE);
    let edge = server
        .program
        .recording
        .edge(kind, Some(adds), strings, 1, free);
    let old = server.expand(4096);
    let new = server.expand(8192);
    let string = server.program.replace(old, edge, 2048, 10);
    server.program.free(string);
    server.keep(new);
    let report = server.report();
    let site = report
        .sites
        .iter()
        .find(|site| site.family == Some("redis_dict"));
    assert_eq!(site.and_then(|site| site.grows), Some(1));
    assert_eq!(report.maps[0].tables, [4096, 8192]);
}

/// Two dicts of one size at once: which table moved into which is not known, and not guessed.
#[test]
fn what_several_tables_may_have_done_none_has() {
    let mut server = Server::new();
    let (one, other) = (server.expand(4096), server.expand(4096));
    let (larger, largest) = (server.expand(8192), server.expand(8192));
    server.free(one, 1_000);
    server.free(other, 1_000);
    server.keep(larger);
    server.keep(largest);
    let report = server.report();
    let site = only(&report);
    assert_eq!((site.grows, site.resizes), (Some(0), Some(0)));
    assert_eq!(site.replaces, Some(1));
}

/// A dict that is deleted while none of twice its size is under way has moved nowhere.
#[test]
fn a_table_without_successor_was_dropped() {
    let mut server = Server::new();
    let (small, large) = (server.expand(4096), server.expand(1 << 20));
    server.free(small, 1_000);
    server.keep(large);
    let report = server.report();
    assert_eq!(
        (only(&report).grows, only(&report).maps_live),
        (Some(0), Some(1))
    );
    assert!(
        report
            .timeline
            .iter()
            .any(|event| event.kind == EventKind::Drop)
    );
}

/// A dict of a program's own in C, grown five times; entries are allocated `meanwhile`, at this line.
fn own_dict(entry: &str, meanwhile: bool) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let expand = names.at(&["dict_expand@kv.c:11"]);
    let main = names.at(&["main@kv.c:24"]);
    let set = names.at(&["dict_set@kv.c:20"]);
    let steps = names.at(&["dict_step@kv.c:17", "dict_set@kv.c:18"]);
    let entries = names.at(&[entry]);
    let tables = program
        .recording
        .site(site::ENTRY_ALLOC, &[expand, set, main]);
    let entries = program.recording.site(site::ENTRY_ALLOC, &[entries, main]);
    let replaces = program
        .recording
        .edge(edge::KIND_REPLACE, Some(tables), tables, 1, steps);
    let mut dict = program.alloc(tables, 1 << 12, 16);
    for log2 in 13..18 {
        program.now += 1_000;
        dict = program.replace(dict, replaces, 1 << log2, 80_000);
        let back = if meanwhile { 40_000 } else { 0 };
        program.now = program.now + 500 - back;
        let entry = program.alloc(entries, 24, 16);
        program.free(entry);
        program.now += back;
    }
    program.keep(dict, 0x7000_0000_0000);
    report(&mut program, &mut names)
}

/// What the thread does between the allocation of the new table and the free of the old is no stall.
#[test]
fn a_thread_that_does_other_work_is_not_stalled() {
    let report = own_dict("dict_set@kv.c:22", true);
    let site = only(&report);
    assert_eq!(
        (site.family, site.grows),
        (Some("unknown_container"), Some(5))
    );
    assert_eq!(site.pause_ns, None);
    assert_eq!(site.overlap_longest_ns, Some(80_000));
    assert_eq!(report.totals.pause_total_ns.unwrap_or(0), 0);
    let grows = report.timeline.iter();
    let grows = grows.filter(|event| event.kind == EventKind::Grow);
    let took: Vec<_> = grows
        .map(|event| (event.pause_ns, event.overlap_ns))
        .collect();
    assert_eq!(took, [(None, Some(80_000)); 5]);
    let text = crate::text::render(&report, &crate::text::TextOptions::default());
    let told = "none: the entries move little by little, beside other work";
    assert!(text.contains(told), "{text}");
    assert!(!text.contains("a stall of"), "{text}");
}

/// What comes after says nothing, nor do stacks that have not the function in common in which both
/// tables meet.
#[test]
fn a_table_that_is_moved_at_once_stalls() {
    for (entry, meanwhile) in [("dict_set@kv.c:22", false), ("other_work@kv.c:31", true)] {
        let report = own_dict(entry, meanwhile);
        let site = only(&report);
        assert_eq!(site.overlap_longest_ns, None, "{entry}");
        let pauses = site.pause_ns.as_ref().expect("pauses");
        assert_eq!((pauses.count, pauses.max), (5, Some(80_000)));
    }
}
