//! `mapgrow look` on containers of other languages than Rust, against what their programs say.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::looking::{Waiting, truth};
use crate::place::{Place, json};

/// Whether the compiler is there, and everything that its program has is found.
fn containers_of_cpp(compiler: &str, flags: &[&str], family: &str) -> bool {
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
        if (at % 8 == 4) map.max_load_factor(4);\n\
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
    let compiled = Command::new(compiler)
        .args(flags)
        .args(["-O2", "-std=c++17", "-s", "-o"])
        .args([&target, &source])
        .stderr(Stdio::null())
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        return false;
    }
    let program = Waiting::new(&target, &[]);
    let truth = truth(&program.said);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    assert_eq!((maps.len(), truth.len()), (202, 202));
    for map in maps {
        let header = map["header_address"].as_u64().expect("a number");
        let truth = &truth[&header];
        assert_eq!(map["family"], family);
        assert_eq!(map["entries"], truth.entries, "{map}");
        // Where a map of Rust has its capacity, the program told of its buckets.
        assert_eq!(map["buckets"], truth.capacity, "{map}");
        assert_eq!(map["bytes"], truth.capacity * 8, "{map}");
        let load = map["capacity"].as_u64().expect("a number") / truth.capacity;
        assert!([1, 4].contains(&load), "{map}");
        assert!(map["tombstones"].is_null() && map["element_bytes"].is_null());
    }
    true
}

#[test]
fn containers_of_libstdcxx_are_found_in_every_state() {
    let flags: [&[&str]; 2] = [&[], &["-static"]];
    for flags in flags {
        let found = containers_of_cpp("g++", flags, "libstdcxx_hashtable");
        assert!(found, "g++ is needed");
    }
}

#[test]
fn containers_of_libcxx_are_found_in_every_state() {
    // Where there is no libc++, nothing is tried.
    containers_of_cpp("clang++", &["-stdlib=libc++"], "libcxx_hashtable");
}

#[test]
fn containers_of_abseil_are_found_in_every_state() {
    let place = Place::new();
    let names = [
        "absl_flat_hash_map",
        "absl_node_hash_map",
        "absl_flat_hash_set",
    ];
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs"])
        .args(names)
        .output();
    // Where there is no Abseil, nothing is tried.
    let Some(flags) = flags.ok().filter(|output| output.status.success()) else {
        return;
    };
    let flags = String::from_utf8(flags.stdout).expect("text");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = place.path("abseil");
    let compiled = Command::new("g++")
        .args(["-O2", "-std=c++17", "-s", "-o"])
        .arg(&target)
        .arg(here.join("tests/fixtures/abseil.cpp"))
        .args(flags.split_ascii_whitespace())
        .status();
    assert!(compiled.expect("g++ is needed").success());
    let program = Waiting::new(&target, &[]);
    let truth = truth(&program.said);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    assert_eq!((maps.len(), truth.len()), (401, 401));
    // Where the words before a block could be those of two sizes, none is said.
    let unsized_maps = maps.iter().filter(|map| map["bytes"].is_null()).count();
    assert!(unsized_maps <= 4, "{unsized_maps} of {}", maps.len());
    for map in maps {
        let header = map["header_address"].as_u64().expect("a number");
        let truth = &truth[&header];
        let number = |name: &str| map[name].as_u64().expect("a number");
        assert_eq!(map["family"], "abseil_flat");
        assert_eq!(map["entries"], truth.entries, "{map}");
        // Where a map of Rust has its capacity, the program told of its slots.
        let slots = truth.capacity;
        assert_eq!(map["buckets"], slots, "{map}");
        if map["bytes"].is_null() {
            assert!(map["element_bytes"].is_null(), "{map}");
            continue;
        }
        assert_eq!(map["element_bytes"], truth.element, "{map}");
        let data = slots * truth.element;
        assert_eq!(
            number("bytes"),
            (slots + 16).next_multiple_of(2) + data,
            "{map}"
        );
        assert_eq!(number("capacity"), slots - slots / 8, "{map}");
        let left = number("growth_left");
        assert_eq!(
            number("entries") + number("tombstones") + left,
            number("capacity")
        );
        if truth.entries == 0 {
            assert_eq!(map["retained_bytes"], map["bytes"], "{map}");
        }
        assert!(number("retained_bytes") <= number("bytes"), "{map}");
    }
}

#[test]
fn dicts_and_sets_of_python_have_their_length() {
    dicts(Path::new("python3"));
}

/// Whether what is found in a program run by `python` is what it says of itself.
pub fn dicts(python: &Path) {
    let place = Place::new();
    let text = "import sys\nkept = []\n\
        class A(dict): pass\n\
        class B(set): pass\n\
        for at in range(300):\n\
        \x20   d = {k if at % 2 else str(k): k for k in range(100 + at * 11)}\n\
        \x20   if at % 3 == 1:\n\
        \x20       for k in list(d)[::2]: del d[k]\n\
        \x20   if at % 3 == 2: d = A(d)\n\
        \x20   s = B(d) if at % 2 else frozenset(d)\n\
        \x20   if at % 4 == 1:\n\
        \x20       for k in list(s)[::2]: s.discard(k)\n\
        \x20   kept.append((d, s))\n\
        for d, s in kept:\n\
        \x20   print(hex(id(d)), len(d), 0, 0)\n\
        \x20   print(hex(id(s)), len(s), 0, 16)\n\
        print('ready', flush=True)\nsys.stdin.read(1)\n";
    let script = place.write("dicts.py", text.as_bytes());
    let script = script.to_str().expect("plain");
    let program = Waiting::new(python, &["-I", script]);
    let truth = truth(&program.said);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let maps = look["maps"].as_array().expect("a list");
    let mut found = 0;
    for map in maps {
        let header = map["header_address"].as_u64().expect("a number");
        if let Some(truth) = truth.get(&header) {
            found += 1;
            let is_set = map["family"] == "cpython_set";
            assert_eq!(is_set, truth.element == 16, "{map}");
            assert_eq!(map["entries"], truth.entries, "{map}");
            // What is deleted takes room, and what a program does not name nobody owns.
            let kept = map["retained_bytes"].as_u64().expect("a number");
            assert!(kept <= map["bytes"].as_u64().expect("a number"), "{map}");
            assert!(map["owner"].is_null(), "{map}");
        }
        let number = |name: &str| {
            map[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name} of {map}"))
        };
        assert!(number("entries") + number("tombstones") <= number("capacity"));
    }
    assert!(
        found * 100 >= truth.len() * 99,
        "{found} of {}",
        truth.len()
    );
    let python =
        |map: &&Value| matches!(map["family"].as_str(), Some("cpython_dict" | "cpython_set"));
    let others = maps.iter().filter(|map| !python(map));
    assert_eq!(others.count(), 0);
}

/// Maps of every kind of element, in every state.
const GO: &str = r#"package main
import ("fmt"; "math/rand"; "os"; "unsafe")
var kept []any
func make_all[K comparable, V any](element int, key func(uint64) K) {
	for at := 0; at < 40; at++ {
		size := 20 + rand.Intn(3000)
		m := map[K]V{}
		var value V
		var keys []K
		for len(keys) < size { k := key(rand.Uint64()); m[k] = value; keys = append(keys, k) }
		switch at % 4 {
		case 1: for j, k := range keys { if j % 2 == 0 { delete(m, k) } }
		case 2: for j := 0; j < size * 3; j++ {
			i := rand.Intn(size); delete(m, keys[i]); keys[i] = key(rand.Uint64()); m[keys[i]] = value }
		case 3: if at % 8 == 3 { for _, k := range keys { delete(m, k) } }
		}
		kept = append(kept, m)
		fmt.Printf("%#x %d 0 %d\n", *(*uintptr)(unsafe.Pointer(&m)), len(m), element)
	}
}
func main() {
	make_all[uint64, uint64](16, func(x uint64) uint64 { return x })
	make_all[string, int](24, func(x uint64) string { return fmt.Sprint(x) })
	make_all[uint32, [7]uint32](32, func(x uint64) uint32 { return uint32(x) })
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	println(len(kept))
}
"#;

#[test]
fn maps_of_go_are_found_in_every_state() {
    let place = Place::new();
    let source = place.write("main.go", GO.as_bytes());
    let target = place.path("maps");
    let built = Command::new("go")
        .args(["build", "-ldflags", "-s -w", "-o"])
        .args([&target, &source])
        .env("GOCACHE", place.path("cache"))
        .env("GOTOOLCHAIN", "local")
        .stderr(Stdio::null())
        .status();
    // Where there is no Go, nothing is tried.
    if !built.is_ok_and(|status| status.success()) {
        return;
    }
    let program = Waiting::new(&target, &[]);
    let truth = truth(&program.said);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    let (mut found, mut sized) = (0, 0);
    for map in look["maps"].as_array().expect("a list") {
        assert_eq!(map["family"], "go_map");
        let header = map["header_address"].as_u64().expect("a number");
        let Some(truth) = truth.get(&header) else {
            continue;
        };
        found += 1;
        assert_eq!(map["entries"], truth.entries, "{map}");
        if let Some(element) = map["element_bytes"].as_u64() {
            sized += 1;
            assert_eq!(element, truth.element, "{map}");
        }
        let number = |name: &str| map[name].as_u64().expect("a number");
        let tombstones = map["tombstones"].as_u64().unwrap_or(0);
        assert!(number("entries") + tombstones <= number("buckets"), "{map}");
    }
    assert_eq!((truth.len(), found), (120, 120));
    assert!(sized >= 100, "{sized}");
}

/// What `redis-server` answers to several commands sent at once, the numbers in it.
fn answers(stream: &mut UnixStream, commands: &[Vec<String>]) -> Vec<u64> {
    let mut text = String::new();
    for command in commands {
        text += &format!("*{}\r\n", command.len());
        for word in command {
            text += &format!("${}\r\n{word}\r\n", word.len());
        }
    }
    stream.write_all(text.as_bytes()).expect("sent");
    let lines = BufReader::new(stream.try_clone().expect("open")).lines();
    lines
        .take(commands.len())
        .map(|line| {
            line.expect("text")
                .trim_start_matches(':')
                .parse()
                .unwrap_or(0)
        })
        .collect()
}

#[test]
fn dicts_of_redis_are_found_while_they_are_resized() {
    dicts_of_redis(Path::new("redis-server"));
}

/// One of an older version, where its path is given.
#[test]
fn dicts_of_an_older_redis_are_found_while_they_are_resized() {
    if let Some(server) = std::env::var_os("MAPGROW_OLD_REDIS") {
        dicts_of_redis(Path::new(&server));
    }
}

fn dicts_of_redis(server: &Path) {
    let place = Place::new();
    let socket = place.path("redis");
    let server = Command::new(server)
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn();
    // Where there is no Redis, nothing is tried.
    let Ok(mut server) = server else {
        return;
    };
    let connected = (0..1000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        UnixStream::connect(&socket).ok()
    });
    let mut stream = connected.expect("it listens");
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    for hash in 0..60 {
        let set: Vec<Vec<String>> = (0..600 + hash * 13)
            .map(|field| words(&["HSET", &format!("h{hash}"), &format!("f{field}"), "x"]))
            .collect();
        answers(&mut stream, &set);
    }
    let ask: Vec<Vec<String>> = (0..60)
        .map(|hash| words(&["HLEN", &format!("h{hash}")]))
        .collect();
    let mut truth = answers(&mut stream, &ask);
    let look = json(&place.run(&["look", "--json", &server.id().to_string()]));
    let _ = server.kill();
    let _ = server.wait();
    let maps = look["maps"].as_array().expect("a list");
    for map in maps {
        assert_eq!(map["family"], "redis_dict", "{map}");
        let number = |name: &str| map[name].as_u64().expect("a number");
        assert_eq!(number("bytes"), number("buckets") * 8);
        truth.retain(|&entries| entries != number("entries"));
    }
    // Every one had another number of entries.
    assert!(truth.is_empty(), "{truth:?}");
}
