//! What the nodes of C++'s containers hold, and with `--deep` what their values do, against what the
//! program's own allocator says of them.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::looking::Waiting;
use crate::place::{Place, json, printed};

/// Whether the compiler is there, and every figure is the program's own.
fn nodes(compiler: &str, flags: &[&str]) -> bool {
    let place = Place::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = place.path("nodes");
    let compiled = Command::new(compiler)
        .args(flags)
        .args(["-O2", "-std=c++17", "-s", "-o"])
        .arg(&target)
        .arg(here.join("tests/fixtures/nodes.cpp"))
        .stderr(Stdio::null())
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        return false;
    }
    let program = Waiting::new(&target, &[]);
    let look = json(&place.run(&["look", "--deep", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    let mut all = 0;
    for line in &program.said {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let header = u64::from_str_radix(fields[1].trim_start_matches("0x"), 16);
        let header = header.expect("hexadecimal");
        let of = |map: &&Value| map["header_address"] == header;
        let map = maps.iter().find(of).unwrap_or_else(|| panic!("{line}"));
        let truth = |at: usize| fields[at].parse::<u64>().expect("a number");
        let told = map["node_bytes"].as_u64().expect("known");
        all += told;
        let deep = &map["deep"];
        let bytes = deep["bytes"].as_u64().expect("known");
        if fields[0] != "many" {
            assert_eq!(map["node_bytes_exact"], true, "{map}");
            assert_eq!(told, truth(2), "{line}: {map}");
            // What short strings leave unused may hold old words; those of libc++ do where others
            // have an address.
            let off = bytes.abs_diff(truth(3));
            let part = if compiler == "clang++" { 10 } else { 1000 };
            assert!(off * part <= truth(2) + truth(3), "{line}: {deep}");
            continue;
        }
        // Of so many a part is followed; their blocks are nearly all of one size.
        assert_eq!(map["node_bytes_exact"], false, "{map}");
        assert!(told.abs_diff(truth(2)) * 1000 < truth(2), "{line}: {told}");
        assert_eq!(deep["complete"], false, "{map}");
        let error = deep["error_bytes"].as_u64().expect("known");
        assert!(
            bytes.abs_diff(truth(3)) <= 5 * error + truth(3) / 50,
            "{line}: {deep}"
        );
        assert!(error * 50 <= truth(3), "{line}: {deep}");
    }
    assert_eq!(look["totals"]["node_bytes"], all);
    assert_eq!(maps.len(), program.said.len());
    let text = printed(&place.run(&["look", "--width", "999", &program.pid()]));
    let lead = text.lines().next().expect("a line");
    assert!(lead.contains(" and nodes of 23 MiB for "), "{lead}");
    assert!(
        text.contains("about 21 MiB, a block for each entry"),
        "{text}"
    );
    true
}

#[test]
fn nodes_of_libstdcxx_hold_what_the_allocator_gave_for_them() {
    assert!(nodes("g++", &[]), "g++ is needed");
}

#[test]
fn nodes_of_libcxx_hold_what_the_allocator_gave_for_them() {
    // Where there is no libc++, nothing is tried.
    nodes("clang++", &["-stdlib=libc++"]);
}

#[test]
fn other_maps_have_no_nodes() {
    let place = Place::new();
    let program = Waiting::new(&crate::looking::rust_program(&place, "owned", &["-O"]), &[]);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    assert!(look["totals"]["node_bytes"].is_null());
    let mut maps = look["maps"].as_array().expect("a list").iter();
    assert!(maps.all(|map| map["node_bytes"].is_null() && map["node_bytes_exact"].is_null()));
}
