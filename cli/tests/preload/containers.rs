//! libstdc++'s containers: every table, to the byte.

use crate::support::{Place, sites};
use serde_json::Value;

/// One line for each figure that differs.
fn differences(truth: &Value, report: &Value, least: u64) -> Vec<String> {
    let mut found = Vec::new();
    for shape in truth.as_array().unwrap() {
        let name = shape["shape"].as_str().unwrap();
        let family = shape["family"].as_str().unwrap();
        let all: Vec<u64> = shape["tables"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t.as_u64().unwrap())
            .collect();
        let tables: Vec<u64> = all
            .iter()
            .copied()
            .filter(|&bytes| bytes >= least)
            .collect();
        if tables.is_empty() {
            continue;
        }
        let mut check = |what: &str, truth: u64, report: u64| {
            if truth != report {
                found.push(format!("{name} {what}: truth {truth}, report {report}"));
            }
        };
        let of_family: Vec<&Value> = sites(report, name)
            .filter(|site| site["family"] == family)
            .collect();
        let figure = |field: &str| -> u64 {
            of_family
                .iter()
                .map(|s| s[field].as_u64().unwrap_or(0))
                .sum()
        };
        check(
            "allocated_bytes",
            tables.iter().sum(),
            figure("allocated_bytes"),
        );
        let live = Some(shape["live"].as_u64().unwrap())
            .filter(|&live| live >= least || family == "libstdcxx_tree");
        check("live_bytes", live.unwrap_or(0), figure("live_bytes"));
        check("allocs", tables.len() as u64, figure("allocs"));
        if family == "libstdcxx_tree" {
            continue;
        }
        let steps: Vec<(u64, u64)> = all
            .windows(2)
            .map(|pair| (pair[0], pair[1]))
            .filter(|&(_, new)| new >= least)
            .collect();
        let count =
            |of: fn(&(u64, u64)) -> bool| steps.iter().filter(|step| of(step)).count() as u64;
        check("grows", count(|(old, new)| new > old), figure("grows"));
        check("shrinks", count(|(old, new)| new < old), figure("shrinks"));
        // The size of a table below the floor is only known as the allocator rounded it.
        let side_by_side = steps
            .iter()
            .filter(|step| step.0 >= least)
            .map(|(old, new)| old + new)
            .max()
            .unwrap_or(0);
        let overlap = of_family
            .iter()
            .map(|s| s["overlap_peak_bytes"].as_u64().unwrap_or(0))
            .max()
            .unwrap_or(0);
        check("overlap", side_by_side, overlap);
    }
    found
}

fn compare(flags: &[&str], options: &[&str], least: u64) {
    let place = Place::new();
    let victim = place.compile("containers.cpp", flags);
    let (output, reports) = place.run(options, &victim, &[]);
    assert!(output.status.success(), "{output:?}");
    let truth: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [report] = reports.as_slice() else {
        panic!("{} processes", reports.len())
    };
    let found = differences(&truth, report, least);
    assert!(found.is_empty(), "{}", found.join("\n"));
    for field in [
        "sites_folded",
        "memo_mismatches",
        "conservation_difference_bytes",
    ] {
        assert_eq!(report["honesty"][field], 0, "{field}");
    }
}

#[test]
fn exact_mode_counts_every_table() {
    compare(&["-O2", "-g"], &["--exact"], 0);
}

#[test]
fn unoptimised_programs_are_counted_alike() {
    compare(&["-O0", "-g"], &["--exact"], 0);
}

#[test]
fn the_default_mode_is_exact_from_the_floor_on() {
    compare(&["-O2", "-g"], &[], 1024);
}

/// Without any name the growth of a container is still found, once it has grown a few times.
#[test]
fn a_stripped_program_shows_its_growth() {
    const A_FEW: usize = 4;
    let place = Place::new();
    let victim = place.compile("containers.cpp", &["-O2", "-s"]);
    let (output, reports) = place.run(&["--exact"], &victim, &[]);
    assert!(output.status.success());
    let truth: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected: u64 = truth
        .as_array()
        .unwrap()
        .iter()
        .filter(|shape| shape["family"] != "libstdcxx_tree")
        .map(|shape| shape["tables"].as_array().unwrap().len())
        .filter(|&tables| tables >= A_FEW)
        .map(|tables| tables as u64 - 1)
        .sum();
    let found = reports[0]["totals"]["resizes"].as_u64().unwrap();
    assert!(found >= expected, "{found} of {expected}");
}

/// The C library's `realloc` lets the kernel move the pages of a large block: there never are two.
#[test]
fn pages_that_the_kernel_moves_are_no_overlap() {
    let place = Place::new();
    let program = place.compile("remapped.cpp", &["-g", "-O2"]);
    let (output, reports) = place.run(&[], &program, &[]);
    let moved = String::from_utf8_lossy(&output.stdout);
    let all: Vec<&Value> = sites(&reports[0], "grow").collect();
    let sum = |field: &str| {
        all.iter()
            .filter_map(|site| site[field].as_u64())
            .sum::<u64>()
    };
    assert_eq!(sum("grows"), 6, "{all:?}");
    assert_eq!(sum("in_place"), 6, "{moved} of 6 moved: {all:?}");
    assert_eq!(
        sum("copied_bytes") + sum("overlap_peak_bytes"),
        0,
        "{all:?}"
    );
}

/// Types that no other object can name have no mangled names; their containers are known all the
/// same, optimised or not.
#[test]
fn containers_of_local_types_are_known() {
    for level in ["-O0", "-O2"] {
        let place = Place::new();
        let program = place.compile("local_types.cpp", &["-g", level]);
        let (output, reports) = place.run(&[], &program, &[]);
        assert!(output.status.success());
        for (function, family, name) in [
            ("fill", "libstdcxx_vector", "vector<Row>"),
            (
                "count_all",
                "libstdcxx_hashtable",
                "unordered_map<string, Entry>",
            ),
        ] {
            let found: Vec<&Value> = sites(&reports[0], function).collect();
            let known = found.iter().any(|site| {
                site["family"] == family
                    && site["type_name"] == name
                    && site["known_by"] == "symbol"
            });
            assert!(known, "{level} {name}: {found:#?}");
        }
    }
}

/// A queue of events and a list, each filled by a function of its own.
const QUEUES: &str = r#"
#include <cstdlib>
#include <deque>
#include <list>
struct Event { long at; int kind; char body[52]; };
class Engine {
public:
    std::deque<Event> inbox;
    std::list<long> waiting;
    __attribute__((noinline)) void post(const Event &event) {
        inbox.push_back(event);
        asm volatile("" ::: "memory");
    }
    __attribute__((noinline)) void wait_for(long at) {
        waiting.push_back(at);
        asm volatile("" ::: "memory");
    }
};
int main(int, char **arguments) {
    Engine &engine = *new Engine;
    long count = atol(arguments[1]);
    for (long i = 0; i < count; i++) engine.post(Event{i, 0, {}});
    for (long i = 0; i < count; i++) engine.wait_for(i);
    exit(0);
}
"#;

/// What a deque and a list hold is in their blocks and nodes. Estimates may be off by a third.
#[test]
fn a_deque_holds_its_blocks_and_a_list_its_nodes() {
    for (level, options, count, off) in [
        ("-O2", &["--exact"][..], 50_000, 0.0),
        ("-O0", &["--exact"], 50_000, 0.0),
        ("-O2", &[], 1_500_000, 0.33),
    ] {
        let place = Place::new();
        let program = place.compile_text("queues", QUEUES, &["-g", level]);
        let (output, reports) = place.run(options, &program, &[&count.to_string()]);
        assert!(output.status.success(), "{output:?}");
        let blocks = reports[0]["blocks"].as_array().unwrap();
        // Blocks of 512 bytes for eight events each, and an array that is never more than a tenth of
        // that; nodes of two pointers and a number.
        for (function, family, name, holds, array) in [
            ("post", "libstdcxx_deque", "deque<Event>", count * 64, 0.1),
            ("wait_for", "libstdcxx_list", "list<long>", count * 24, 0.0),
        ] {
            let of = blocks.iter().filter(|block| block["type_name"] == name);
            let [block] = of.collect::<Vec<&Value>>()[..] else {
                panic!("{level} {options:?} {name}: {blocks:#?}");
            };
            assert_eq!(block["family"], family);
            // A deque has its first table from its constructor.
            let places = format!("{} {}", block["caller"], block["places"]);
            assert!(places.contains(function), "{places}");
            let sampled = &block["sampled"]["est_live_bytes"];
            let held = sampled.as_f64().or(block["live_bytes"].as_f64()).unwrap();
            let (least, most) = (1.0 - off, 1.0 + off + array);
            let share = held / f64::from(holds);
            assert!(
                (least..=most).contains(&share),
                "{level} {options:?} {name}: {share}"
            );
            assert!(!block.to_string().contains("shrink_to_fit"), "{block}");
        }
    }
}
