//! `check` with a file of rules, and reports of two builds merged: on composed recordings, and on
//! saved reports with other names in them.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::fleet::recording;
use crate::place::{Place, told};

/// Runs `check` on a recording of four resizes with these rules.
fn check(place: &Place, rules: &str, more: &[&str]) -> Output {
    let dump = place.write("app.mapgrow", &recording(1, 16_384));
    let rules = place.write("rules.toml", rules.as_bytes());
    let mut arguments = vec!["check", text(&dump), "--rules", text(&rules)];
    arguments.extend(more);
    place.run(&arguments)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn output(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_file_of_rules_gates_as_the_options_do() {
    let place = Place::new();
    let held = check(
        &place,
        "[[rule]]\nmax-resizes = 4\nmax-live = \"1MiB\"\n",
        &[],
    );
    assert_eq!(held.status.code(), Some(0), "{}", output(&held));
    let failed = check(&place, "[[rule]]\nsite = \"*\"\nmax-resizes = 3\n", &[]);
    assert_eq!(failed.status.code(), Some(1), "{}", output(&failed));
    assert!(output(&failed).contains("4 resizes, more than 3"));
    // What the options add counts beside what the file says.
    let both = check(
        &place,
        "[[rule]]\nmax-resizes = 4\n",
        &["--max-live", "1KiB"],
    );
    assert_eq!(both.status.code(), Some(1), "{}", output(&both));
}

#[test]
fn a_baseline_lies_beside_its_rules() {
    let place = Place::new();
    place.write("before.mapgrow", &recording(1, 64));
    let rules = "[baseline]\nfile = \"before.mapgrow\"\nby = [\"live\"]\nmax-growth = \"10%\"\n";
    let grew = check(&place, rules, &[]);
    assert_eq!(grew.status.code(), Some(1), "{}", output(&grew));
    place.write("before.mapgrow", &recording(1, 16_384));
    let same = check(&place, rules, &[]);
    assert_eq!(same.status.code(), Some(0), "{}", output(&same));
}

#[test]
fn a_rule_whose_place_is_gone_fails_when_asked_to() {
    let place = Place::new();
    let rules = "[[rule]]\nsite = \"cache::put\"\nmax-resizes = 0\n";
    let told = check(&place, rules, &[]);
    assert_eq!(told.status.code(), Some(0), "{}", output(&told));
    assert!(output(&told).contains("cache::put"), "{}", output(&told));
    let by_option = check(&place, rules, &["--require-sites"]);
    assert_eq!(by_option.status.code(), Some(1), "{}", output(&by_option));
    let by_file = check(&place, &format!("require-sites = true\n{rules}"), &[]);
    assert_eq!(by_file.status.code(), Some(1), "{}", output(&by_file));
}

#[test]
fn rules_that_make_no_sense_get_a_sentence() {
    let place = Place::new();
    for (rules, says) in [
        ("[[rule]]\nmax-resizes = \"many\"\n", "max-resizes"),
        ("[[rule]]\nsite = \"x\"\n", "a rule without a bound"),
        ("[[rule]]\n\nmax-naps = 1\n", "line 3"),
        ("max-resizes = ", "line 1"),
    ] {
        let refused = check(&place, rules, &[]);
        assert_eq!(refused.status.code(), Some(2), "{rules}");
        assert!(told(&refused).contains(says), "{rules}: {}", told(&refused));
    }
}

/// A saved report whose only place is this function at this line.
fn build(place: &Place, name: &str, function: &str, line: u32) -> PathBuf {
    let dump = place.write("build.mapgrow", &recording(u64::from(line), 1024));
    let saved = place.run(&["report", text(&dump), "--json"]);
    let mut report: Value = serde_json::from_slice(&saved.stdout).expect("JSON");
    let site = &mut report["sites"][0];
    let caller = &mut site["caller"];
    caller["function"] = json!(function);
    caller["file"] = json!("src/cache.rs");
    caller["line"] = json!(line);
    for frame in site["stack"].as_array_mut().expect("a stack") {
        frame["function"] = json!(function);
        frame["file"] = json!("src/cache.rs");
        frame["line"] = json!(line);
    }
    place.write(name, report.to_string().as_bytes())
}

#[test]
fn a_place_of_two_builds_is_merged_into_one() {
    let place = Place::new();
    let old = build(&place, "old.json", "app::cache::put", 10);
    let new = build(&place, "new.json", "app::cache::put", 14);
    let other = build(&place, "other.json", "app::log::write", 14);
    let merged = |name: &str, second: &Path| -> Value {
        let out = place.path(name);
        let done = place.run(&["merge", text(&old), text(second), "-o", text(&out)]);
        assert_eq!(done.status.code(), Some(0), "{}", told(&done));
        serde_json::from_slice(&std::fs::read(out).expect("written")).expect("JSON")
    };
    let same = merged("same-place.json", &new);
    assert_eq!(same["sites"].as_array().expect("sites").len(), 1);
    assert_eq!(same["sites"][0]["resizes"], json!(8));
    let apart = merged("two-places.json", &other);
    assert_eq!(apart["sites"].as_array().expect("sites").len(), 2);
}
