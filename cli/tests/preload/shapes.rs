//! Twelve programs with accounts of their own: what is asked first of a report is right, and the
//! cure that it names saves what was promised.

use std::path::Path;
use std::process::Command;

use crate::support::Place;

#[test]
fn the_first_block_is_the_map_and_its_cure_is_one() {
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/shapes/run.py");
    // The home stays the user's: the compilers may live there.
    let output = Command::new("python3")
        .env("XDG_STATE_HOME", place.path("state"))
        .env("XDG_CACHE_HOME", place.path("cache"))
        .env("MAPGROW_BUDGET", "0")
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_mapgrow"))
        .output()
        .expect("python3 starts");
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    assert_eq!(told.matches(" right").count(), 12, "{told}");
}
