//! What the reader accepts, what it refuses and with which words, and that nothing makes it
//! panic.

use mapgrow_fixture::{Program, RecordingBuilder, START_TICKS};
use mapgrow_format::Module;
use mapgrow_format::layout::{self, edge, event, header, live, region, site};
use mapgrow_format::reader::{ReadError, Recording};
use mapgrow_report::symbols::{Frame, Symbolizer};
use mapgrow_report::text::{By, TextOptions, render};
use mapgrow_report::{Options, Report};
use proptest::prelude::*;

/// A recording with something in every region.
fn rich() -> Vec<u8> {
    let mut program = Program::new();
    program.recording.slack(16);
    program
        .recording
        .ring(region::RESIZES, 8)
        .ring(region::BIRTHS, 8)
        .ring(region::MARKS, 4);
    program.recording.module(0x1000, 0x9000, "/usr/bin/demo");
    program.thread = program.recording.thread(77, "worker", 1 << 20, 1 << 10);
    let at = program
        .recording
        .site(site::ENTRY_ALLOC, &[0x1100, 0x1200, 0x1300]);
    let by_realloc = program
        .recording
        .site(site::ENTRY_REALLOC, &[0x1104, 0x1200]);
    let grow = program
        .recording
        .edge(edge::KIND_REPLACE, Some(at), at, 0, 0x1110);
    let realloc =
        program
            .recording
            .edge(edge::KIND_REALLOC, Some(by_realloc), by_realloc, 0, 0x1104);
    let give_up = program
        .recording
        .edge(edge::KIND_ABANDON, None, at, 0, 0x1114);
    for round in 0..3u64 {
        let mut map = program.alloc(at, 1552, 16);
        let mut vector = program.alloc(by_realloc, 1024, 8);
        for log2 in 7..10 {
            program.now += 100;
            map = program.replace(map, grow, (24 << log2) + (1 << log2) + 16, 70);
            vector = program.replace(vector, realloc, 8 << log2, 30);
        }
        let vain = program.alloc(at, 100_000, 16);
        program.abandon(vain, give_up, 5);
        program.keep(map, 0x7000_0000 + round * 0x10_0000);
        program.free(vector);
    }
    program.recording.mark(START_TICKS + 50, 1, "warm");
    program.build()
}

/// Names for some addresses only.
struct Some7th;

impl Symbolizer for Some7th {
    fn frames(&mut self, _module: &Module, address: u64) -> Vec<Frame> {
        let name = match address % 7 {
            0 => "hashbrown::raw::RawTable<T,A>::reserve_rehash",
            1 => "demo::main",
            2 => "alloc::raw_vec::finish_grow",
            3 => "<a as b>::c",
            _ => return Vec::new(),
        };
        vec![Frame {
            function: Some(name.into()),
            file: Some("a.rs".into()),
            line: Some(1),
        }]
    }
}

/// Reads everything that there is to read.
fn exhaust(recording: &Recording) {
    let report = Report::build(recording, &mut Some7th, &Options::default());
    for by in [By::Site, By::Map, By::Type, By::Thread] {
        let text = render(
            &report,
            &TextOptions {
                width: 80,
                by,
                ..TextOptions::default()
            },
        );
        assert!(!text.is_empty());
    }
}

fn error(bytes: &[u8]) -> ReadError {
    match Recording::parse(bytes.to_vec()) {
        Ok(_) => panic!("a recording"),
        Err(error) => error,
    }
}

#[test]
fn everything_written_is_read() {
    let recording = Recording::parse(rich()).expect("a recording");
    assert_eq!(recording.modules().flatten().count(), 1);
    assert_eq!(recording.threads().count(), 2);
    assert_eq!(recording.sites().count(), 3);
    let site = recording.site(1).expect("a site");
    assert_eq!(
        recording.stack(&site).iter().collect::<Vec<_>>(),
        [0x1100, 0x1200, 0x1300]
    );
    assert_eq!(recording.edges().count(), 4);
    assert_eq!(recording.live().flatten().count(), 3);
    let block = recording.live().flatten().next().expect("a block");
    assert_eq!(
        (block.address, block.site, block.align_log2, block.thread),
        (0x7000_0000, 1, 4, 1)
    );
    assert_eq!(
        recording
            .history(block.history.expect("a past"))
            .map(|node| node.edge),
        Some(1)
    );
    // 9 growths, 9 reallocs and 3 given up, of which a ring of 8 keeps the last.
    let numbers: Vec<u64> = recording
        .resize_events()
        .iter()
        .map(|event| event.number)
        .collect();
    assert_eq!(numbers, (13..21).collect::<Vec<_>>());
    assert_eq!(recording.resize_events()[7].kind, event::KIND_ABANDON);
    assert_eq!(recording.marks().len(), 1);
    assert_eq!(recording.marks()[0].label, "warm");
    exhaust(&recording);
}

#[test]
fn what_is_no_recording_is_refused_with_a_reason() {
    assert_eq!(error(b""), ReadError::Empty);
    assert!(error(b"").to_string().contains("empty"));
    for (bytes, hint) in [
        (&b"\x7fELF\x02\x01\x01\0aaaaaaaa"[..], "executable"),
        (b"{\"format\": 1}", "JSON"),
        (b"heap_v2/524288\n", "jemalloc"),
        (&[0; 64], "never set up"),
        (b"MAPGRO", "does not start with MAPGROW"),
    ] {
        let message = error(bytes).to_string();
        assert!(message.contains(hint), "{message}");
        assert!(message.contains("no mapgrow recording"), "{message}");
        assert!(!message.contains('\n'));
    }
}

#[test]
fn a_newer_version_is_named_with_ours() {
    let mut bytes = rich();
    bytes[8] = 9;
    assert_eq!(error(&bytes), ReadError::Newer { found: 9 });
    let message = error(&bytes).to_string();
    assert!(
        message.contains("version 9")
            && message.contains(&format!("up to version {}", layout::VERSION)),
        "{message}"
    );
    bytes[8] = 0;
    assert_eq!(error(&bytes), ReadError::Older { found: 0 });
    assert!(error(&bytes).to_string().contains("version 0"));
}

#[test]
fn a_truncated_file_says_what_is_missing() {
    let bytes = rich();
    let message = error(&bytes[..100]).to_string();
    assert!(message.contains("8092 bytes of its header"), "{message}");
    // The mark ring is the last region with anything in it: one record of 128 bytes. What
    // follows is its slack and that of the regions behind it.
    let slack = (region::COUNT - region::MARKS) * 16 * 8;
    let cut = bytes.len() - slack - 28;
    let expected = ReadError::Truncated {
        part: "marks",
        missing: 28,
        length: cut as u64,
    };
    assert_eq!(error(&bytes[..cut]), expected);
    assert!(error(&bytes[..8 * 1024]).to_string().contains("modules"));
    // What lies beyond the committed part may be missing.
    assert!(Recording::parse(bytes[..bytes.len() - slack].to_vec()).is_ok());
}

#[test]
fn a_region_table_that_contradicts_itself_is_refused() {
    for (word, value, hint) in [
        (
            header::REGIONS + region::SITES * header::REGION_WORDS,
            77,
            "row 3",
        ),
        (
            header::REGIONS + region::SITES * header::REGION_WORDS + 1,
            16,
            "byte 16",
        ),
        (
            header::REGIONS + region::SITES * header::REGION_WORDS + 1,
            u64::MAX - 7,
            "beyond",
        ),
        (
            header::REGIONS + region::SITES * header::REGION_WORDS + 2,
            8,
            "in use of 8",
        ),
    ] {
        let mut bytes = rich();
        bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_le_bytes());
        let message = error(&bytes).to_string();
        assert!(message.contains(hint), "{message}");
    }
}

#[test]
fn records_being_written_are_left_out() {
    let mut builder = RecordingBuilder::new();
    builder.thread(1, "", 0, 0);
    let whole = builder.site(site::ENTRY_ALLOC, &[1, 2]);
    let half = builder.site(site::ENTRY_ALLOC, &[1, 2]);
    builder.site_words(half)[site::STACK] &= !(1 << 63);
    let written = builder.edge(edge::KIND_REPLACE, Some(whole), whole, 0, 1);
    builder.edge_words(written)[edge::JOIN] &= !(1 << 63);
    builder.live(0x7000_0000, whole, 10, 1);
    builder.live(0x7000_1000, whole, 10, 2)[live::SITE] |= 1 << 32;
    let recording = Recording::parse(builder.build()).expect("a recording");
    assert!(recording.site(whole).is_some() && recording.site(half).is_none());
    assert!(recording.edge(written).is_none());
    assert_eq!(
        recording
            .live()
            .map(|block| block.is_some())
            .collect::<Vec<_>>(),
        [true, false]
    );
    let report = Report::build(&recording, &mut Some7th, &Options::default());
    // Nothing was counted at the site and the edge that are not complete.
    assert_eq!(report.honesty.records_unreadable, 1);
}

#[test]
fn tables_that_nobody_looked_into_are_told() {
    let mut bytes = rich();
    let at = header::OCCUPANCY_SKIPPED * 8;
    bytes[at..at + 8].copy_from_slice(&7_u64.to_le_bytes());
    let recording = Recording::parse(bytes).expect("a recording");
    let honesty = Report::build(&recording, &mut Some7th, &Options::default()).honesty;
    assert_eq!(honesty.tables_not_read, 7);
    let told = |note: &String| note.contains("7 smaller live tables held was not read");
    assert!(honesty.notes.iter().any(told), "{:?}", honesty.notes);
}

#[test]
fn counters_beyond_what_is_there_are_clamped() {
    let mut bytes = rich();
    for counter in header::MODULE_COUNT..=header::MARK_HEAD {
        bytes[counter * 8..counter * 8 + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    }
    let recording = Recording::parse(bytes).expect("a recording");
    assert_eq!(recording.site_count(), 3);
    assert_eq!(recording.live_slots(), 3);
    exhaust(&recording);
}

/// A chain of history nodes that bites its own tail, and one that two maps claim.
#[test]
fn circles_in_the_history_end() {
    let mut program = Program::new();
    let at = program.recording.site(site::ENTRY_ALLOC, &[0x1100]);
    let grow = program
        .recording
        .edge(edge::KIND_REALLOC, Some(at), at, 0, 0x1100);
    program
        .recording
        .history(Some(1), grow, 1024, 1, START_TICKS);
    program
        .recording
        .history(Some(0), grow, 2048, 2, START_TICKS);
    for serial in [8, 9] {
        let words = program
            .recording
            .live(0x7000_0000 * serial, at, 4096, serial);
        words[live::LINKS] |= 2;
    }
    program.recording.site_words(at)[site::ALLOCS] = 2;
    let recording = Recording::parse(program.build()).expect("a recording");
    let report = Report::build(&recording, &mut Some7th, &Options::default());
    assert_eq!(report.maps.len(), 2);
    assert!(
        report
            .maps
            .iter()
            .all(|map| !map.history_complete && map.tables.len() <= 3)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any bytes at all, behind a right magic or not.
    #[test]
    fn random_bytes_do_no_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..20_000), magic: bool) {
        if magic && bytes.len() >= 16 {
            bytes[..8].copy_from_slice(&layout::MAGIC.to_le_bytes());
            bytes[8..16].copy_from_slice(&layout::VERSION.to_le_bytes());
        }
        match Recording::parse(bytes) {
            Ok(recording) => exhaust(&recording),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// A recording with some words replaced by telling ones.
    #[test]
    fn mutated_recordings_do_no_harm(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), value()), 1..40),
        header_changes in proptest::collection::vec((0..header::WORDS, value()), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = rich();
        let words = bytes.len() / 8;
        let frame = header::WORDS;
        for (index, value) in changes {
            let word = frame + index.index(words - frame);
            bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_le_bytes());
        }
        for (word, value) in header_changes {
            bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_le_bytes());
        }
        if let Some(cut) = cut {
            let end = cut.index(bytes.len());
            bytes.truncate(end);
        }
        match Recording::parse(bytes) {
            Ok(recording) => exhaust(&recording),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

/// Values that break arithmetic, or that lead from one record to another.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(1 << 63),
        Just(u64::MAX >> 1),
        0..64u64,
        any::<u64>(),
        (0..64u64, 0..64u64).prop_map(|(low, high)| high << 32 | low),
        (0..64u64).prop_map(|bit| 1 << bit),
    ]
}
