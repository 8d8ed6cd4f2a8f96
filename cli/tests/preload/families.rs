//! The table of families, and what a user adds to it.

use crate::support::{Place, sites};
use std::path::PathBuf;
use std::process::{Command, Output};

/// A container that nobody catalogued, behind an allocator of its own that nobody knows.
const SOURCE: &str = r#"
#include <cstdlib>
#include <cstring>
extern "C" __attribute__((noinline)) void *arena_get(size_t bytes) {
    void *got = std::malloc(bytes);
    asm volatile("" ::: "memory");
    return got;
}
extern "C" __attribute__((noinline)) void *ring_grow(void *old, size_t bytes) {
    char *larger = static_cast<char *>(arena_get(bytes * 2));
    std::memset(larger, 1, bytes * 2);
    std::free(old);
    asm volatile("" ::: "memory");
    return larger;
}
__attribute__((noinline)) void *fill_ring() {
    void *ring = arena_get(4096);
    for (size_t bytes = 4096; bytes < 65536; bytes *= 2) ring = ring_grow(ring, bytes);
    asm volatile("" ::: "memory");
    return ring;
}
int main() { return fill_ring() == nullptr; }
"#;

const TABLE: &str = "\
# The rings of our program.
family our_ring
    container vector
    table ring_grow
    resize ring_grow
plumbing arena_get
";

fn ring(place: &Place) -> PathBuf {
    let (source, program) = (place.path("ring.cpp"), place.path("ring.out"));
    std::fs::write(&source, SOURCE).unwrap();
    let compiled = Command::new("g++")
        .args(["-O2", "-g", "-o"])
        .args([&program, &source])
        .status();
    assert!(compiled.expect("g++ is needed").success());
    program
}

fn with_table(place: &Place, text: &str) -> PathBuf {
    let table = place.path("families.txt");
    std::fs::write(&table, text).unwrap();
    table
}

#[test]
fn a_users_family_is_known_by_its_functions() {
    let place = Place::new();
    let (program, table) = (ring(&place), with_table(&place, TABLE));
    let report = place.path("report.json");
    let output = place
        .mapgrow()
        .env("MAPGROW_FAMILIES", &table)
        .args(["run", "--exact", "--json", "--report"])
        .arg(&report)
        .arg("--")
        .arg(&program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let found = sites(&report, "fill_ring").find(|site| site["family"] == "our_ring");
    let site = found.expect("the user's family");
    assert_eq!(site["known_by"], "symbol");
    assert_eq!((&site["grows"], &site["allocs"]), (&4.into(), &4.into()));
    assert_eq!(site["overlap_peak_bytes"], 32768 + 65536);
}

fn families(place: &Place, table: Option<&PathBuf>) -> Output {
    let mut command = place.mapgrow();
    if let Some(table) = table {
        command.env("MAPGROW_FAMILIES", table);
    }
    command.arg("families").output().unwrap()
}

/// What the command prints can be handed back to it.
#[test]
fn the_table_is_printed_as_it_is_read() {
    let place = Place::new();
    let printed = families(&place, None);
    let text = String::from_utf8(printed.stdout).unwrap();
    for line in [
        "family redis_dict",
        "    resize _dictExpand",
        "    moves step by step",
        "plumbing zmalloc*",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}");
    }
    let table = with_table(&place, &text);
    assert_eq!(families(&place, Some(&table)).status.code(), Some(0));
}

#[test]
fn a_table_that_is_not_understood_is_refused_with_its_line() {
    let place = Place::new();
    let table = with_table(&place, "family mine\n    container heap\n");
    for table in [table, place.path("nowhere.txt")] {
        let output = families(&place, Some(&table));
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(table.to_str().unwrap()), "{stderr}");
        assert_eq!(stderr.contains("line 2"), table.exists(), "{stderr}");
    }
}
