//! What the report says is in live maps, against what the maps say of themselves.

mod support;

use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use support::{Scratch, array, command, example, number, report, run};

/// What a map said of itself.
struct Truth {
    bytes: u64,
    entries: u64,
    buckets: u64,
    capacity: u64,
    tombstones: u64,
    element: u64,
    state: String,
}

fn truths(file: &Path) -> HashMap<u64, Truth> {
    let text = std::fs::read_to_string(file).expect("the program wrote its truth");
    let truth = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |at: usize| fields[at].parse::<u64>().expect("a number");
        let (bytes, element, align) = (field(1), field(4), field(5).max(16));
        // The only power of two that makes a table of this element as long as the block.
        let buckets = (2..40)
            .map(|log2| 1_u64 << log2)
            .find(|b| (b * element).div_ceil(align) * align + b + 16 == bytes)
            .expect("the block is a table");
        let capacity = if buckets < 8 {
            buckets - 1
        } else {
            buckets / 8 * 7
        };
        let truth = Truth {
            bytes,
            entries: field(2),
            buckets,
            capacity,
            tombstones: capacity - field(3),
            element,
            state: fields[6].to_owned(),
        };
        (field(0), truth)
    };
    text.lines().map(truth).collect()
}

/// Every map of the program, in the report: all that is known is right, and hardly anything is
/// not known.
fn compare(truths: &HashMap<u64, Truth>, report: &Value) {
    let maps: HashMap<u64, &Value> = array(report, "maps")
        .iter()
        .map(|map| (number(map, "address"), map))
        .collect();
    assert!(truths.len() > 1_000, "{} maps", truths.len());
    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    for (address, truth) in truths {
        let Some(map) = maps.get(address) else {
            unknown.push(format!("{}: not in the report", truth.state));
            continue;
        };
        let mut check = |field: &str, right: u64| match map[field].as_u64() {
            Some(said) if said == right => {}
            Some(said) => wrong.push(format!(
                "{} at {address:#x}, {} buckets of {}: {field} is {right}, not {said}",
                truth.state, truth.buckets, truth.element
            )),
            None => unknown.push(format!(
                "{field} of a {} map of {} buckets of {} bytes",
                truth.state, truth.buckets, truth.element
            )),
        };
        check("bytes", truth.bytes);
        check("entries", truth.entries);
        check("tombstones", truth.tombstones);
        check("buckets", truth.buckets);
        check("capacity", truth.capacity);
        check("element_bytes", truth.element);
    }
    println!(
        "{} maps: {} figures wrong, {} not known",
        truths.len(),
        wrong.len(),
        unknown.len()
    );
    unknown
        .iter()
        .take(20)
        .for_each(|what| println!("not known: {what}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unknown.len() * 100 < truths.len(), "{}", unknown.join("\n"));
}

#[test]
fn every_map_at_exit() {
    let scratch = Scratch::new("occupancy-exit");
    let truth = scratch.path("truth.tsv");
    let program = example("victim_occupancy", "release");
    run(command(&program, &scratch)
        .env("MAPGROW", "exact")
        .arg(&truth));
    compare(&truths(&truth), &report(&scratch.path("out.mapgrow")));
}

#[test]
fn every_map_from_outside() {
    let scratch = Scratch::new("occupancy-outside");
    let truth = scratch.path("truth.tsv");
    let program = example("victim_occupancy", "release");
    let mut child = command(&program, &scratch)
        .env("MAPGROW", "exact")
        .args([truth.as_os_str(), "wait".as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut ready = [0];
    let stdout = child.stdout.as_mut().expect("a pipe");
    std::io::Read::read_exact(stdout, &mut ready).expect("the program gets ready");
    let output = run(std::process::Command::new(support::cli())
        .env("MAPGROW_DIR", scratch.recordings())
        .arg("report")
        .arg(child.id().to_string())
        .arg("--json"));
    drop(child.stdin.take());
    child.wait().expect("the program ends");
    let report = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    compare(&truths(&truth), &report);
}
