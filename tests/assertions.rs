//! `mapgrow::testing`: each assertion passes what it should and fails what it should.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use mapgrow::testing::{Measure, Rule, assert_gates, watch};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

#[inline(never)]
fn regressed(entries: u64) -> HashMap<u64, [u64; 4]> {
    let mut map = HashMap::new();
    for n in 0..entries {
        map.insert(n, [n; 4]);
    }
    map
}

#[inline(never)]
fn presized(entries: u64) -> HashMap<u64, [u64; 4]> {
    let mut map = HashMap::with_capacity(entries as usize);
    for n in 0..entries {
        map.insert(n, [n; 4]);
    }
    map
}

/// What an assertion that does not hold says.
fn failure(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("it has to fail");
    panic.downcast_ref::<String>().cloned().expect("a sentence")
}

#[test]
fn a_watch_fails_the_regressed_map_and_passes_the_presized_one() {
    let seen = watch();
    let map = presized(50_000);
    seen.assert_resizes_at_most_at("presized", 0);
    seen.assert_overlap_at_most(0);
    seen.assert_pauses_at_most(Duration::ZERO);
    drop((seen, map));

    let seen = watch();
    let map = regressed(50_000);
    let text = failure(|| seen.assert_resizes_at_most_at("regressed", 3));
    assert!(text.contains("at most 3"), "{text}");
    let text = failure(|| seen.assert_overlap_at_most(1 << 20));
    // 32,768 and 65,536 buckets of 40 bytes, side by side: 4.1 MB.
    assert!(
        text.contains("3.8 MiB together in") && text.contains("regressed"),
        "{text}"
    );
    let text = failure(|| seen.assert_pauses_at_most(Duration::ZERO));
    assert!(text.contains("a resize took"), "{text}");
    seen.assert_overlap_at_most(4 << 20);
    seen.assert_pauses_at_most(Duration::from_secs(60));
    assert_eq!(map.len(), 50_000);
}

#[test]
fn gates_judge_the_whole_process() {
    let map = std::thread::spawn(|| regressed(20_000))
        .join()
        .expect("it ends");
    let text = failure(|| assert_gates(&[Rule::site(Measure::Resizes, "regressed", 2)]));
    assert!(
        text.contains("more than 2") && text.contains("with_capacity"),
        "{text}"
    );
    assert_gates(&[
        Rule::site(Measure::Resizes, "regressed", 100),
        Rule::all(Measure::Pause, 60_000_000_000),
        Rule::all(Measure::Peak, 1 << 30),
    ]);
    assert_eq!(map.len(), 20_000);
}
