//! Programs before and after following one piece of advice: `victim_advice KIND before|after`.
//!
//! A program says what it was advised and what that would save, and at its end what it took:
//!
//! ```text
//! advised presize resizes=12 copied=1048560
//! took resizes=12 copied=1048560 allocated=2097152 overlap=1572864 live=1048576
//! ```

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use mapgrow::report::{AdviceKind, Report, Saving, Site};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

type Wide = HashMap<u64, [u64; 5]>;

/// Prints what the program is advised for its place that holds or grew most.
fn advised(kind: AdviceKind) {
    let report = mapgrow::snapshot().expect("recording is on");
    for site in &report.sites {
        for advice in &site.suggestions {
            println!("# {}", advice.text);
        }
    }
    let given = report.sites.iter().flat_map(|site| &site.suggestions);
    if let Some(advice) = given.into_iter().find(|advice| advice.kind == kind) {
        println!("advised {}", figures(&advice.saves));
    }
}

fn figures(saves: &Saving) -> String {
    let whole = [
        ("resizes", saves.resizes),
        ("live", saves.live_bytes),
        ("allocated", saves.allocated_bytes),
        ("copied", saves.copied_bytes),
        ("overlap", saves.overlap_bytes),
    ];
    let mut text: Vec<String> = whole
        .iter()
        .filter_map(|&(name, saved)| Some(format!("{name}={}", saved?)))
        .collect();
    text.extend(
        saves
            .comparisons
            .map(|saved| format!("comparisons={saved}")),
    );
    text.join(" ")
}

/// Prints what the program's hash maps took.
fn took(comparisons: Option<f64>) {
    let report: Report = mapgrow::snapshot().expect("recording is on");
    let maps = || {
        report
            .sites
            .iter()
            .filter(|site| site.family == Some("hashbrown"))
    };
    let sum = |of: fn(&Site) -> Option<u64>| maps().filter_map(of).sum::<u64>();
    println!(
        "took resizes={} live={} allocated={} copied={} overlap={} comparisons={}",
        sum(|site| site.resizes),
        sum(|site| Some(site.live_bytes)),
        sum(|site| Some(site.allocated_bytes)),
        sum(|site| site.copied_bytes),
        maps()
            .filter_map(|site| site.overlap_peak_bytes)
            .max()
            .unwrap_or(0),
        comparisons.unwrap_or(0.0),
    );
}

/// Maps of different final sizes that stay: most end with 28,672 entries or fewer.
fn presize(after: bool) {
    let mut maps = Vec::new();
    for number in 0..40_u64 {
        let entries = if number < 36 {
            20_000 + number * 200
        } else {
            10_000
        };
        let mut map = if after {
            Wide::with_capacity(28_672)
        } else {
            Wide::new()
        };
        for key in 0..entries {
            map.insert(key, [number; 5]);
        }
        maps.push(map);
    }
    advised(AdviceKind::Presize);
    took(None);
}

fn shrink(after: bool) {
    let mut map = Wide::new();
    for key in 0..400_000 {
        map.insert(key, [key; 5]);
    }
    map.retain(|key, _| key % 100 == 0);
    advised(AdviceKind::Shrink);
    if after {
        map.shrink_to_fit();
    }
    took(None);
}

/// Entries come and go until tombstones leave hardly any room.
fn rebuild(after: bool) {
    let mut map = Wide::new();
    let capacity = 229_376;
    let mut oldest = 0;
    let mut next = 0;
    while next < 150_000 {
        map.insert(next, [next; 5]);
        next += 1;
    }
    // In a full table deleted buckets cannot be made empty.
    while next < 215_000 {
        map.insert(next, [next; 5]);
        next += 1;
    }
    while map.len() > 160_000 {
        map.remove(&oldest);
        oldest += 1;
    }
    assert!(map.capacity() < capacity, "tombstones take room");
    advised(AdviceKind::Rebuild);
    if after {
        map = std::mem::take(&mut map).into_iter().collect();
    }
    for key in next..next + 62_000 {
        map.insert(key, [key; 5]);
    }
    took(None);
}

/// A cache that nobody limits, or that drops its oldest entry for each new one.
fn bound(after: bool) {
    const PACE: u64 = 400_000;
    const LIMIT: u64 = 1_300_000;
    let mut map = Wide::new();
    let start = Instant::now();
    let mut advised_yet = false;
    for key in 0..2_000_000_u64 {
        if key % 1_000 == 0 {
            let due = Duration::from_millis(key * 1_000 / PACE);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
        if after && key >= LIMIT {
            map.remove(&(key - LIMIT));
        }
        map.insert(key, [key; 5]);
        if key >= LIMIT && !advised_yet {
            advised_yet = true;
            advised(AdviceKind::Bound);
        }
    }
    took(None);
}

thread_local! {
    static COMPARED: Cell<u64> = const { Cell::new(0) };
}

#[derive(Clone, Copy, Eq)]
struct Key(u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.0 == other.0
    }
}

/// SipHash without its top bits.
#[derive(Default)]
struct Narrow(DefaultHasher);

impl Hasher for Narrow {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }
    fn finish(&self) -> u64 {
        self.0.finish() & u64::from(u32::MAX)
    }
}

fn look_ups<H: Hasher + Default>() {
    let mut map: HashMap<Key, u64, BuildHasherDefault<H>> = HashMap::default();
    for key in 0..180_000 {
        map.insert(Key(key), key);
    }
    advised(AdviceKind::Hasher);
    const LOOK_UPS: u64 = 100_000;
    COMPARED.set(0);
    let found = (0..LOOK_UPS).filter(|key| map.contains_key(&Key(key + 1_000_000)));
    assert_eq!(found.count(), 0);
    took(Some(COMPARED.get() as f64 / LOOK_UPS as f64));
}

/// One map, or as many as the advice says, handed over by the test.
fn split(after: bool) {
    let parts = std::env::args().nth(3).and_then(|parts| parts.parse().ok());
    let parts = if after { parts.unwrap_or(1) } else { 1 };
    let mut maps: Vec<HashMap<u64, [u64; 9]>> = (0..parts).map(|_| HashMap::new()).collect();
    for key in 0..2_000_000_u64 {
        let part = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % parts;
        maps[part as usize].insert(key, [key; 9]);
    }
    advised(AdviceKind::Split);
    took(None);
}

fn reuse(after: bool) {
    let mut kept = Wide::new();
    let mut sum = 0;
    for round in 0..600_u64 {
        let mut fresh = Wide::new();
        let map = if after { &mut kept } else { &mut fresh };
        for key in 0..3_000 + round {
            map.insert(key, [round; 5]);
        }
        sum += map.len();
        map.clear();
    }
    assert!(sum > 0);
    advised(AdviceKind::Reuse);
    took(None);
}

fn main() {
    let argument = |at| {
        std::env::args()
            .nth(at)
            .expect("a kind, and before or after")
    };
    let after = argument(2) == "after";
    match argument(1).as_str() {
        "presize" => presize(after),
        "shrink" => shrink(after),
        "rebuild" => rebuild(after),
        "bound" => bound(after),
        "hasher" if after => look_ups::<DefaultHasher>(),
        "hasher" => look_ups::<Narrow>(),
        "split" => split(after),
        "reuse" => reuse(after),
        other => panic!("no such kind: {other}"),
    }
}
