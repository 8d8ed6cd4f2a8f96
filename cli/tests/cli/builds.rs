//! Comparing and gating builds of one program: `diff` and `check` on a generated program of 200
//! places, of which the second build has 20 moved and 10 changed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, json, printed};

const SITES: usize = 200;
const MODULES: usize = 10;
const TYPES: [&str; 5] = ["u8", "u64", "[u64; 2]", "[u64; 3]", "[u64; 4]"];

/// What the second build did to a place.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// Only its lines moved, with what was added above.
    Stayed,
    /// Its function is in another module now.
    Moved,
    /// Another name and another type.
    Rewritten,
    /// Another type in the same function.
    Retyped,
    /// The growth happens in a new helper.
    Extracted,
}

fn fate(site: usize) -> Fate {
    match site {
        _ if site % 10 == 3 => Fate::Moved,
        _ if site % 20 == 7 => [Fate::Rewritten, Fate::Retyped, Fate::Extracted][site / 20 % 3],
        _ => Fate::Stayed,
    }
}

/// The program: each place fills a map; `entries` is how far that of place 0 goes.
fn source(second: bool, entries: u64) -> String {
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for site in 0..SITES {
        let fate = if second { fate(site) } else { Fate::Stayed };
        let home = format!("part_{}", site % MODULES);
        let module = if fate == Fate::Moved {
            "moved_here".to_owned()
        } else {
            home.clone()
        };
        let kind = match fate {
            Fate::Rewritten | Fate::Retyped => TYPES[(site + 1) % TYPES.len()],
            _ => TYPES[site % TYPES.len()],
        };
        let text = modules.entry(module.clone()).or_default();
        if second && text.is_empty() {
            text.push_str("\n\n// Lines that were not here before.\n");
        }
        let fill = "    for n in 0..count {\n        map.insert(n, Default::default());\n    }\n";
        let head =
            format!("(count: u64) -> HashMap<u64, {kind}> {{\n    let mut map = HashMap::new();\n");
        let name = format!("place_{site:03}");
        let _ = match fate {
            Fate::Extracted => write!(
                text,
                "#[inline(never)]\nfn fill_{name}(map: &mut HashMap<u64, {kind}>, count: u64) {{\n\
                 {fill}}}\n#[inline(never)]\npub fn {name}{head}    fill_{name}(&mut map, count);\n    map\n}}\n"
            ),
            Fate::Rewritten => write!(
                text,
                "#[inline(never)]\npub fn new_{name}{head}{fill}    map\n}}\n"
            ),
            _ => write!(
                text,
                "#[inline(never)]\npub fn {name}{head}{fill}    map\n}}\n"
            ),
        };
    }
    let mut program = String::new();
    for (name, text) in &modules {
        let _ = write!(
            program,
            "pub mod {name} {{\nuse std::collections::HashMap;\n{text}}}\n"
        );
    }
    program.push_str("fn main() {\n    let mut kept: Vec<Box<dyn std::any::Any>> = Vec::new();\n");
    for site in 0..SITES {
        let fate = if second { fate(site) } else { Fate::Stayed };
        let module = match fate {
            Fate::Moved => "moved_here".to_owned(),
            _ => format!("part_{}", site % MODULES),
        };
        let new = if fate == Fate::Rewritten { "new_" } else { "" };
        let count = if site == 0 { entries } else { 1000 };
        let _ = writeln!(
            program,
            "    kept.push(Box::new({module}::{new}place_{site:03}({count})));"
        );
    }
    program.push_str("    println!(\"{}\", kept.len());\n}\n");
    program
}

/// Builds a program, runs it under the preload library, and saves its report.
fn saved(place: &Place, name: &str, source: &str) -> PathBuf {
    let path = place.write(&format!("{name}.rs"), source.as_bytes());
    let binary = place.path("app");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args([
            "--edition",
            "2024",
            "-C",
            "debuginfo=line-tables-only",
            "-o",
        ])
        .arg(&binary)
        .arg(&path)
        .output()
        .expect("rustc runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let dump = place.path(&format!("{name}.mapgrow"));
    let ran = place.run(&[
        "run",
        "--quiet",
        "-o",
        path_text(&dump),
        "--",
        path_text(&binary),
    ]);
    assert!(ran.status.success(), "{ran:?}");
    let report = place.run(&["report", "--json", path_text(&dump)]);
    let saved = place.path(&format!("{name}.json"));
    fs::write(&saved, printed(&report)).expect("written");
    saved
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The number of the place that a side of a comparison stands for.
fn number(side: &Value) -> Option<usize> {
    let function = side["caller"]["function"].as_str()?;
    let (_, after) = function.split_once("place_")?;
    after[..3].parse().ok()
}

#[test]
fn places_are_matched_across_builds_and_gated() {
    let place = Place::new();
    let old = saved(&place, "old", &source(false, 1000));
    let new = saved(&place, "new", &source(true, 1000));
    let diff = json(&place.run(&["diff", path_text(&old), path_text(&new), "--json"]));
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    let mut alone = Vec::new();
    for site in diff["sites"].as_array().expect("sites") {
        match (number(&site["old"]), number(&site["new"])) {
            (Some(old), Some(new)) => assert_eq!(found.insert(old, new), None),
            (Some(one), None) | (None, Some(one)) => alone.push(one),
            // The vector that keeps them.
            (None, None) => {}
        }
    }
    for site in 0..SITES {
        match fate(site) {
            Fate::Stayed | Fate::Moved => assert_eq!(found.get(&site), Some(&site), "{site}"),
            // Whatever becomes of these, none is taken for another's.
            _ => assert!(found.get(&site).is_none_or(|to| *to == site), "{site}"),
        }
    }
    let changed = (0..SITES).filter(|site| !matches!(fate(*site), Fate::Stayed | Fate::Moved));
    assert_eq!(changed.count(), 10);
    assert_eq!(
        (0..SITES).filter(|site| fate(*site) == Fate::Moved).count(),
        20
    );
    assert!(
        alone.iter().all(|site| !found.contains_key(site)),
        "{alone:?}"
    );

    // A map that grows four times as far is what a gate is for.
    let worse = saved(&place, "worse", &source(true, 4000));
    let gate = |report: &Path, more: &[&str]| {
        let mut arguments = vec!["check", path_text(report)];
        arguments.extend(more);
        place.run(&arguments)
    };
    let against = ["--baseline", path_text(&new)];
    let fine = gate(
        &new,
        &["--max-resizes", "place_000=7", "--max-pause", "10s"],
    );
    assert!(
        printed(&fine).contains("All gates held: 2 checked"),
        "{fine:?}"
    );
    let failed = gate(&worse, &["--max-resizes", "place_000=7"]);
    let text = String::from_utf8_lossy(&failed.stdout);
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(
        text.contains("FAILED") && text.contains("with_capacity"),
        "{text}"
    );
    assert_eq!(gate(&new, &against).status.code(), Some(0));
    let failed = gate(&worse, &[&against[..], &["--json"]].concat());
    assert_eq!(failed.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&failed.stdout).expect("JSON");
    let findings = document["findings"].as_array().expect("findings").iter();
    let broken: Vec<&Value> = findings.filter(|one| one["outcome"] == "broken").collect();
    assert!(!broken.is_empty());
    for finding in broken {
        assert_eq!(number(finding), Some(0), "{finding}");
    }
    let grown = place.run(&[
        "diff",
        path_text(&new),
        path_text(&worse),
        "--max-growth",
        "50%",
    ]);
    assert_eq!(grown.status.code(), Some(1));
    let text = String::from_utf8_lossy(&grown.stdout);
    let told = "FAILED    --max-growth 50%: 1 place grew by more.";
    assert!(text.contains(told), "{text}");
    let grown = place.run(&[
        "diff",
        path_text(&new),
        path_text(&worse),
        "--max-growth",
        "50%",
        "--json",
    ]);
    let bound = &serde_json::from_slice::<Value>(&grown.stdout).expect("JSON")["max_growth"];
    assert_eq!(
        (&bound["held"], &bound["grew"]),
        (&Value::Bool(false), &Value::from(1))
    );
    let same = place.run(&[
        "diff",
        path_text(&new),
        path_text(&new),
        "--max-growth",
        "50%",
    ]);
    let text = printed(&same);
    assert!(text.contains("0 grew and 0 shrank. None are new"), "{text}");
    assert!(text.contains("held      --max-growth 50%"), "{text}");
}
