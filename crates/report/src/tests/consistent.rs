//! No figure of a report contradicts another: checked on every report that these tests build, and on
//! those of programs that chance makes.

use super::{Names, program, report, table};
use crate::rows::cost::{harm, held};
use crate::text::headlines;
use crate::{Coverage, Report, Site};
use mapgrow_fixture::Block;
use mapgrow_format::layout::{edge, site};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn counted(rows: &[Site]) -> impl Iterator<Item = &Site> {
    rows.iter().filter(|row| row.coverage != Coverage::Sampled)
}

fn sum<'a>(rows: impl Iterator<Item = &'a Site>, of: impl Fn(&Site) -> u64) -> u64 {
    rows.map(of).fold(0, u64::saturating_add)
}

/// Live bytes with what samples stand for.
fn estimated(row: &Site) -> f64 {
    match &row.sampled {
        Some(sampled) => sampled.est_live_bytes,
        None => row.live_bytes as f64,
    }
}

/// Panics at the first two figures that contradict each other.
pub(super) fn check(report: &Report) {
    sums(report);
    peaks(report);
    report.sites.iter().for_each(row);
    report.blocks.iter().for_each(row);
    report.blocks.iter().for_each(promises);
    places(report);
    others(report);
    order(report);
}

/// What lies in no container is a part of all that does, the largest place first.
fn others(report: &Report) {
    let others = &report.others;
    let counted = others.iter().map(|place| place.live_bytes).sum::<u64>();
    assert!(counted <= report.totals.other_live_bytes, "in no container");
    assert!(others.is_sorted_by(|one, next| one.est_live_bytes >= next.est_live_bytes));
    for place in others {
        assert!(place.est_live_bytes >= place.live_bytes, "{place:?}");
        assert!(
            place.est_live_bytes > place.live_bytes || place.est_live_error_bytes == 0,
            "{place:?}"
        );
    }
}

/// Parts sum to wholes.
fn sums(report: &Report) {
    let totals = &report.totals;
    for rows in [&report.sites, &report.blocks] {
        let of = |of: fn(&Site) -> u64| sum(counted(rows), of);
        assert_eq!(of(|row| row.live_bytes), totals.live_bytes, "live");
        assert_eq!(
            of(|row| row.allocated_bytes),
            totals.allocated_bytes,
            "allocated"
        );
        assert_eq!(
            of(|row| row.resizes.unwrap_or(0)),
            totals.resizes,
            "resizes"
        );
        let copied = of(|row| row.copied_bytes.unwrap_or(0));
        assert_eq!(Some(copied), totals.copied_bytes, "copied");
        let overlap = rows.iter().filter_map(|row| row.overlap_peak_bytes).max();
        assert_eq!(overlap.unwrap_or(0), totals.overlap_peak_bytes, "overlap");
        let all: f64 = rows.iter().map(estimated).sum();
        let off = (all - totals.est_live_bytes as f64).abs();
        assert!(off <= rows.len() as f64, "{all} {}", totals.est_live_bytes);
        let pauses = rows.iter().filter_map(|row| row.pause_ns.as_ref());
        let longest = pauses.filter_map(|pauses| pauses.max).max();
        assert_eq!(
            longest.unwrap_or(0),
            totals.pause_max_ns.unwrap_or(0),
            "pause"
        );
    }
    let in_blocks = report.blocks.iter().flat_map(|block| &block.recorded_sites);
    let in_sites = report.sites.iter().flat_map(|site| &site.recorded_sites);
    let (mut in_blocks, mut in_sites) =
        (in_blocks.collect::<Vec<_>>(), in_sites.collect::<Vec<_>>());
    in_blocks.sort_unstable();
    in_sites.sort_unstable();
    assert_eq!(in_blocks, in_sites, "each site is in one block");
    for site in &report.sites {
        let own = report.blocks().iter().filter(|block| block.has(site.id));
        assert_eq!(own.count(), 1, "site {} is in one block", site.id);
    }
}

/// Nothing was ever less than it is, and no part more than the whole.
fn peaks(report: &Report) {
    let totals = &report.totals;
    assert!(
        totals.est_live_bytes >= totals.live_bytes,
        "estimate below the count"
    );
    assert!(totals.peak_bytes >= totals.est_live_bytes, "peak below now");
    assert!(
        totals.peak_bytes >= totals.overlap_peak_bytes,
        "peak below overlap"
    );
    assert!(totals.peak_error_bytes <= totals.peak_bytes);
    if let Some(peak) = &report.peak {
        let least = totals.peak_bytes - totals.peak_error_bytes;
        assert!(
            peak.bytes >= least || totals.peak_at_least,
            "a part above the whole"
        );
        assert!(peak.overlap_bytes <= Some(peak.bytes), "{peak:?}");
        assert!(peak.without_overlap_bytes <= peak.bytes, "{peak:?}");
    }
    for row in report.sites.iter().chain(&report.blocks) {
        assert!(row.peak_live_bytes <= Some(totals.peak_bytes), "{row:?}");
    }
}

/// What one row says of itself.
fn row(row: &Site) {
    let (held, _) = held(row);
    if let Some(peak) = row.peak_live_bytes {
        assert!(peak >= held, "peak {peak} below {held}: {row:?}");
        assert!(Some(peak) >= row.overlap_peak_bytes, "{row:?}");
        assert!(row.peak_live_error_bytes <= Some(peak), "{row:?}");
    }
    if row.coverage != Coverage::Sampled {
        assert_eq!(
            row.allocated_bytes - row.freed_bytes,
            row.live_bytes,
            "{row:?}"
        );
    }
    assert!(row.retained_bytes <= Some(held), "{row:?}");
    assert_eq!(
        row.entries.is_some(),
        row.entries_error.is_some(),
        "{row:?}"
    );
    assert_eq!(
        row.retained_bytes.is_some(),
        row.retained_error_bytes.is_some()
    );
    if let (Some(entries), Some(capacity)) = (row.entries, row.capacity) {
        assert!(entries <= capacity, "{row:?}");
    }
    if let (Some(grows), Some(shrinks), Some(resizes)) = (row.grows, row.shrinks, row.resizes) {
        assert!(grows + shrinks <= resizes, "{row:?}");
    }
    if let Some(pauses) = &row.pause_ns {
        assert!(pauses.max <= pauses.total, "{pauses:?}");
    }
}

/// Nobody is promised more than there is. (The first site of a block has the block's advice.)
fn promises(row: &Site) {
    let (held, _) = held(row);
    for one in &row.suggestions {
        let saves = &one.saves;
        assert!(
            saves
                .live_bytes
                .is_none_or(|saved| saved <= held || one.kind != crate::AdviceKind::Shrink),
            "{one:?}"
        );
        assert!(
            saves.overlap_bytes.is_none()
                || saves.overlap_bytes <= row.overlap_peak_bytes
                || one.kind == crate::AdviceKind::Bound,
            "{one:?}"
        );
        assert!(
            saves.resizes.is_none() || saves.resizes <= row.resizes.max(Some(1)),
            "{one:?}"
        );
    }
}

/// The places of a block are its parts.
fn places(report: &Report) {
    for block in counted(&report.blocks) {
        let live: u64 = block.places.iter().map(|place| place.live_bytes).sum();
        let resizes: u64 = block.places.iter().filter_map(|place| place.resizes).sum();
        assert_eq!(live, block.live_bytes, "{block:?}");
        assert_eq!(resizes, block.resizes.unwrap_or(0), "{block:?}");
        let ids: BTreeSet<u32> = block.places.iter().map(|place| place.site).collect();
        assert_eq!(ids.len(), block.places.len(), "{block:?}");
    }
}

/// What costs most comes first, and the headline is of it.
fn order(report: &Report) {
    for rows in [&report.sites, &report.blocks] {
        assert!(
            rows.is_sorted_by_key(|row| std::cmp::Reverse(harm(row))),
            "order"
        );
    }
    let Some(first) = report.blocks.first() else {
        return;
    };
    let place = crate::text::place(first.caller.as_ref());
    let findings = headlines(report).findings;
    assert!(
        findings.iter().any(|line| line.contains(&place)),
        "{place}: {findings:?}"
    );
}

/// What a program made by chance does next.
#[derive(Debug, Clone)]
enum Step {
    Make(usize, u32),
    Grow(usize),
    Shrink(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let map = 0_usize..32;
    prop_oneof![
        3 => (0_usize..4, 3_u32..14).prop_map(|(site, log2)| Step::Make(site, log2)),
        4 => map.clone().prop_map(Step::Grow),
        1 => map.clone().prop_map(Step::Shrink),
        1 => map.prop_map(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Maps of four places, two of which are one line, that grow at whatever place comes.
    #[test]
    fn reports_of_any_program_agree_with_themselves(
        steps in prop::collection::vec(step(), 1..60),
        reallocs in any::<bool>(),
    ) {
        let (mut names, mut program) = (Names::default(), program());
        let growth = names.at(&["hashbrown::raw::RawTable<T,A>::reserve_rehash"]);
        names.holds(growth, "(u64, u64)");
        let lines = ["src/a.rs:1", "src/a.rs:1", "src/b.rs:7", "src/c.rs:9"];
        let sites: Vec<u32> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| {
                let own = names.at(&[&format!("demo::fill@{line}")]);
                let outer = names.at(&[&format!("demo::caller_{at}@src/main.rs:{at}")]);
                program.recording.site(site::ENTRY_ALLOC, &[growth, own, outer])
            })
            .collect();
        let kind = if reallocs { edge::KIND_REALLOC } else { edge::KIND_REPLACE };
        let mut edges = std::collections::BTreeMap::new();
        let mut maps: Vec<(usize, u32, Block)> = Vec::new();
        for step in steps {
            program.now += 1_000;
            match step {
                Step::Make(at, log2) => {
                    let block = program.alloc(sites[at], table(1 << log2, 16), 16);
                    maps.push((at, log2, block));
                }
                Step::Grow(_) | Step::Shrink(_) | Step::Drop(_) if maps.is_empty() => {}
                Step::Drop(which) => {
                    let (.., block) = maps.swap_remove(which % maps.len());
                    program.free(block);
                }
                Step::Grow(which) | Step::Shrink(which) => {
                    let which = which % maps.len();
                    let (at, log2, block) = maps.swap_remove(which);
                    let to = if matches!(step, Step::Grow(_)) { log2 + 1 } else { log2.max(3) - 1 };
                    let at_next = (at + which) % sites.len();
                    let over = *edges.entry((at, at_next)).or_insert_with(|| {
                        program.recording.edge(kind, Some(sites[at]), sites[at_next], 0, growth)
                    });
                    let block = program.replace(block, over, table(1 << to, 16), 70);
                    maps.push((at_next, to, block));
                }
            }
        }
        for (index, (.., block)) in maps.into_iter().enumerate() {
            program.keep(block, 0x7000_0000_0000 + index as u64 * 0x100_0000);
        }
        // It is checked where it is built.
        report(&mut program, &mut names);
    }
}
