//! What a process leaves behind, however it ends.

mod support;

use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use support::{Scratch, array, cli, command, example, number, report, text};

fn end(way: &str, scratch: &Scratch) -> Output {
    let program = example("victim_ends", "dev");
    command(&program, scratch)
        .arg(way)
        .output()
        .expect("the program starts")
}

/// The one site of the program's map.
fn map_site(report: &Value) -> &Value {
    array(report, "sites")
        .iter()
        .filter(|site| {
            text(&site["caller"], "function").contains("fill_the_map")
                && site["family"] == "hashbrown"
        })
        // The threads that go on running fill smaller maps from another stack.
        .max_by_key(|site| number(site, "largest_table_bytes"))
        .unwrap_or_else(|| panic!("no site in fill_the_map among {:#}", report["sites"]))
}

/// 100 000 entries of 16 bytes: 4 buckets doubled up to 131 072.
const TABLE: u64 = 131_072 * 17 + 16;

#[test]
fn a_dump_follows_every_orderly_end() {
    for (way, status) in [
        ("return", 0),
        ("exit", 3),
        ("exit-in-thread", 4),
        ("threads-running", 0),
        ("threads-running-exit", 5),
        ("panic", 101),
    ] {
        let scratch = Scratch::new(&format!("ends-{way}"));
        let output = end(way, &scratch);
        assert_eq!(output.status.code(), Some(status), "{way}: {output:?}");
        assert_eq!(output.stdout, b"sum 333328333350000\n", "{way}");
        let dump = scratch.path("out.mapgrow");
        let mode = dump
            .metadata()
            .unwrap_or_else(|e| panic!("{way}: no dump: {e}"))
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{way}");
        let report = report(&dump);
        assert_eq!(report["process"]["dump_reason"], "exit", "{way}");
        let site = map_site(&report);
        assert!(
            number(site, "largest_table_bytes") >= TABLE,
            "{way}: {site:#}"
        );
        if !way.starts_with("threads") {
            assert_eq!(number(site, "largest_table_bytes"), TABLE, "{way}");
            // The map outlives everything but a return or a panic, which drop it.
            let live = if way.starts_with("exit") { TABLE } else { 0 };
            assert_eq!(number(site, "live_bytes"), live, "{way}");
        }
        let left = Scratch::list(&scratch.recordings());
        assert!(
            left.is_empty(),
            "{way} leaves a recording beside its dump: {left:?}"
        );
    }
}

/// Nothing runs after `abort`: the recording itself is what remains.
#[test]
fn the_recording_outlives_an_abort() {
    let scratch = Scratch::new("ends-abort");
    let output = end("abort", &scratch);
    assert!(!output.status.success());
    assert!(!scratch.path("out.mapgrow").exists());
    let left = Scratch::list(&scratch.recordings());
    assert_eq!(left.len(), 1, "{left:?}");
    let report = report(&scratch.recordings().join(&left[0]));
    assert_eq!(report["process"]["state"], "killed");
    assert_eq!(number(map_site(&report), "live_bytes"), TABLE);
}

#[test]
fn a_process_without_tables_leaves_no_file() {
    let scratch = Scratch::new("idle");
    let program = example("victim_idle", "dev");
    let output = command(&program, &scratch).output().expect("it starts");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stderr, b"");
    assert!(!scratch.path("out.mapgrow").exists());
    assert_eq!(Scratch::list(&scratch.recordings()), [""; 0]);
}

#[test]
fn off_leaves_no_file() {
    let scratch = Scratch::new("off");
    let program = example("victim_ends", "dev");
    let output = support::run(
        command(&program, &scratch)
            .arg("return")
            .env("MAPGROW", "off"),
    );
    assert_eq!(output.stdout, b"sum 333328333350000\n");
    assert_eq!(output.stderr, b"");
    assert!(!scratch.path("out.mapgrow").exists());
    assert_eq!(Scratch::list(&scratch.recordings()), [""; 0]);
}

#[test]
fn nothing_is_dumped_when_no_dump_is_wanted() {
    let scratch = Scratch::new("none");
    let program = example("victim_ends", "dev");
    let output = support::run(
        command(&program, &scratch)
            .arg("return")
            .env("MAPGROW_AT_EXIT", "none"),
    );
    assert_eq!(output.stderr, b"");
    assert!(!scratch.path("out.mapgrow").exists());
}

#[test]
fn the_report_at_exit_names_the_map() {
    let scratch = Scratch::new("at-exit");
    let program = example("victim_ends", "dev");
    let output = support::run(
        command(&program, &scratch)
            .arg("return")
            .env("MAPGROW_AT_EXIT", "report"),
    );
    assert_eq!(output.stdout, b"sum 333328333350000\n");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(report.contains("fill_the_map"), "{report}");
    assert!(report.contains("ends.rs:"), "{report}");
}

/// Without `MAPGROW_OUT` the dump goes to the user's state directory, and `mapgrow report`
/// without a file opens it.
#[test]
fn the_latest_dump_is_found_without_a_name() {
    let scratch = Scratch::new("latest");
    let program = example("victim_ends", "dev");
    support::run(
        command(&program, &scratch)
            .arg("return")
            .env_remove("MAPGROW_OUT"),
    );
    let here = Scratch::list(Path::new("."));
    assert!(
        !here.iter().any(|name| name.ends_with(".mapgrow")),
        "{here:?}"
    );
    let output = support::run(
        Command::new(cli())
            .args(["report", "--json"])
            .env("XDG_STATE_HOME", scratch.path("state"))
            .env("MAPGROW_DIR", scratch.recordings()),
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    map_site(&report);
}

/// Whatever a program prints stays what it prints.
#[test]
fn output_is_the_same_in_every_mode() {
    let scratch = Scratch::new("output");
    for name in ["quickstart", "victim_owns_signal", "victim_churn"] {
        let program = example(name, "dev");
        let outputs = ["off", "on", "exact"].map(|mode| {
            let run = support::run(command(&program, &scratch).env("MAPGROW", mode));
            (run.stdout, run.stderr)
        });
        assert_eq!(
            outputs[0], outputs[1],
            "{name}: default mode changes its output"
        );
        assert_eq!(
            outputs[0], outputs[2],
            "{name}: exact mode changes its output"
        );
    }
}

/// Maps outlive the thread that filled them; slots of threads are handed on.
#[test]
fn maps_of_short_threads_are_all_counted() {
    let scratch = Scratch::new("churn");
    let program = example("victim_churn", "dev");
    support::run(command(&program, &scratch).env("MAPGROW", "exact"));
    let report = report(&scratch.path("out.mapgrow"));
    let sites: Vec<&Value> = array(&report, "sites")
        .iter()
        .filter(|s| text(&s["caller"], "function").contains("map_of_a_short_thread"))
        .filter(|s| s["family"] == "hashbrown")
        .collect();
    let sum = |field: &str| -> u64 { sites.iter().map(|s| number(s, field)).sum() };
    // 200 entries: tables of 4, 8, 16, 32, 64, 128 and 256 buckets.
    assert_eq!(sum("maps_created"), 4000);
    assert_eq!(sum("grows"), 4000 * 6);
    assert_eq!(sum("maps_dropped"), 4000);
    assert_eq!(sum("live_bytes"), 0);
    let tables: u64 = (2..=8).map(|log2| (17 << log2) + 16).sum();
    assert_eq!(sum("allocated_bytes"), 4000 * tables);
    assert_eq!(number(&report["honesty"], "threads_folded"), 0);
    assert_eq!(number(&report["honesty"], "memo_mismatches"), 0);
}
