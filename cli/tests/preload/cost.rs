//! What a block costs that needs no record, counted in instructions: the same on every run.

use crate::support::{Place, library};
use std::process::Command;

/// Instructions that the entry points of the library may add to a pair of `malloc` and `free`,
/// the jumps to the program's own included.
const MOST: u64 = 17;

/// Instructions of a pair of `malloc` and `free`, and of what it takes to stop before and after.
fn instructions(command: &mut Command) -> u64 {
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.lines().next().unwrap_or("").parse();
    number.unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_pair_that_needs_no_record_costs_a_handful_of_instructions() {
    let place = Place::new();
    let victim = place.compile("pairs.cpp", &["-O2"]);
    let run = |mode: Option<&str>| {
        let mut command = Command::new(&victim);
        if let Some(mode) = mode {
            command = place.mapgrow();
            command.arg("run").arg("--").arg(&victim);
            command.env("MAPGROW", mode).env("MAPGROW_AT_EXIT", "none");
        }
        instructions(command.current_dir(place.work()))
    };
    let bare = run(None);
    for mode in ["on", "off"] {
        let with = run(Some(mode));
        assert!(
            with <= bare + MOST,
            "MAPGROW={mode}: {with} instructions, {bare} without"
        );
    }
    // What the count is worth: a pair that is recorded takes hundreds.
    let exact = run(Some("exact"));
    assert!(
        exact > bare + 10 * MOST,
        "{exact} instructions, {bare} without"
    );
}

/// Each library that is loaded for it takes address space of every program, which may be limited.
#[test]
fn the_library_needs_the_c_library_and_the_unwinder_alone() {
    let place = Place::new();
    let output = Command::new("readelf")
        .arg("-d")
        .arg(library(&place))
        .output()
        .expect("readelf runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut needed: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .collect();
    needed.sort_unstable();
    let expected = ["ld-linux-x86-64.so.2", "libc.so.6", "libgcc_s.so.1"];
    assert!(needed.contains(&"libc.so.6"), "{output:?}");
    assert!(
        needed.iter().all(|name| expected.contains(name)),
        "{needed:?}"
    );
}
