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
