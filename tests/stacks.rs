//! Stacks that are easily taken for one another are told apart, each time.

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use support::{Scratch, array, command, example, number, report, run, text};

/// `CAPTURES=100000000` for the long run.
fn captures() -> String {
    std::env::var("CAPTURES").unwrap_or_else(|_| "1000000".into())
}

/// The functions of the program on a stack, outermost first, as the program names them.
fn path(site: &Value) -> String {
    let functions = array(site, "stack").iter().rev().filter_map(|frame| {
        let name = text(frame, "function").rsplit("::").next()?;
        (name.starts_with("frame_") || name.starts_with("on_a") || name == "on_the_main_stack")
            .then_some(name)
    });
    functions.collect::<Vec<&str>>().join(" ")
}

/// Counts by stack, the program's own against those of the report.
fn compare(profile: &str, mode: &str) {
    let scratch = Scratch::new(&format!("stacks-{profile}-{mode}"));
    let program = example("victim_stacks", profile);
    let output = run(command(&program, &scratch)
        .env("MAPGROW", mode)
        .arg(captures()));
    let mut differences: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    let stdout = String::from_utf8_lossy(&output.stdout);
    for line in stdout.lines() {
        let (path, count) = line.rsplit_once(' ').expect("a path and a count");
        differences.entry(path.into()).or_default()[0] = count.parse().expect("a count");
    }
    assert!(differences.len() > 2000, "{} stacks", differences.len());
    let report = report(&scratch.path("out.mapgrow"));
    for site in array(&report, "sites") {
        let path = path(site);
        if path.contains("frame_") {
            differences.entry(path).or_default()[1] += number(site, "allocs");
        }
    }
    differences.retain(|_, [truth, reported]| truth != reported);
    let count = differences.len();
    let some: Vec<_> = differences.into_iter().take(10).collect();
    assert_eq!(
        count, 0,
        "stacks with other counts than the program's own: {some:#?}"
    );
    let honesty = &report["honesty"];
    assert_eq!(number(honesty, "memo_mismatches"), 0, "{honesty:#}");
    assert!(number(honesty, "memo_checks") > 0, "{honesty:#}");
    assert_eq!(number(honesty, "sites_folded"), 0, "{honesty:#}");
}

#[test]
fn stacks_are_told_apart_in_release() {
    compare("release", "exact");
}

#[test]
fn stacks_are_told_apart_in_fat_lto_default_mode() {
    compare("fat", "on");
}
