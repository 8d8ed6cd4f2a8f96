//! Containers that no catalogue has: header-only ones of C++ and C, and a program's own.

use crate::support::{Place, sites};
use serde_json::Value;

/// The function that used the container, growths, tables to each, live bytes.
fn truth(stdout: &[u8]) -> Vec<(String, [u64; 3])> {
    let text = String::from_utf8_lossy(stdout);
    let line = |line: &str| {
        let (function, rest) = line.split_once(' ').unwrap();
        let figures: Vec<u64> = rest.split(' ').map(|n| n.parse().unwrap()).collect();
        (function.to_owned(), figures.try_into().unwrap())
    };
    text.lines().map(line).collect()
}

fn blocks<'a>(report: &'a Value, function: &'a str) -> Vec<&'a Value> {
    let all = report["blocks"].as_array().unwrap().iter();
    let of = all.filter(|block| {
        let caller = block["caller"]["function"].as_str().unwrap_or("");
        caller.contains(function)
    });
    of.collect()
}

/// The place of each is the function that uses it, and its figures are its own.
#[test]
fn containers_of_headers_are_where_they_are_used() {
    for flags in [&["-O2", "-g"][..], &["-O1", "-g"], &["-O0", "-g"]] {
        let place = Place::new();
        let victim = place.compile("houses.cpp", flags);
        let (output, reports) = place.run(&["--exact"], &victim, &[]);
        assert!(output.status.success(), "{output:?}");
        for (function, [grows, tables, bytes]) in truth(&output.stdout) {
            let found = blocks(&reports[0], &function);
            let [block] = found.as_slice() else {
                panic!("{flags:?} {function}: {} blocks", found.len());
            };
            let told = |field: &str| block[field].as_u64();
            assert_eq!(block["known_by"], "behaviour", "{flags:?} {function}");
            assert_eq!(told("grows"), Some(grows), "{flags:?} {function}");
            assert_eq!(told("live_bytes"), Some(bytes), "{flags:?} {function}");
            assert_eq!(told("maps_live"), Some(tables), "{flags:?} {function}");
            let each = Some(tables).filter(|&tables| tables > 1);
            assert_eq!(told("tables_of_each"), each, "{flags:?} {function}");
            let line = block["caller"]["line"].as_u64();
            assert!(line > Some(40), "{flags:?} {function}: {line:?}");
        }
        for (function, written) in [
            ("set_rates", "FlatMap<unsigned long, double>"),
            ("mark_seen", "SlotMap<unsigned long, long>"),
        ] {
            let name = &blocks(&reports[0], function)[0]["type_name"];
            assert_eq!(name, written, "{flags:?} {function}");
        }
    }
}

/// Without lines names are all there is: a class tells where it ends.
#[test]
fn classes_are_told_without_lines() {
    let place = Place::new();
    let victim = place.compile("houses.cpp", &["-O2"]);
    let (output, reports) = place.run(&["--exact"], &victim, &[]);
    for (function, [grows, _, bytes]) in truth(&output.stdout) {
        if function == "add_scores" {
            continue;
        }
        let sum = |field: &str| -> u64 {
            let found = sites(&reports[0], &function);
            found.filter_map(|site| site[field].as_u64()).sum()
        };
        assert_eq!(
            (sum("grows"), sum("live_bytes")),
            (grows, bytes),
            "{function}"
        );
    }
}

/// Without any name all of them are seen to grow.
#[test]
fn containers_of_headers_grow_in_stripped_programs() {
    let place = Place::new();
    let victim = place.compile("houses.cpp", &["-O2", "-s"]);
    let (output, reports) = place.run(&["--exact"], &victim, &[]);
    let all = truth(&output.stdout);
    let grows: u64 = all.iter().map(|(_, [grows, ..])| grows).sum();
    let bytes: u64 = all.iter().map(|(_, [.., bytes])| bytes).sum();
    let totals = &reports[0]["totals"];
    let found = totals["resizes"].as_u64().unwrap();
    // The vector's first table has no other before it, and the growth into the second no like.
    assert!((grows - 6..=grows).contains(&found), "{found} of {grows}");
    let live = totals["live_bytes"].as_u64().unwrap();
    assert_eq!(live, bytes, "{totals}");
}

/// A program's own table in C: `GROWS` makes its buckets twice as many.
const OWN: &str = r#"
#include <cstdlib>
#include <cstring>
struct Table { void **buckets; size_t size, used; };
static Table names;
extern "C" __attribute__((noinline)) void GROWS(Table *table) {
    void **larger = static_cast<void **>(calloc(table->size * 2, sizeof(void *)));
    if (table->buckets) memcpy(larger, table->buckets, table->size * sizeof(void *));
    free(table->buckets);
    table->buckets = larger;
    table->size *= 2;
    asm volatile("" ::: "memory");
}
extern "C" __attribute__((noinline)) void dict_add(Table *table) {
    if (table->used++ >= table->size) GROWS(table);
    asm volatile("" ::: "memory");
}
int main() {
    names.size = 512;
    names.buckets = static_cast<void **>(calloc(names.size, sizeof(void *)));
    for (int i = 0; i < 100000; i++) dict_add(&names);
    return 0;
}
"#;

/// Functions of Lua's, CPython's, Redis's, Ruby's and others' have names that any program may have.
#[test]
fn a_programs_own_function_may_be_called_like_a_containers() {
    for grows in ["rehash", "list_resize", "dictExpand", "expand_buckets"] {
        for flags in [&["-O2", "-g"][..], &["-O2"]] {
            let place = Place::new();
            let program = place.compile_text("own", &OWN.replace("GROWS", grows), flags);
            let (output, reports) = place.run(&["--exact"], &program, &[]);
            assert!(output.status.success(), "{output:?}");
            let found: Vec<&Value> = sites(&reports[0], grows).collect();
            let families: Vec<&Value> = found.iter().map(|site| &site["family"]).collect();
            assert_eq!(families, ["unknown_container"], "{grows} {flags:?}");
            assert_eq!(found[0]["grows"], 8, "{grows} {flags:?}");
            let text = reports[0].to_string();
            for family in ["lua_", "cpython_", "redis_", "ruby_", "postgres_", "bash_"] {
                assert!(!text.contains(family), "{grows} {flags:?}: {family}");
            }
        }
    }
}

/// The last call of a function is a jump: it is among the callers all the same. A dict that moves its
/// entries a few at a time stalls nobody.
#[test]
fn functions_that_jumped_are_callers_and_little_by_little_is_no_stall() {
    let place = Place::new();
    for flags in [&["-O2", "-g"][..], &["-O2"]] {
        let victim = place.compile("stepwise.cpp", flags);
        let (output, reports) = place.run(&[], &victim, &[]);
        assert!(output.status.success(), "{output:?}");
        let report = &reports[0];
        for function in ["fill_small", "fill_large"] {
            let calls = |site: &&Value| {
                let mut stack = site["stack"].as_array().unwrap().iter();
                stack.any(|frame| frame["function"] == function)
            };
            let all = report["sites"].as_array().unwrap().iter();
            let found: Vec<&Value> = all.filter(calls).collect();
            let resizes = found.iter().filter_map(|site| site["resizes"].as_u64());
            assert_eq!(resizes.sum::<u64>(), 8, "{flags:?} {function}");
        }
        let dict = if flags.contains(&"-g") {
            "dict_expand"
        } else {
            "dict_"
        };
        let dict = blocks(report, dict)[0];
        assert!(dict["grows"].as_u64() > Some(5), "{flags:?} {dict}");
        assert_eq!(dict["pause_ns"], Value::Null, "{flags:?}");
        assert!(dict["overlap_longest_ns"].is_u64(), "{flags:?}");
    }
}

/// Of bits there is a vector of its own, with a base of its own.
#[test]
fn a_vector_of_bits_is_a_vector() {
    let place = Place::new();
    let text = "#include <vector>\nstatic std::vector<bool> bits;\n\
        static void mark(int n) { while ((int)bits.size() < n) bits.push_back(n & 1); }\n\
        int main() { for (int n = 0; n < 1000000; n++) mark(n); _Exit(0); }\n";
    let text = text.replace("#include", "#include <cstdlib>\n#include");
    for flags in [&["-O2", "-g"][..], &["-O0", "-g"]] {
        let victim = place.compile_text("bits", &text, flags);
        let (_, reports) = place.run(&[], &victim, &[]);
        let block = &reports[0]["blocks"][0];
        assert_eq!(block["family"], "libstdcxx_vector", "{flags:?}");
        assert_eq!(block["type_name"], "vector<bool>", "{flags:?}");
        assert_eq!(block["caller"]["function"], "mark", "{flags:?}");
    }
}
