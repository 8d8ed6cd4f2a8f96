//! `mapgrow look` on programs that nobody prepared, against what these say of themselves.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::{Place, Sleeper, json, printed, told};

/// A program that waits until its input ends, with what it said before.
struct Waiting {
    child: Child,
    said: Vec<String>,
}

impl Waiting {
    fn new(program: &Path, arguments: &[&str]) -> Waiting {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let lines = output.lines().map(|line| line.expect("text"));
        let said = lines.take_while(|line| line != "ready").collect();
        Waiting { child, said }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rust_program(place: &Place, flags: &[&str]) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = place.path("looked_at");
    let compiled = Command::new("rustc")
        .args(["--edition", "2024", "-o"])
        .arg(&target)
        .args(flags)
        .arg(here.join("tests/fixtures/looked_at.rs"))
        .current_dir(here)
        .status();
    assert!(compiled.expect("rustc is needed").success());
    target
}

/// What the program says of a map: entries, entries and room for more, bytes of an element.
struct Truth {
    entries: u64,
    capacity: u64,
    element: u64,
}

fn truth(said: &[String]) -> HashMap<u64, Truth> {
    let map = |line: &String| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| fields[at].parse().expect("a number");
        let header = fields[0].trim_start_matches("0x");
        let truth = Truth {
            entries: number(1),
            capacity: number(2),
            element: number(3),
        };
        (u64::from_str_radix(header, 16).expect("hexadecimal"), truth)
    };
    said.iter().map(map).collect()
}

/// Every map that the program has a table for, with what was found of it.
fn found_of<'a>(maps: &'a [Value], truth: &'a HashMap<u64, Truth>) -> Vec<(&'a Value, &'a Truth)> {
    let of = |map: &'a Value| {
        let copies = map["header_copies"].as_array().into_iter().flatten();
        let headers = std::iter::once(&map["header_address"]).chain(copies);
        // A `HashMap` may begin with its hasher, which has 16 bytes.
        let own = |header: u64| truth.get(&header).or_else(|| truth.get(&(header - 16)));
        let found = headers.filter_map(Value::as_u64).find_map(own)?;
        Some((map, found))
    };
    maps.iter().filter_map(of).collect()
}

fn check_all(flags: &[&str]) {
    let place = Place::new();
    let program = Waiting::new(&rust_program(&place, flags), &[]);
    let truth = truth(&program.said);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    let found = found_of(maps, &truth);
    let with_table = truth.values().filter(|truth| truth.capacity > 0).count();
    assert_eq!(truth.len(), 999);
    assert!(
        found.len() * 100 >= with_table * 99,
        "{} of {with_table}",
        found.len()
    );
    let mut sized = 0;
    for (map, truth) in &found {
        let number = |name: &str| map[name].as_u64().expect("a number");
        assert_eq!(number("entries"), truth.entries, "{map}");
        assert_eq!(number("entries") + number("growth_left"), truth.capacity);
        let capacity = number("buckets") / 8 * 7;
        if number("buckets") > 8 {
            assert_eq!(number("capacity"), capacity, "{map}");
        }
        assert_eq!(number("tombstones"), number("capacity") - truth.capacity);
        if let Some(element) = map["element_bytes"].as_u64() {
            sized += 1;
            assert_eq!(element, truth.element, "{map}");
            let data = (number("buckets") * element).next_multiple_of(16);
            assert_eq!(number("bytes"), data + number("buckets") + 16, "{map}");
        }
        assert!(map["site"].is_null() && map["born_at_ns"].is_null());
    }
    assert!(sized * 100 >= found.len() * 95, "{sized}");
    // Of a set it did not tell.
    let told: Vec<*const Value> = found
        .iter()
        .map(|(map, _)| std::ptr::from_ref(*map))
        .collect();
    let others: Vec<&Value> = (maps.iter())
        .filter(|map| !told.contains(&std::ptr::from_ref(*map)))
        .collect();
    let [set] = others.as_slice() else {
        panic!("that nobody has: {others:?}")
    };
    assert_eq!(
        (&set["entries"], &set["element_bytes"]),
        (&5000.into(), &4.into())
    );
    let groups = look["groups"].as_array().expect("a list");
    let sum = |name: &str| {
        groups
            .iter()
            .map(|group| group[name].as_u64())
            .sum::<Option<u64>>()
    };
    assert_eq!(sum("count"), Some(maps.len() as u64));
    assert_eq!(sum("entries"), look["totals"]["entries"].as_u64());
    assert!(look["honesty"]["bytes_read"].as_u64() > Some(1 << 20));
    assert_eq!(look["honesty"]["changed_while_read"], 0);

    let text = printed(&place.run(&["look", "--top", "100", &program.pid()]));
    assert!(text.starts_with("looked_at "), "{text}");
    assert!(text.contains("65,536 buckets of 32 bytes"), "{text}");
    assert!(
        text.contains("at 57,345 entries it needs 4.1 MiB at once"),
        "{text}"
    );
    let table = printed(&place.run(&["look", "--table", &program.pid()]));
    assert_eq!(table.lines().count(), maps.len() + 1);
}

#[test]
fn maps_in_every_state_are_found_with_the_figures_of_their_own() {
    check_all(&["-O"]);
}

#[test]
fn a_stripped_program_hides_nothing() {
    check_all(&["-O", "-C", "strip=symbols", "-C", "panic=abort"]);
}

#[test]
fn containers_of_cpp_are_found_in_every_state() {
    let place = Place::new();
    let text = "#include <cstdio>\n#include <string>\n#include <unordered_map>\n\
        #include <unordered_set>\n#include <vector>\n\
        using Map = std::unordered_map<unsigned long, std::string>;\n\
        static Map global;\n\
        template <class T> void tell(const T &map) {\n\
        std::printf(\"%p %zu %zu 0\\n\", (const void *)&map, map.size(), map.bucket_count());\n\
        }\n\
        int main() {\n\
        std::vector<Map> maps(200);\n\
        for (unsigned long at = 0; at < maps.size(); at++) {\n\
        Map &map = maps[at];\n\
        for (unsigned long key = 0; key < 100 + at * 20; key++) map[key * 7919] = \"value\";\n\
        if (at % 4 == 1) for (unsigned long key = 0; key < at * 10; key++) map.erase(key * 7919);\n\
        if (at % 4 == 2) map.clear();\n\
        if (at % 4 == 3) { Map copy = map; map = std::move(copy); }\n\
        tell(map);\n\
        }\n\
        for (unsigned long key = 0; key < 50000; key++) global[key] = std::to_string(key);\n\
        tell(global);\n\
        auto *set = new std::unordered_set<std::string>;\n\
        for (int key = 0; key < 3000; key++) set->insert(std::to_string(key));\n\
        tell(*set);\n\
        for (int round = 0; round < 50; round++) { Map gone(maps[round]); gone[1] = \"x\"; }\n\
        std::puts(\"ready\"); std::fflush(stdout); std::getchar(); }\n";
    let source = place.write("maps.cpp", text.as_bytes());
    let target = place.path("maps");
    let compiled = Command::new("g++")
        .args(["-O2", "-std=c++17", "-s", "-o"])
        .args([&target, &source])
        .status();
    assert!(compiled.expect("g++ is needed").success());
    let program = Waiting::new(&target, &[]);
    let truth = truth(&program.said);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    assert_eq!((maps.len(), truth.len()), (202, 202));
    for map in maps {
        let header = map["header_address"].as_u64().expect("a number");
        let truth = &truth[&header];
        assert_eq!(map["family"], "libstdcxx_hashtable");
        assert_eq!(map["entries"], truth.entries, "{map}");
        // Where a map of Rust has its capacity, the program told of its buckets.
        assert_eq!(map["buckets"], truth.capacity, "{map}");
        assert_eq!(map["bytes"], truth.capacity * 8, "{map}");
        assert_eq!(map["capacity"], truth.capacity, "{map}");
        assert!(map["tombstones"].is_null() && map["element_bytes"].is_null());
    }
}

#[test]
fn dicts_of_python_have_their_length() {
    let place = Place::new();
    let text = "import sys\nkept = []\n\
        for at in range(300):\n\
        \x20   d = {k if at % 2 else str(k): k for k in range(100 + at * 11)}\n\
        \x20   if at % 3 == 1:\n\
        \x20       for k in list(d)[::2]: del d[k]\n\
        \x20   if at % 3 == 2: d = dict(d)\n\
        \x20   kept.append(d)\n\
        for d in kept: print(hex(id(d)), len(d), 0, 0)\n\
        print('ready', flush=True)\nsys.stdin.read(1)\n";
    let script = place.write("dicts.py", text.as_bytes());
    let script = script.to_str().expect("plain");
    let program = Waiting::new(Path::new("python3"), &["-I", script]);
    let truth = truth(&program.said);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    let mut found = 0;
    for map in maps.iter().filter(|map| map["family"] == "cpython_dict") {
        let header = map["header_address"].as_u64().expect("a number");
        if let Some(truth) = truth.get(&header) {
            found += 1;
            assert_eq!(map["entries"], truth.entries, "{map}");
        }
        let number = |name: &str| map[name].as_u64().expect("a number");
        assert!(number("entries") + number("tombstones") <= number("capacity"));
    }
    assert!(
        found * 100 >= truth.len() * 99,
        "{found} of {}",
        truth.len()
    );
    let others = maps.iter().filter(|map| map["family"] != "cpython_dict");
    assert_eq!(others.count(), 0);
}

#[test]
fn a_program_without_maps_has_none() {
    let place = Place::new();
    let text = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
        int main(void) {\n\
        char *blocks[4000]; unsigned long seed = 1;\n\
        for (int i = 0; i < 4000; i++) {\n\
        size_t size = 64 + i * 7;\n\
        blocks[i] = malloc(size); memset(blocks[i], i % 3 ? 0xFF : i, size);\n\
        for (size_t at = 0; at + 8 <= size; at += 8 + i % 5 * 8) {\n\
        seed = seed * 6364136223846793005ul + 1;\n\
        unsigned long words[4] = {(unsigned long)blocks[i] & ~15ul, (1ul << seed % 12) - 1, seed >> 60, seed >> 58};\n\
        memcpy(blocks[i] + at, &words[at / 8 % 4], 8);\n\
        }\n\
        if (i % 3 == 0) free(blocks[i]);\n\
        }\n\
        puts(\"ready\"); fflush(stdout); getchar(); return 0; }\n";
    let source = place.write("none.c", text.as_bytes());
    let target = place.path("none");
    let compiled = Command::new("gcc")
        .args(["-O1", "-w", "-o"])
        .args([&target, &source])
        .status();
    assert!(compiled.expect("gcc is needed").success());
    let program = Waiting::new(&target, &[]);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    assert_eq!(look["maps"].as_array().map(Vec::len), Some(0), "{look}");
    let text = printed(&place.run(&["look", &program.pid()]));
    assert!(text.contains("no map was found"), "{text}");
}

#[test]
fn what_cannot_be_looked_at_gets_a_sentence() {
    let place = Place::new();
    let gone = Sleeper::new().end().to_string();
    let sentence = told(&place.run(&["look", &gone]));
    assert!(sentence.contains("there is no process"), "{sentence}");

    // Its output has ended, and nobody has collected it.
    let mut zombie = Command::new("true")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut output = zombie.stdout.take().expect("piped");
    output.read_to_end(&mut Vec::new()).expect("read");
    let pid = zombie.id().to_string();
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("there");
    while !state().contains(") Z ") {
        std::thread::yield_now();
    }
    let sentence = told(&place.run(&["look", &pid]));
    assert!(sentence.contains("has ended and waits"), "{sentence}");
    zombie.wait().expect("collected");

    if let Ok(stat) = std::fs::read_to_string("/proc/2/stat")
        && stat.contains("(kthreadd)")
    {
        let sentence = told(&place.run(&["look", "2"]));
        assert!(sentence.contains("thread of the kernel"), "{sentence}");
    }
}
