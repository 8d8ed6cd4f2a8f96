//! Every figure of the report against the truth, in every kind of build.
//!
//! The truth program (`tests/victims/truth`) counts underneath the recorder; here its figures
//! and those of `mapgrow report --json` are laid side by side. They have to be equal, not close.

#[path = "support/books.rs"]
mod books;
#[path = "support/deviations.rs"]
mod deviations;
mod support;

use books::{Books, Table};
use serde_json::Value;
use std::sync::Mutex;
use support::{Scratch, array, command, example, report, run};

/// One truth program at a time: pauses are measured.
static TURN: Mutex<()> = Mutex::new(());

struct Run {
    truth: Value,
    report: Value,
}

fn run_truth(profile: &str, mode: &str, entries: u64) -> Run {
    let program = example("truth", profile);
    support::cli();
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let scratch = Scratch::new(&format!("truth-{profile}-{mode}"));
    let truth_file = scratch.path("truth.json");
    run(command(&program, &scratch)
        .env("MAPGROW", mode)
        .arg(&truth_file)
        .arg(entries.to_string()));
    let text = std::fs::read(&truth_file).expect("the program wrote its truth");
    Run {
        truth: serde_json::from_slice(&text).expect("the truth is JSON"),
        report: report(&scratch.path("out.mapgrow")),
    }
}

/// Everything that `MAPGROW=exact` promises, in a build whose names are known.
fn exact(profile: &str, entries: u64) {
    let first = run_truth(profile, "exact", entries);
    let books = Books::new(&first.truth, &first.report);
    let mut table = Table::new();
    books.compare_figures(&mut table);
    books.compare_chains(&mut table);
    books.compare_totals(&mut table);
    table.assert_empty(profile);
    books.assert_honest();
    check_pauses(profile, first, entries);
}

/// A pause is a span on a machine that others use too: one that was cut apart between the two
/// clocks gets another chance, twice.
fn check_pauses(profile: &str, first: Run, entries: u64) {
    let mut run = first;
    for last in [false, false, true] {
        let mut table = Table::new();
        Books::new(&run.truth, &run.report).compare_pauses(&mut table);
        if table.is_empty() {
            return;
        }
        if last {
            table.assert_empty(profile);
        }
        run = run_truth(profile, "exact", entries);
    }
}

#[test]
fn exact_in_debug() {
    exact("dev", 1_000_000);
}

#[test]
fn exact_in_release() {
    exact("release", 3_000_000);
}

#[test]
fn exact_with_fat_lto_and_panic_abort() {
    exact("fat", 1_000_000);
}

/// Names are gone; the figures are not. Each shape is looked for by its bytes alone.
#[test]
fn exact_figures_without_names() {
    let run = run_truth("stripped", "exact", 1_000_000);
    let books = Books::new(&run.truth, &run.report);
    let mut table = Table::new();
    books.compare_sites_by_figures(&mut table);
    books.compare_totals(&mut table);
    table.assert_empty("stripped");
}

/// Tables at or above the floor are exact without `MAPGROW=exact`.
#[test]
fn default_mode_is_exact_above_the_floor() {
    let run = run_truth("release", "on", 1_000_000);
    let mut table = Table::new();
    Books::new(&run.truth, &run.report).compare_above_floor(&mut table);
    table.assert_empty("release, default mode");
}

/// What lies below the floor is estimated. Over 20 runs an estimate has to lie as far from the
/// truth as its stated standard error allows, and not to one side of it.
#[test]
fn estimates_keep_to_their_stated_error() {
    let mut deviations = Vec::new();
    let mut rows = Table::new();
    for seed in 0..20 {
        let run = run_truth("release", "on", 1_000_000);
        let books = Books::new(&run.truth, &run.report);
        books.estimates(seed, &mut deviations, &mut rows);
    }
    rows.assert_empty("release, default mode");
    deviations::assert_calibrated(&deviations);
}

/// The shapes are all there: a truth without them would agree with anything.
#[test]
fn the_truth_holds_what_it_should() {
    let run = run_truth("dev", "exact", 100_000);
    let shapes = array(&run.truth, "shapes");
    let sum = |field: &str| -> u64 { shapes.iter().map(|s| support::number(s, field)).sum() };
    assert!(shapes.len() >= 22, "{} shapes", shapes.len());
    for field in [
        "grows",
        "shrinks",
        "aborted",
        "drops",
        "rebuilds",
        "in_place",
        "live_bytes",
    ] {
        assert!(sum(field) > 0, "no {field} in any shape");
    }
}
