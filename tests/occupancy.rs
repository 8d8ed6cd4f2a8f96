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

/// Nothing is said of what nobody had the time to read, and all of it is counted.
#[test]
fn what_was_left_over_is_counted() {
    let scratch = Scratch::new("occupancy-no-time");
    let program = example("victim_occupancy", "release");
    run(command(&program, &scratch)
        .env("MAPGROW", "exact")
        .env("MAPGROW_READ_TIME", "0ms")
        .arg(scratch.path("truth.tsv")));
    let report = report(&scratch.path("out.mapgrow"));
    let maps = array(&report, "maps");
    assert!(maps.len() > 1_000, "{} maps", maps.len());
    assert!(maps.iter().all(|map| map["entries"].is_null()));
    let left_over = number(&report["honesty"], "tables_not_read");
    assert!(left_over >= maps.len() as u64, "{left_over} left over");
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

#[test]
fn an_emptied_map_is_on_the_first_screen() {
    let scratch = Scratch::new("occupancy-emptied");
    let program = example("victim_emptied", "release");
    run(&mut command(&program, &scratch));
    let dump = scratch.path("out.mapgrow");
    let report = report(&dump);
    let map = &array(&report, "maps")[0];
    assert_eq!(number(map, "entries"), 100_000);
    assert_eq!(number(map, "buckets"), 1 << 24);
    // 2^17 buckets are enough for what is left.
    let table = |buckets: u64| buckets * 17 + 16;
    let kept = table(1 << 24) - table(1 << 17);
    assert_eq!(number(map, "retained_bytes"), kept);
    let output = run(std::process::Command::new(support::cli())
        .arg("report")
        .arg(&dump));
    let text = String::from_utf8(output.stdout).expect("text");
    let screen: Vec<&str> = text.lines().take(24).collect();
    println!("{}", screen.join("\n"));
    let screen = screen.join(" ");
    let source = include_str!("victims/emptied.rs");
    let inserts = source.lines().position(|line| line.contains("insert("));
    let place = format!(
        "tests/victims/emptied.rs:{}",
        inserts.expect("it inserts") + 1
    );
    for said in [&place, "keeps 270 MiB", "100,000 entries"] {
        assert!(screen.contains(said), "{said} is not in: {screen}");
    }
}

/// Eight threads insert, delete and drop maps while others read them: no figure is impossible.
#[test]
fn turmoil() {
    let scratch = Scratch::new("occupancy-turmoil");
    let program = example("victim_turmoil", "release");
    let seconds = std::env::var("MAPGROW_TURMOIL_SECONDS").unwrap_or("5".to_owned());
    let snapshots = std::env::var("MAPGROW_TURMOIL_SNAPSHOTS").unwrap_or("10".to_owned());
    // Built before the program starts: it does not wait.
    support::cli();
    let mut child = command(&program, &scratch)
        .env("MAPGROW_FLOOR", "256")
        .args([&seconds, &snapshots])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut outside = 0;
    while child.try_wait().expect("it can be waited for").is_none() {
        let output = std::process::Command::new(support::cli())
            .env("MAPGROW_DIR", scratch.recordings())
            .args(["report", &child.id().to_string(), "--json"])
            .output()
            .expect("the command starts");
        // The program may not have begun to record yet, or just have ended.
        if !output.status.success() {
            std::thread::sleep(std::time::Duration::from_millis(50));
            continue;
        }
        let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
        for map in array(&report, "maps") {
            if let Some(entries) = map["entries"].as_u64() {
                outside += 1;
                let capacity = map["capacity"].as_u64().unwrap_or(u64::MAX);
                let taken = entries + number(map, "tombstones");
                assert!(taken <= capacity, "{map}");
            }
        }
    }
    let output = child.wait_with_output().expect("it ended");
    assert!(output.status.success(), "the program failed");
    println!("{outside} tables read from outside");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(outside > 100);
}
