//! Text, table and JSON tell the same of each block, in the same order: checked on every report that
//! these tests build.

use super::text::service_report;
use crate::rows::summary::{Bound, Figure, Summary};
use crate::text::units::{bytes, thousands};
use crate::text::{Sort, TextOptions, place_of, render, table, title};
use crate::{AdviceKind, Report, Sampled, Site};

/// Panics at the first block of which two views tell different things.
pub(super) fn check(report: &Report) {
    let order = in_text(report);
    in_table(report, &order);
    #[cfg(feature = "json")]
    in_json(report);
}

/// The blocks in the order in which the text has them.
fn in_text(report: &Report) -> Vec<&Site> {
    let options = TextOptions {
        width: 10_000,
        top: usize::MAX,
        ..TextOptions::default()
    };
    let text = render(report, &options);
    let mut order: Vec<&Site> = Vec::new();
    for part in text.split("\n\n") {
        let number = format!("{}. ", order.len() + 1);
        let Some(head) = part
            .lines()
            .next()
            .and_then(|head| head.trim_start().strip_prefix(&number))
        else {
            continue;
        };
        let block = &report.blocks()[order.len()];
        assert_eq!(
            head,
            title(block),
            "the blocks are in the order of the report"
        );
        says(part, block);
        order.push(block);
    }
    assert_eq!(order.len(), report.blocks().len(), "{text}");
    order
}

/// The text of a block has its figures.
fn says(text: &str, block: &Site) {
    let summary = Summary::of(block);
    let live = summary.live_bytes;
    let held = match (live.error, live.value) {
        (_, 0) => String::new(),
        (Some(error), value) => format!("{} +- {}", bytes(value), bytes(error)),
        (None, value) => format!("{} now", bytes(value)),
    };
    assert!(text.contains(&held), "no {held} in {text}");
    if let Some(peak) = summary.peak_bytes.filter(|peak| peak.value > live.value) {
        let value = bytes(peak.value);
        let peak = match peak.bound {
            Some(Bound::AtLeast) => format!(", between {value} and about "),
            Some(Bound::AtMost) => format!(", at most {value} at its peak"),
            None => format!(", {value} at its peak"),
        };
        assert!(text.contains(&peak), "no {peak} in {text}");
    }
    if let Some(entries @ Figure { error: None, .. }) = summary.entries {
        let entries = format!("{} entr", thousands(entries.value));
        assert!(text.contains(&entries), "no {entries} in {text}");
    }
    for one in &block.suggestions {
        // What would come back is what is kept: no view has a dash for it.
        let back = one
            .saves
            .live_bytes
            .filter(|_| one.kind == AdviceKind::Shrink);
        let kept = summary.retained_bytes.map(|kept| kept.value);
        assert!(back <= kept, "{one:?} of {kept:?}");
    }
    if let Some(kept) = summary.retained_bytes.filter(|kept| kept.value > 0) {
        let kept = bytes(kept.value);
        assert!(text.contains(&kept), "{kept} kept are not in {text}");
    }
}

/// The table has the same blocks, with their figures as they are.
fn in_table(report: &Report, order: &[&Site]) {
    let text = table(report, Sort::Harm, usize::MAX);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(rows.len(), order.len() + 1, "{text}");
    for (row, block) in rows[1..].iter().zip(order) {
        let summary = Summary::of(block);
        let figures = [
            Some(summary.live_bytes),
            summary.peak_bytes,
            summary.retained_bytes,
            summary.entries,
            summary.maps_live,
            summary.resizes,
            summary.pause_ns,
        ];
        let told: Vec<Option<Figure>> = row[..7].iter().map(|cell| read(cell)).collect();
        assert_eq!(told, figures, "{text}");
        let names = [block.family.unwrap_or("-"), &place_of(block)].map(str::to_owned);
        assert_eq!(&row[7..9], names, "{text}");
    }
}

/// A cell as a figure.
fn read(cell: &str) -> Option<Figure> {
    if cell == "-" {
        return None;
    }
    let bound = [("<=", Bound::AtMost), (">=", Bound::AtLeast)];
    let bound = bound.into_iter().find(|(sign, _)| cell.starts_with(sign));
    let cell = cell.trim_start_matches(['<', '>', '=']);
    let (value, error) = match cell.split_once("+-") {
        Some((value, error)) => (value, Some(error)),
        None => (cell, None),
    };
    let number = |digits: &str| digits.parse().expect("a number");
    Some(Figure {
        value: number(value),
        error: error.map(number),
        bound: bound.map(|(_, bound)| bound),
    })
}

/// The JSON has what the others are made of.
#[cfg(feature = "json")]
fn in_json(report: &Report) {
    let json = serde_json::to_value(report).expect("JSON");
    let rows = match report.blocks.is_empty() {
        true => &json["sites"],
        false => &json["blocks"],
    };
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), report.blocks().len());
    for (row, block) in rows.iter().zip(report.blocks()) {
        let summary = Summary::of(block);
        let number = |field: &str| row[field].as_u64();
        let live = summary.live_bytes;
        match live.error {
            Some(_) => {
                let estimate = row["sampled"]["est_live_bytes"].as_f64();
                assert_eq!(estimate.map(|all| all.round() as u64), Some(live.value));
            }
            None => assert_eq!(number("live_bytes"), Some(live.value)),
        }
        let value = |figure: Option<Figure>| figure.map(|figure| figure.value);
        assert_eq!(number("retained_bytes"), value(summary.retained_bytes));
        assert_eq!(number("entries"), value(summary.entries));
        if live.error.is_none() && block.allocs > 0 {
            assert_eq!(number("peak_live_bytes"), value(summary.peak_bytes));
            assert_eq!(number("maps_live"), value(summary.maps_live));
            assert_eq!(number("resizes"), value(summary.resizes));
        }
    }
}

#[test]
fn a_table_has_a_line_for_each_block() {
    let mut report = service_report();
    let text = table(&report, Sort::Harm, usize::MAX);
    let (head, rows) = text.split_once('\n').expect("lines");
    let columns: Vec<&str> = head.split_whitespace().collect();
    assert_eq!(columns[..4], ["bytes", "peak", "kept", "entries"]);
    assert_eq!(rows.lines().count(), report.blocks().len());
    let first = rows.lines().next().expect("a block");
    let words: Vec<&str> = first.split_whitespace().collect();
    let names = ["hashbrown", "src/cache.rs:58", "HashMap<u64,", "Session>"];
    assert_eq!(words[7..], names, "{text}");
    // Nobody looked into its tables.
    assert_eq!(words[3], "-", "{text}");
    assert_eq!(table(&report, Sort::Harm, 1).lines().count(), 2);

    // What samples stand for is in it, with its error.
    let block = &mut report.blocks[0];
    block.sampled = Some(Sampled {
        samples: 9,
        est_allocs: 100.0,
        est_allocs_error: 1.0,
        est_allocated_bytes: 9e9,
        est_allocated_bytes_error: 2e7,
        est_live_bytes: 8_000_000_000.4,
        est_live_bytes_error: 12_345.6,
        est_maps_live: 800.0,
        est_maps_live_error: 7.0,
        est_resizes: Some(9000.0),
        est_resizes_error: Some(90.0),
    });
    (block.entries, block.entries_error) = (Some(77), Some(5));
    block.type_name = Some("Map<\n>".to_owned());
    let text = table(&report, Sort::Live, 1);
    let row: Vec<&str> = text
        .lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .collect();
    assert_eq!(
        row[..6],
        [
            "8000000000+-12346",
            "-",
            row[2],
            "77+-5",
            "800+-7",
            "9000+-90"
        ]
    );
    assert_eq!(row[6], ">=50330880", "not all resizes were timed");
    assert_eq!(row.last(), Some(&"Map<?>"), "a name is no line end");
}
