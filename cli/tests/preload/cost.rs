//! What a block costs that needs no record, counted in instructions: the same on every run.

use crate::support::Place;
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
