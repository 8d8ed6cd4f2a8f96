//! What is in live tables of C++ and Python, by their memory alone.

use crate::support::Place;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn map(report: &Value, family: &str, buckets: u64) -> Value {
    let maps = report["maps"].as_array().unwrap();
    let found = maps
        .iter()
        .find(|map| map["family"] == family && map["buckets"].as_u64() == Some(buckets));
    found
        .unwrap_or_else(|| panic!("no {family} with {buckets} buckets: {maps:?}"))
        .clone()
}

#[test]
fn unordered_maps() {
    let place = Place::new();
    let program = place.compile("occupancy.cpp", &["-O2", "-g1"]);
    let (output, reports) = place.run(&[], &program, &[]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{told}");
    assert_eq!(told.lines().count(), 3);
    for line in told.lines() {
        let mut fields = line.split(' ');
        let name = fields.next().unwrap();
        let truth: Vec<u64> = fields.map(|field| field.parse().unwrap()).collect();
        let map = map(&reports[0], "libstdcxx_hashtable", truth[0]);
        assert_eq!(
            map["buckets_used"].as_u64(),
            Some(truth[1]),
            "{name}: {map}"
        );
        // Nothing leads from an empty table to its container.
        let entries = Some(truth[2]).filter(|&entries| entries > 0);
        assert_eq!(map["entries"].as_u64(), entries, "{name}: {map}");
    }
}

/// A Rust program on the system's allocator: `malloc` tells no alignment, the control bytes and the
/// name of the type tell the rest.
#[test]
fn maps_of_a_rust_program() {
    const SOURCE: &str = "
use std::collections::HashMap;
use std::hash::Hash;
fn fill<K: Hash + Eq, V>(all: u32, kept: u32, entry: impl Fn(u32) -> (K, V)) {
    let mut map: HashMap<K, V> = (0..all).map(&entry).collect();
    for n in kept..all {
        map.remove(&entry(n).0);
    }
    println!(\"{} {}\", std::mem::size_of::<(K, V)>(), map.len());
    std::mem::forget(map);
}
fn main() {
    fill(100_000, 1_000, |n| (u64::from(n), [n; 6]));
    fill(50_000, 50_000, |n| (n, n as u8));
    fill(3_000, 0, |n| (n as u16, n as u8));
    fill(20_000, 19_000, |n| (format!(\"key {n}\"), [u64::from(n); 2]));
}
";
    let place = Place::new();
    let (source, program) = (place.path("maps.rs"), place.path("maps.out"));
    std::fs::write(&source, SOURCE).unwrap();
    let compiled = Command::new("rustc")
        .args(["-O", "-C", "debuginfo=line-tables-only", "-o"])
        .args([&program, &source])
        .status();
    assert!(compiled.expect("rustc is needed").success());
    let (output, reports) = place.run(&[], &program, &[]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(told.lines().count(), 4, "{output:?}");
    let maps = reports[0]["maps"].as_array().unwrap();
    for line in told.lines() {
        let (element, entries) = line.split_once(' ').unwrap();
        let (element, entries): (u64, u64) = (element.parse().unwrap(), entries.parse().unwrap());
        let map = maps
            .iter()
            .find(|map| map["family"] == "hashbrown" && map["element_bytes"] == element)
            .unwrap_or_else(|| panic!("no map of {element} bytes an entry: {maps:?}"));
        assert_eq!(map["entries"], entries, "{map}");
        let bytes = map["bytes"].as_u64().unwrap();
        let table = |buckets: u64| (buckets * element).next_multiple_of(16) + buckets + 16;
        let needed = if entries == 0 {
            0
        } else {
            table((entries * 8 / 7).next_power_of_two())
        };
        assert_eq!(map["retained_bytes"], bytes - needed, "{map}");
        assert_eq!(bytes, table(map["buckets"].as_u64().unwrap()), "{map}");
    }
}

#[test]
fn python_dicts() {
    const PROGRAM: &str = "
import ctypes
kept = []
def fill(entries, deleted, text):
    d = {(str(i) if text else i): i for i in range(entries)}
    for i in range(deleted):
        del d[str(i) if text else i]
    # Alive when the interpreter has ended.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(d))
    print(len(d), deleted)
fill(200_000, 150_000, False)
fill(3_000, 1, True)
";
    let place = Place::new();
    let (output, reports) = place.run(&[], Path::new("python3"), &["-c", PROGRAM]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{told}");
    assert_eq!(told.lines().count(), 2, "{output:?}");
    let maps: Vec<Value> = reports
        .iter()
        .flat_map(|report| report["maps"].as_array().unwrap().clone())
        .collect();
    for line in told.lines() {
        let (entries, deleted) = line.split_once(' ').unwrap();
        let said =
            |map: &Value, field: &str, truth: &str| map[field].as_u64() == truth.parse().ok();
        let found = maps.iter().find(|map| {
            map["family"] == "cpython_dict"
                && said(map, "entries", entries)
                && said(map, "tombstones", deleted)
        });
        let map = found.unwrap_or_else(|| panic!("no dict of {entries} entries: {maps:?}"));
        assert!(map["capacity"].as_u64() >= map["entries"].as_u64(), "{map}");
    }
}

/// C's `free` does not say how much it frees: what is live is estimated from samples then, and must
/// lie within its error.
#[test]
fn the_live_heap_is_what_was_not_freed() {
    let place = Place::new();
    let program = place.compile("heap.cpp", &["-O1"]);
    let (output, reports) = place.run(&[], &program, &[]);
    let truth: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .expect("the program prints its live bytes");
    let totals = &reports[0]["totals"];
    let heap = totals["heap_live_bytes"].as_f64().expect("known");
    let error = totals["heap_live_error_bytes"].as_f64().expect("known");
    // Twice the stated two standard errors: one run in fifteen thousand lies farther off. The C
    // library's own blocks are a few kilobytes.
    assert!(
        (heap - truth).abs() < 2.0 * error + 100_000.0 && error < truth / 3.0,
        "truth {truth}, report {heap} +- {error}"
    );
}
