//! A child of fork keeps a recording of its own and leaves its parent's alone.

mod support;

use serde_json::Value;
use support::{Scratch, array, command, example, number, report, run, text};

fn live_bytes(report: &Value, function: &str) -> Option<u64> {
    let sites: Vec<&Value> = array(report, "sites")
        .iter()
        .filter(|site| text(&site["caller"], "function").contains(function))
        .collect();
    let sum = sites.iter().map(|site| number(site, "live_bytes")).sum();
    (!sites.is_empty()).then_some(sum)
}

#[test]
fn parent_and_child_record_apart() {
    let program = example("victim_forks", "dev");
    for mode in ["on", "exact"] {
        let scratch = Scratch::new(&format!("forks-{mode}"));
        let output = run(command(&program, &scratch)
            .env("MAPGROW", mode)
            .env("MAPGROW_OUT", scratch.path("dump-%p.mapgrow")));
        assert_eq!(output.stdout, b"child 0, maps 50000 10000\n");
        assert_eq!(output.stderr, b"");
        let reports: Vec<Value> = Scratch::list(&scratch.path(""))
            .iter()
            .filter(|name| name.starts_with("dump-"))
            .map(|name| report(&scratch.path(name)))
            .collect();
        assert_eq!(reports.len(), 2, "a dump each");
        let parent_of = |r: &Value| r["process"]["parent_recording_id"].clone();
        let (child, parent): (Vec<&Value>, Vec<&Value>) =
            reports.iter().partition(|r| !parent_of(r).is_null());
        let ([child], [parent]) = (&child[..], &parent[..]) else {
            panic!("one of them names the other: {reports:#?}");
        };
        assert_eq!(parent_of(child), parent["process"]["recording_id"]);

        // 65 536, 32 768 and 16 384 buckets.
        let table = |buckets: u64, pair: u64| buckets * (pair + 1) + 16;
        // The parent returns from main, which drops its maps; the child exits.
        assert_eq!(live_bytes(parent, "before_the_fork"), Some(0), "{mode}");
        assert_eq!(live_bytes(parent, "in_the_parent"), Some(0), "{mode}");
        assert_eq!(live_bytes(parent, "in_the_child"), None, "{mode}");
        assert_eq!(live_bytes(child, "before_the_fork"), None, "{mode}");
        assert_eq!(live_bytes(child, "in_the_parent"), None, "{mode}");
        assert_eq!(
            live_bytes(child, "in_the_child"),
            Some(table(32_768, 8)),
            "{mode}"
        );
        assert!(number(&child["honesty"], "frees_unknown") >= 1, "{mode}");
        assert_eq!(number(&parent["honesty"], "frees_unknown"), 0, "{mode}");
        assert_eq!(
            parent["honesty"]["conservation_difference_bytes"], 0,
            "{mode}"
        );
        assert_eq!(
            child["honesty"]["conservation_difference_bytes"], 0,
            "{mode}"
        );
    }
}
