//! Comparisons and gates: of blocks, and of what is known by samples.

use super::blocks::{mostly_sampled, moved};
use super::{Names, program, report};
use crate::Report;
use crate::judgement::diff::{Became, Diff, Tolerance, diff};
use crate::judgement::gates::{Outcome, Rule, judge};
use crate::judgement::measure::Measure;
use mapgrow_format::layout::{live, site};

const WEIGHT: u64 = 1000;
const NODE: u64 = 200;

/// A program with a tree of which so many nodes were sampled.
fn tree(samples: u64) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let node = names.at(&[
        "alloc::collections::btree::node::LeafNode<K,V>::new@/rustc/1/library/alloc/src/node.rs:5",
        "alloc::collections::btree::map::BTreeMap<K,V,A>::insert@/rustc/1/library/alloc/src/map.rs:9",
        "demo::index@src/index.rs:4",
    ]);
    if samples > 0 {
        let at = program.recording.site(site::ENTRY_ALLOC, &[node]);
        let words = program.recording.site_words(at);
        words[site::SAMPLED_ALLOCS] = samples;
        words[site::W_ALLOCS] = samples * WEIGHT * 256;
        words[site::W_ALLOC_BYTES] = samples * WEIGHT * NODE;
        words[site::VAR_ALLOCS] = samples * WEIGHT * (WEIGHT - 1);
        words[site::VAR_ALLOC_BYTES] = samples * WEIGHT * (WEIGHT - 1) * NODE * NODE / (1 << 20);
        (words[site::MIN_BYTES], words[site::MAX_BYTES]) = (NODE, NODE);
        for serial in 1..=samples {
            let address = 0x7000_0000 + serial * 256;
            let words = program.recording.live(address, at, NODE, serial);
            words[live::WEIGHT] = WEIGHT * 256;
        }
    }
    report(&mut program, &mut names)
}

fn compared(old: u64, new: u64, by: Measure) -> Diff {
    let diff = diff(&tree(old), &tree(new), by, &Tolerance::default());
    assert_eq!(diff.sites.len(), 1);
    diff
}

#[test]
fn a_site_known_by_samples_is_compared_by_its_estimate() {
    let diff = compared(100, 400, Measure::Live);
    assert_eq!(diff.sites[0].became, Became::Grew);
    let change = diff.sites[0].change(Measure::Live).expect("live");
    let bytes = |samples: u64| Some(samples * WEIGHT * NODE);
    assert_eq!((change.old, change.new), (bytes(100), bytes(400)));
    let error = change.old_error.expect("an estimate");
    assert!((1_990_000..2_010_000).contains(&error), "{error}");
    let total = diff.totals.iter().find(|all| all.measure == Measure::Live);
    let total = total.expect("live");
    assert_eq!((total.old, total.new), (bytes(100), bytes(400)));
    assert!(total.old_error.is_some_and(|all| all.abs_diff(error) < 10));
    // Its peak is not known.
    let peak = diff.sites[0].change(Measure::Peak).expect("peak");
    assert_eq!((peak.old, peak.new), (None, None));
}

#[test]
fn few_samples_do_not_tell_that_a_site_is_new_or_gone() {
    for (old, new, became) in [
        (100, 0, Became::Gone),
        (0, 100, Became::New),
        (1, 0, Became::Unknown),
        (0, 1, Became::Unknown),
    ] {
        let diff = compared(old, new, Measure::Peak);
        assert_eq!(diff.sites[0].became, became, "{old} {new}");
        assert_eq!(diff.counts.unsure, usize::from(became == Became::Unknown));
    }
}

/// One map that grew on elsewhere is one place.
#[test]
fn blocks_are_compared() {
    let (old, new) = (moved(), moved());
    assert_eq!(new.sites.len(), 2);
    let diff = diff(&old, &new, Measure::Resizes, &Tolerance::default());
    assert_eq!((diff.sites.len(), diff.counts.matched), (1, 1));
    let change = diff.sites[0].change(Measure::Resizes).expect("resizes");
    assert_eq!((change.old, change.new), (Some(13), Some(13)));
}

/// What samples stand for counts against a bound, in a place and in the whole.
#[test]
fn a_bound_is_on_what_samples_stand_for_too() {
    let report = mostly_sampled();
    let (block, totals) = (&report.blocks[0], &report.totals);
    let counted = (block.live_bytes, totals.live_bytes);
    let all = (block.live().0, totals.est_live_bytes);
    assert!(counted.0 * 2 < all.0 && counted.1 * 2 < all.1, "{block:?}");
    for (site, counted, all) in [
        (None, counted.1, all.1),
        (Some("*".to_owned()), counted.0, all.0),
    ] {
        let measure = Measure::Live;
        for (most, outcome) in [(counted, Outcome::Broken), (all, Outcome::Held)] {
            let site = site.clone();
            let rule = Rule {
                measure,
                site,
                most,
            };
            let findings = judge(&report, &[rule]);
            assert_eq!(findings[0].outcome, outcome, "{findings:?}");
            assert_eq!(findings[0].found, Some(all));
            assert!(findings[0].found_error > Some(0), "{findings:?}");
            assert!(findings[0].reason.contains(" +- "), "{findings:?}");
        }
    }
}
