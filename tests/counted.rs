//! Exact mode counts every block. What is no container has no line on the timeline; what grows has all
//! of them, from its first block on.

mod support;

use mapgrow::report::laws::{Outcome, verify};
use mapgrow::report::symbols::{Frame, Module, Symbolizer};
use serde_json::Value;
use support::{Scratch, command, example, report, run};

struct Nameless;

impl Symbolizer for Nameless {
    fn frames(&mut self, _: &Module, _: u64) -> Vec<Frame> {
        Vec::new()
    }
}

/// The report of one run, after all laws were seen to hold.
fn recorded(name: &str, settings: &[(&str, &str)]) -> Value {
    let program = example("victim_counted", "dev");
    let scratch = Scratch::new(name);
    let mut run_it = command(&program, &scratch);
    let output = run(run_it.envs(settings.iter().copied()));
    assert_eq!(output.stdout, b"131072 4096\n");
    let dump = scratch.path("out.mapgrow");
    let bytes = std::fs::read(&dump).expect("there is a dump");
    let recording = mapgrow_format::reader::Recording::parse(bytes).expect("it is whole");
    for finding in verify(&recording, &mut Nameless, None) {
        assert_ne!(finding.outcome, Outcome::Broken, "{finding:?}");
    }
    report(&dump)
}

fn site<'a>(report: &'a Value, function: &str) -> &'a Value {
    let sites = report["sites"].as_array().expect("a list");
    let is_there = |site: &&Value| {
        let name = site["caller"]["function"].as_str().unwrap_or("");
        name.ends_with(function)
    };
    sites.iter().find(is_there).expect("it is reported")
}

/// Events of a kind at a site.
fn events(report: &Value, site: &Value, kind: &str) -> Vec<u64> {
    let timeline = report["timeline"].as_array().expect("a list");
    let here = timeline
        .iter()
        .filter(|event| event["site"] == site["id"] && event["kind"] == kind);
    here.map(|event| event["new_bytes"].as_u64().unwrap_or(0))
        .collect()
}

#[test]
fn what_is_no_container_is_counted_and_what_grows_is_told() {
    let report = recorded("counted", &[("MAPGROW", "exact")]);
    let vectors = site(&report, "short_vector");
    assert_eq!(
        (&vectors["allocs"], &vectors["frees"]),
        (&5000.into(), &5000.into())
    );
    assert_eq!(vectors["untold"]["blocks"], 5000);
    assert_eq!(vectors["untold"]["live_bytes"], 0);
    assert!(events(&report, vectors, "create").is_empty());
    assert!(events(&report, vectors, "drop").is_empty());
    // A vector's first block is told once it grows.
    let grown = site(&report, "grown_vector");
    assert_eq!(events(&report, grown, "create"), [32]);
    assert_eq!(grown["maps_live"], 1);
    assert_eq!(grown["live_bytes"], 131_072 * 8);
    let sizes: Vec<u64> = (6..=20).map(|log2| 1 << log2).collect();
    assert_eq!(events(&report, grown, "grow"), sizes);
    // Of the boxes 1,000 are left, whoever freed the others.
    let others = report["others"].as_array().expect("a list");
    let boxes = others.iter().find(|other| {
        let name = other["caller"]["function"].as_str().unwrap_or("");
        name.ends_with("boxed")
    });
    let boxes = boxes.expect("they hold most beside the containers");
    assert_eq!(boxes["live_bytes"], 40_000, "{boxes}");
}

#[test]
fn a_floor_of_nothing_tells_all() {
    let report = recorded("told", &[("MAPGROW", "exact"), ("MAPGROW_FLOOR", "0")]);
    let vectors = site(&report, "short_vector");
    assert_eq!(vectors["untold"], Value::Null);
    assert_eq!(events(&report, vectors, "create").len(), 5000);
}
