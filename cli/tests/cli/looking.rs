//! `mapgrow look` on programs that nobody prepared, against what these say of themselves.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::{Place, Sleeper, json, printed, told};

/// A program that waits until its input ends, with what it said before.
pub struct Waiting {
    child: Child,
    pub said: Vec<String>,
}

impl Waiting {
    pub fn new(program: &Path, arguments: &[&str]) -> Waiting {
        Self::of(Command::new(program).args(arguments))
    }

    pub fn of(command: &mut Command) -> Waiting {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let lines = output.lines().map(|line| line.expect("text"));
        let said = lines.take_while(|line| line != "ready").collect();
        Waiting { child, said }
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn rust_program(place: &Place, name: &str, flags: &[&str]) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = place.path(name);
    let compiled = Command::new("rustc")
        .args(["--edition", "2024", "-o"])
        .arg(&target)
        .args(flags)
        .arg(here.join(format!("tests/fixtures/{name}.rs")))
        .current_dir(here)
        .status();
    assert!(compiled.expect("rustc is needed").success());
    target
}

/// What the program says of a map: entries, entries and room for more, bytes of an element.
pub struct Truth {
    pub entries: u64,
    pub capacity: u64,
    pub element: u64,
}

pub fn truth(said: &[String]) -> HashMap<u64, Truth> {
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
    let program = Waiting::new(&rust_program(&place, "looked_at", flags), &[]);
    check(&place, &program);
}

fn check(place: &Place, program: &Waiting) {
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
    assert!(text.starts_with("looked_at"), "{text}");
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

/// Pages of a process that are mapped, whether they count as resident or not.
fn mapped_pages(pid: &str) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("readable");
    let pagemap = std::fs::File::open(format!("/proc/{pid}/pagemap")).expect("readable");
    let mut pages = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (start, rest) = line.split_once('-').expect("a range");
        let (end, _) = rest.split_once(' ').expect("a range");
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).expect("a number"));
        let mut entries = vec![0; ((end - start) / 4096 * 8) as usize];
        pagemap
            .read_exact_at(&mut entries, start / 4096 * 8)
            .expect("readable");
        let present = |entry: &&[u8; 8]| entry[7] & 0x80 != 0;
        pages += entries.as_chunks::<8>().0.iter().filter(present).count();
    }
    pages
}

#[test]
fn what_was_never_touched_stays_so_and_memory_adds_up() {
    let place = Place::new();
    let program = Waiting::new(&rust_program(&place, "untouched", &["-O"]), &[]);
    let before = mapped_pages(&program.pid());
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    // Of 33,000 pages of a table that was never filled, whose block might begin anywhere in them.
    // (What a file is behind may be read: that takes no memory of the process' own.)
    let touched = mapped_pages(&program.pid()) - before;
    assert!(touched < 8, "{touched}");
    let resident = look["resident"].as_object().expect("known");
    let bytes = |name: &str| resident[name].as_u64().expect("a number") as f64;
    let parts: f64 = resident.keys().map(|name| bytes(name)).sum();
    assert_eq!(parts, 2.0 * bytes("resident_bytes"));
    // Of the one that was never written to the control bytes alone, of the other all.
    let tables = f64::from((1 << 21) + (1 << 17) * 65);
    let close = |figure: f64, truth: f64| (figure / truth - 1.0).abs() < 0.03;
    assert!(close(bytes("tables_bytes"), tables), "{resident:?}");
    // What `malloc` gives for 300 bytes, and the pointers to them.
    let blocks = 50_000.0 * (320.0 - 8.0 + 8.0);
    let heap = bytes("other_heap_bytes");
    assert!(
        close(heap, blocks) || (heap - blocks).abs() < 1e6,
        "{resident:?}"
    );
    let text = printed(&place.run(&["look", &program.pid()]));
    assert!(text.contains("in memory tables take 10 MiB"), "{text}");
}

#[test]
fn musl_tells_where_blocks_begin() {
    let target = ["--target", "x86_64-unknown-linux-musl"];
    let library = Command::new("rustc")
        .args(["--print", "target-libdir"])
        .args(target)
        .output()
        .expect("rustc is needed");
    let library = String::from_utf8_lossy(&library.stdout).into_owned();
    // Where the compiler has no such target, nothing is tried.
    if Path::new(library.trim()).exists() {
        check_all(&[&["-O"], target.as_slice()].concat());
    }
}

#[test]
fn jemalloc_tells_where_blocks_begin() {
    let libraries = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/local/lib",
    ];
    let library = |folder| Path::new(folder).join("libjemalloc.so.2");
    // Where there is none, nothing is tried.
    let Some(library) = libraries
        .into_iter()
        .map(library)
        .find(|path| path.exists())
    else {
        return;
    };
    let place = Place::new();
    let mut command = Command::new(rust_program(&place, "looked_at", &["-O"]));
    let program = Waiting::of(command.env("LD_PRELOAD", library));
    check(&place, &program);
}

/// jemalloc leaves what was in a block that it has back: bits of its own say which it has.
#[test]
fn what_jemalloc_has_back_is_no_map() {
    let place = Place::new();
    let program = Waiting::new(&crate::recorded::example("look_freed"), &[]);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["totals"]["maps_live"].as_u64().expect("a number");
    // Of 10,000 every tenth is there, and what waits in the thread's cache for the next who wants it.
    assert!((1000..1400).contains(&maps), "{maps}");
    let freed = look["honesty"]["freed_tables_left_out"].as_u64();
    assert!(freed > Some(7000), "{freed:?}");
}

/// What is the same whether a process is looked at or its core: the maps, without what the next
/// resize would meet.
fn lasting(look: &Value) -> Vec<Value> {
    let mut maps = look["maps"].as_array().expect("a list").clone();
    for map in &mut maps {
        let next = map["next_resize"].as_object_mut();
        next.into_iter()
            .for_each(|next| next.retain(|name, _| name.ends_with("s_bytes")));
    }
    maps
}

/// A core of a program; `None` where there is no gdb, and nothing can be tried.
pub fn core_of(place: &Place, program: &Waiting) -> Option<PathBuf> {
    let written = Command::new("gcore")
        .arg("-o")
        .args([place.path("core").to_str().expect("plain"), &program.pid()])
        .output();
    let written = written.is_ok_and(|output| output.status.success());
    written.then(|| place.path(&format!("core.{}", program.pid())))
}

#[test]
fn a_core_tells_what_its_process_would() {
    let place = Place::new();
    let program = Waiting::new(&rust_program(&place, "looked_at", &["-O"]), &[]);
    let live = json(&place.run(&["look", "--json", &program.pid()]));
    let Some(core) = core_of(&place, &program) else {
        return;
    };
    let of = |path: &Path| json(&place.run(&["look", "--json", path.to_str().expect("plain")]));
    let look = of(&core);
    assert_eq!(lasting(&look), lasting(&live));
    assert_eq!(look["process"]["state"], "core");
    assert!(look["memory"].is_null());
    let text = printed(&place.run(&["look", core.to_str().expect("plain")]));
    assert!(text.starts_with("core of looked_at"), "{text}");

    let bytes = std::fs::read(&core).expect("readable");
    let cut = place.write("cut", &bytes[..bytes.len() / 2]);
    let look = of(&cut);
    assert!(look["honesty"]["bytes_unreadable"].as_u64() > Some(1 << 20));
    assert!(lasting(&look).len() < lasting(&live).len());
    let packed = Command::new("zstd").args(["-q", "-1"]).arg(&core).status();
    if packed.is_ok_and(|status| status.success()) {
        assert_eq!(
            lasting(&of(&core.with_extension(format!("{}.zst", program.pid())))),
            lasting(&live)
        );
    }
    for (index, damage) in [(32, 0xFF), (56, 0xFF), (57, 0xFF), (33, 0x7F), (54, 0)] {
        let mut wild = bytes.clone();
        wild[index] = damage;
        let wild = place.write("wild", &wild);
        let output = place.run(&["look", "--json", wild.to_str().expect("plain")]);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{output:?}");
    }
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

    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let no_core = told(&place.run(&["look", here.to_str().expect("plain")]));
    assert!(no_core.contains("is no core file"), "{no_core}");
    let program = told(&place.run(&["look", "/proc/self/exe"]));
    assert!(program.contains("not a core"), "{program}");
    let nothing = told(&place.run(&["look", "no/such/core"]));
    assert!(nothing.contains("the path of a core file"), "{nothing}");

    if let Ok(stat) = std::fs::read_to_string("/proc/2/stat")
        && stat.contains("(kthreadd)")
    {
        let sentence = told(&place.run(&["look", "2"]));
        assert!(sentence.contains("thread of the kernel"), "{sentence}");
    }
}
