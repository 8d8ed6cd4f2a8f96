//! Many processes at once: `merge`, `export`, and saved reports.

use std::fs;

use mapgrow_fixture::Program;
use mapgrow_format::layout::{edge, header};

use crate::place::{Place, json, printed, told};

/// A recording of one map that went through five sizes, the last of them `buckets` slots of 32
/// bytes.
pub fn recording(pid: u64, buckets: u64) -> Vec<u8> {
    let mut program = Program::new();
    program
        .recording
        .exe("/opt/app/bin/cache-server", &["cache-server"]);
    program.recording.set(header::PID, 1 << 32 | pid);
    program.recording.set(header::RECORDING_ID, 7000 + pid);
    program.recording.set(
        header::START_UNIX_NS,
        1_760_000_000_000_000_000 + pid * 1_000_000_000,
    );
    let site = program.recording.site(1, &[0x1000, 0x2000]);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 1, 0x1500);
    let mut block = program.alloc(site, buckets / 16 * 33 + 16, 16);
    for step in [8, 4, 2, 1] {
        program.now += 1_000_000;
        block = program.replace(block, edge, buckets / step * 33 + 16, 1_000 * pid);
    }
    program.keep(block, 0x7000_0000);
    program.build()
}

#[test]
fn a_merged_report_adds_what_can_be_added() {
    let place = Place::new();
    let a = place.write("a.mapgrow", &recording(1, 1024));
    let b = place.write("b.mapgrow", &recording(2, 4096));
    let out = place.path("both.json");
    let labelled = format!("web-2={}", b.display());
    let merged = place.run(&[
        "merge",
        a.to_str().expect("text"),
        &labelled,
        "-o",
        out.to_str().expect("text"),
    ]);
    printed(&merged);
    let both = json(&place.run(&["report", out.to_str().expect("text"), "--json"]));
    let parts =
        [a, b].map(|path| json(&place.run(&["report", path.to_str().expect("text"), "--json"])));
    let sum = |pointer: &str| -> u64 {
        let figure = |part: &serde_json::Value| part.pointer(pointer).and_then(|f| f.as_u64());
        parts.iter().map(|part| figure(part).expect("known")).sum()
    };
    for pointer in [
        "/totals/live_bytes",
        "/totals/peak_bytes",
        "/totals/resizes",
        "/totals/pause_total_ns",
        "/sites/0/live_bytes",
        "/sites/0/peak_live_bytes",
        "/sites/0/resizes",
        "/sites/0/allocated_bytes",
        "/sites/0/pause_ns/count",
        "/sites/0/pause_ns/total",
    ] {
        assert_eq!(
            both.pointer(pointer).and_then(|f| f.as_u64()),
            Some(sum(pointer)),
            "{pointer}"
        );
    }
    assert_eq!(both["sites"].as_array().map(Vec::len), Some(1));
    // The peaks may have come at different moments: the larger is certain.
    let larger = parts[1]["totals"]["peak_bytes"].as_u64().expect("known");
    let error = both["totals"]["peak_error_bytes"].as_u64().expect("known");
    assert_eq!(
        both["totals"]["peak_bytes"].as_u64().expect("known") - error,
        larger
    );
    assert_eq!(
        both["totals"]["overlap_peak_bytes"],
        parts[1]["totals"]["overlap_peak_bytes"]
    );
    assert_eq!(both["sites"][0]["pause_ns"]["p50"], serde_json::Value::Null);
    assert_eq!(both["maps"].as_array().map(Vec::len), Some(2));
    assert_ne!(both["maps"][0]["id"], both["maps"][1]["id"]);
    assert_eq!(both["members"][1]["label"], "web-2");
    // The second process began a second later.
    let last = both["timeline"]
        .as_array()
        .expect("events")
        .last()
        .expect("one")["t_ns"]
        .as_u64();
    assert!(last > Some(1_000_000_000), "{last:?}");
    let text = printed(&place.run(&["report", out.to_str().expect("text")]));
    assert!(text.contains("2 processes (peaks: web-2 "), "{text}");
}

#[test]
fn a_saved_report_reads_back_as_it_was() {
    let place = Place::new();
    let dump = place.write("a.mapgrow", &recording(1, 1024));
    let first = printed(&place.run(&["report", dump.to_str().expect("text"), "--json"]));
    let saved = place.write("a.json", first.as_bytes());
    let again = printed(&place.run(&["report", saved.to_str().expect("text"), "--json"]));
    assert_eq!(first, again);
    for (text, why) in [
        ("{", "EOF"),
        ("{\"format\":\"other\",\"version\":1}", "no report"),
        (
            "{\"format\":\"mapgrow-report\",\"version\":99}",
            "update mapgrow",
        ),
        (
            "{\"format\":\"mapgrow-report\",\"version\":1}",
            "missing field",
        ),
        (&"{\"a\":".repeat(100_000), "EOF"),
    ] {
        let path = place.write("broken.json", text.as_bytes());
        let told = told(&place.run(&["report", path.to_str().expect("text")]));
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn an_export_is_parquet() {
    let place = Place::new();
    let a = place.write("a.mapgrow", &recording(1, 1024));
    let out = place.path("fleet");
    let text = printed(&place.run(&[
        "export",
        a.to_str().expect("text"),
        "-o",
        out.to_str().expect("text"),
    ]));
    assert_eq!(text.lines().count(), 4);
    for path in text.lines() {
        let bytes = fs::read(path).expect("written");
        assert!(
            bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"),
            "{path}"
        );
    }
}

#[test]
fn a_process_counts_once() {
    let place = Place::new();
    let earlier = place.write("a.mapgrow", &recording(1, 1024));
    let later = place.write("b.mapgrow", &recording(1, 4096));
    let cut = place.write("cut.mapgrow", &recording(2, 1024)[..5000]);
    let text = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let out = text(&place.path("merged.json"));
    let again = text(&place.path("again.json"));

    let refused = told(&place.run(&["merge", &text(&earlier), &text(&cut), "-o", &out]));
    assert!(refused.contains("cut.mapgrow"), "{refused}");
    let merged = place.run(&[
        "merge",
        "--skip-unreadable",
        &text(&earlier),
        &text(&cut),
        &text(&later),
        "-o",
        &out,
    ]);
    let said = String::from_utf8_lossy(&merged.stderr);
    assert!(
        said.contains("skipped: ") && said.contains("is left out"),
        "{said}"
    );
    printed(&merged);
    let one = json(&place.run(&["report", &out, "--json"]));
    assert_eq!(one["members"].as_array().map(Vec::len), Some(1));

    let twice = told(&place.run(&["merge", &out, &text(&earlier), "-o", &again]));
    assert!(twice.contains("would count twice"), "{twice}");
}
