//! `mapgrow look --deep`: what values hold, against what the program's own allocator says of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::looking::{Waiting, rust_program};
use crate::place::{Place, json, printed};

/// What a program says of a map: bytes that its values alone hold, and bytes that others hold as well.
struct Truth {
    name: String,
    own: u64,
    shared: u64,
}

fn truth(said: &[String]) -> HashMap<u64, Truth> {
    let map = |line: &String| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| fields[at].parse().expect("a number");
        let header = fields[1].trim_start_matches("0x");
        let truth = Truth {
            name: fields[0].to_owned(),
            own: number(2),
            shared: number(3),
        };
        (u64::from_str_radix(header, 16).expect("hexadecimal"), truth)
    };
    said.iter().map(map).collect()
}

/// How figures that were estimated lie about the truth: how many of them within two standard errors.
#[derive(Default)]
struct Estimates {
    all: u32,
    near: u32,
}

fn check(look: &Value, truth: &HashMap<u64, Truth>, estimates: &mut Estimates) {
    let mut seen = 0;
    for map in look["maps"].as_array().expect("a list") {
        let copies = map["header_copies"].as_array().into_iter().flatten();
        let headers = std::iter::once(&map["header_address"]).chain(copies);
        let own = |header: u64| truth.get(&header).or_else(|| truth.get(&(header - 16)));
        let Some(truth) = headers.filter_map(Value::as_u64).find_map(own) else {
            continue;
        };
        seen += 1;
        let deep = &map["deep"];
        let number = |name: &str| {
            deep[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {map}"))
        };
        // What an allocator rounds up may hold old words, which lead to a block here and there.
        let near = |told: u64, wanted: u64| told.abs_diff(wanted) * 100 <= truth.own + truth.shared;
        assert!(
            near(number("shared_bytes"), truth.shared),
            "{}: {deep}",
            truth.name
        );
        if deep["complete"] == true {
            assert!(near(number("bytes"), truth.own), "{}: {deep}", truth.name);
            assert_eq!(number("error_bytes"), 0, "{map}");
            continue;
        }
        let (off, error) = (number("bytes").abs_diff(truth.own), number("error_bytes"));
        assert!(off <= 5 * error, "{}: {} and {deep}", truth.name, truth.own);
        assert!(error <= truth.own / 50, "{}: {deep}", truth.name);
        estimates.all += u32::from(truth.own > 0);
        estimates.near += u32::from(truth.own > 0 && off <= 2 * error);
    }
    assert_eq!(seen, truth.len());
}

fn library(name: &str) -> Option<PathBuf> {
    let folders = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/local/lib",
    ];
    let mut paths = folders.iter().map(|folder| Path::new(folder).join(name));
    paths.find(|path| path.exists())
}

#[test]
fn values_hold_what_the_allocator_gave_for_them() {
    let place = Place::new();
    let program = rust_program(&place, "deep", &["-O"]);
    let mut estimates = Estimates::default();
    // Each time memory lies elsewhere, and chance picks others.
    for _ in 0..4 {
        let program = Waiting::new(&program, &[]);
        let look = json(&place.run(&["look", "--deep", "--json", &program.pid()]));
        check(&look, &truth(&program.said), &mut estimates);
    }
    // One in twenty may be further away.
    assert!(estimates.all >= 6, "{}", estimates.all);
    assert!(
        estimates.near * 4 >= estimates.all * 3,
        "{} of {}",
        estimates.near,
        estimates.all
    );
}

#[test]
fn other_allocators_tell_the_same_or_nothing() {
    let place = Place::new();
    let path = rust_program(&place, "deep", &["-O"]);
    if let Some(jemalloc) = library("libjemalloc.so.2") {
        let program = Waiting::of(Command::new(&path).env("LD_PRELOAD", jemalloc));
        let look = json(&place.run(&["look", "--deep", "--json", &program.pid()]));
        check(&look, &truth(&program.said), &mut Estimates::default());
    }
    if let Some(mimalloc) = library("libmimalloc.so.2") {
        let program = Waiting::of(Command::new(&path).env("LD_PRELOAD", mimalloc));
        let look = json(&place.run(&["look", "--deep", "--json", &program.pid()]));
        let mut maps = look["maps"].as_array().expect("a list").iter();
        assert!(maps.all(|map| map["deep"].is_null()), "{look}");
        assert!(look["totals"]["deep"].is_null());
    }
    // What Python keeps its objects in is no block that anybody knows.
    let script = "import sys\nkept = {k: str(k) * 9 for k in range(5000)}\n\
        print('ready', flush=True)\nsys.stdin.read(1)\n";
    let program = Waiting::new(Path::new("python3"), &["-I", "-c", script]);
    let look = json(&place.run(&["look", "--deep", "--json", &program.pid()]));
    let mut maps = look["maps"].as_array().expect("a list").iter();
    assert!(maps.all(|map| map["deep"].is_null()), "{look}");
}

#[test]
fn what_values_hold_is_said_where_it_was_asked_for() {
    let place = Place::new();
    let program = Waiting::new(&rust_program(&place, "deep", &["-O"]), &[]);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let mut maps = look["maps"].as_array().expect("a list").iter();
    assert!(maps.all(|map| map["deep"].is_null()));
    let text = printed(&place.run(&["look", "--deep", "--width", "999", &program.pid()]));
    let lead = text.lines().next().expect("a line");
    assert!(
        lead.contains("whose values hold 37 MiB in blocks of their own"),
        "{lead}"
    );
    assert!(text.contains("1.5 MiB shared with other maps"), "{text}");
    assert!(text.contains("over 4 blocks at most"), "{text}");
    // Nothing of what is in them, and of where they lie.
    assert!(!text.contains("xxxx") && !text.contains("0x"), "{text}");
    let look = json(&place.run(&["look", "--deep", "--json", &program.pid()]));
    let groups = look["groups"].as_array().expect("a list").iter();
    let of_groups = groups.map(|group| group["deep"]["bytes"].as_u64());
    let sum: Option<u64> = of_groups.sum();
    assert_eq!(sum, look["totals"]["deep"]["bytes"].as_u64());
}
