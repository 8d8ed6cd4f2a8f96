//! Whatever bytes are given as a saved report: an error, or everything that is made of one, alone
//! and beside another.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use mapgrow_cli::{fuzzing, pprof};
use mapgrow_report::diff::{Tolerance, diff};
use mapgrow_report::gates::{self, Rule};
use mapgrow_report::measure::Measure;
use mapgrow_report::merge::{Part, distinct, merge};
use mapgrow_report::text::{By, Sort, TextOptions, render, render_map, table};
use mapgrow_report::{Report, outlook};

/// What the input is compared with, and merged with.
static OTHER: LazyLock<Report> = LazyLock::new(|| {
    let kept = include_bytes!("../corpus/json/hashbrown.json");
    fuzzing::saved(kept).expect("a report")
});

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(report) = fuzzing::saved(bytes) else {
        // What is no report shows the way to one.
        return Corpus::Keep;
    };
    for by in [By::Site, By::Map, By::Type, By::Thread] {
        let options = TextOptions {
            by,
            ..TextOptions::default()
        };
        assert!(!render(&report, &options).is_empty());
    }
    let _ = table(&report, Sort::Live, usize::MAX);
    for map in report.maps.iter().take(3) {
        let shown = render_map(&report, map.id, &TextOptions::default());
        assert!(shown.is_some(), "a map is found by its number");
    }
    compared(&report, &OTHER);
    compared(&OTHER, &report);
    let rules = Measure::ALL.map(|measure| Rule::site(measure, "*", 4096));
    let mut findings = gates::judge(&report, &rules);
    findings.extend(gates::judge(
        &report,
        &Measure::ALL.map(|measure| Rule::all(measure, 0)),
    ));
    findings.push(outlook::judge(&report, None));
    assert!(!fuzzing::check_text(&findings).is_empty());
    assert!(!fuzzing::drawn(&report).is_empty());
    let written = pprof::encode(&pprof::of_report(&report, pprof::Functions::Own));
    assert!(!written.expect("memory takes it").is_empty());
    merged(report);
    Corpus::Keep
});

fn compared(old: &Report, new: &Report) {
    let tolerance = Tolerance::default();
    for by in [Measure::Peak, Measure::Live] {
        let findings = gates::against(old, new, &[by], &tolerance);
        let _ = fuzzing::check_text(&findings);
        assert!(!fuzzing::diff_text(&diff(old, new, by, &tolerance)).is_empty());
    }
}

fn merged(report: Report) {
    let part = |label: &str, report: &Report| Part {
        label: label.to_owned(),
        report: report.clone(),
    };
    let parts = vec![part("a", &report), part("b", &OTHER)];
    if let Ok((parts, _)) = distinct(parts) {
        let merged = merge(parts).expect("there are parts");
        assert!(!render(&merged, &TextOptions::default()).is_empty());
        let saved = serde_json::to_vec(&merged).expect("memory takes it");
        assert!(
            fuzzing::saved(&saved).is_some(),
            "what is saved can be read"
        );
    }
}
