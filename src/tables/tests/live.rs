use super::super::live::{Heritage, LiveRecord, LiveTable, Slot};
use super::{Capacity, zeroes};
use crate::pool::Commit;
use crate::sync::{AtomicU64, Ordering};
use mapgrow_format::layout::{header, live, region};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

struct Unbounded;

impl Commit for Unbounded {
    fn commit(&self, _: usize, _: usize) -> bool {
        true
    }
}

/// A record in which every field is different and follows from `seed`.
pub(super) fn record(seed: u64) -> LiveRecord {
    LiveRecord {
        site: seed as u32 ^ 0x1111,
        bytes: seed + 1,
        ticks: seed + 2,
        serial: seed + 3,
        history: seed as u32 ^ 0x2222,
        thread: seed as u16 ^ 0x33,
        align_log2: seed as u8 ^ 4,
        flags: seed as u8 ^ 5,
        weight: seed as u32 ^ 0x6666,
        resizes: seed as u32 ^ 0x7777,
        born_ticks: seed + 8,
        first_serial: seed + 9,
    }
}

fn word(words: &[AtomicU64], index: usize) -> u64 {
    words[index].load(Ordering::Relaxed)
}

#[test]
fn record_lies_where_the_layout_says() {
    let memory = Capacity::default().memory();
    let table = memory.tables().live;
    let seed = 0xABCD_EF12_3456;
    let slot = table.insert(0x7000, &record(seed)).unwrap();
    let number = slot.number() as usize;
    assert_eq!(word(memory.region(region::LIVE_KEYS), number), 0x7000);
    let words = &memory.region(region::LIVE)[number * live::WORDS..][..live::WORDS];
    let r = record(seed);
    assert_eq!(word(words, live::SITE), u64::from(r.site) | 4 << 32);
    assert_eq!(word(words, live::BYTES), r.bytes);
    assert_eq!(word(words, live::TICKS), r.ticks);
    assert_eq!(word(words, live::SERIAL), r.serial);
    let links = word(words, live::LINKS);
    assert_eq!(links & 0xFFFF_FFFF, u64::from(r.history));
    assert_eq!(links >> 32 & 0xFFFF, u64::from(r.thread));
    assert_eq!(links >> 48 & 0xFF, u64::from(r.align_log2));
    assert_eq!(links >> 56, u64::from(r.flags));
    let weight = u64::from(r.weight) | u64::from(r.resizes) << 32;
    assert_eq!(word(words, live::WEIGHT), weight);
    assert_eq!(word(words, live::BORN_TICKS), r.born_ticks);
    assert_eq!(word(words, live::FIRST_SERIAL), r.first_serial);
    assert_eq!(memory.header(header::LIVE_LEVELS), 1);
}

#[test]
fn a_block_can_be_found_read_changed_and_removed_once() {
    let memory = Capacity::default().memory();
    let table = memory.tables().live;
    assert_eq!(table.find(0x7000), None);
    let slot = table.insert(0x7000, &record(1)).unwrap();
    assert_eq!(table.find(0x7000), Some(slot));
    assert_eq!(table.read(slot, 0x7000), Some(record(1)));
    assert_eq!(table.read(slot, 0x7008), None);
    assert!(table.holds(slot, record(1).serial));
    assert!(!table.holds(slot, record(2).serial));
    assert!(table.remove(slot, 0x7008).is_none());
    assert!(table.remove(slot, 0x7000).is_some());
    assert!(table.remove(slot, 0x7000).is_none());
    assert!(!table.holds(slot, record(1).serial));
    assert_eq!(table.find(0x7000), None);
}

#[test]
fn reserved_keys_are_no_addresses() {
    let memory = Capacity::default().memory();
    let table = memory.tables().live;
    let slot = table.insert(0x7000, &record(1)).unwrap();
    assert!(table.remove(slot, 0x7000).is_some());
    for address in [0, 1] {
        assert_eq!(table.insert(address, &record(1)), None);
        assert_eq!(table.find(address), None);
        assert!(table.remove(slot, address).is_none());
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many thousand slots")]
fn a_level_fills_well_before_another_opens() {
    let memory = Capacity {
        live: live::LEVEL0_SLOTS * 3,
        ..Capacity::default()
    }
    .memory();
    let table = memory.tables().live;
    let mut inserted = 0;
    while memory.header(header::LIVE_LEVELS) < 2 {
        inserted += 1;
        table.insert(inserted * 16, &record(inserted)).unwrap();
    }
    assert!(inserted > live::LEVEL0_SLOTS as u64 * 7 / 10, "{inserted}");
    assert_eq!(
        memory.commit.committed(region::LIVE_KEYS),
        live::LEVEL0_SLOTS * 3
    );
    assert_eq!(
        memory.commit.committed(region::LIVE),
        live::LEVEL0_SLOTS * 3 * live::WORDS
    );
    let slots: HashSet<u32> = (1..=inserted)
        .map(|at| table.find(at * 16).unwrap().number())
        .collect();
    assert_eq!(slots.len() as u64, inserted);
}

/// Who reads what is in the blocks may run out of time: those that it came to are a fair sample.
#[test]
#[cfg_attr(miri, ignore = "takes many thousand slots")]
fn half_of_the_blocks_are_a_random_half() {
    let memory = Capacity {
        live: live::LEVEL0_SLOTS * 7,
        ..Capacity::default()
    }
    .memory();
    let table = memory.tables().live;
    let mut inserted = 0;
    while memory.header(header::LIVE_LEVELS) < 3 {
        inserted += 1;
        table.insert(inserted * 16, &record(inserted)).unwrap();
    }
    let mut order = Vec::new();
    table.each(|_, address| order.push(address / 16));
    let all: HashSet<u64> = order.iter().copied().collect();
    assert_eq!((order.len() as u64, all.len() as u64), (inserted, inserted));
    for part in [10, 4, 2] {
        let seen = &order[..order.len() / part];
        let old = seen.iter().filter(|&&at| at <= inserted / 2).count();
        let share = old as f64 / seen.len() as f64;
        assert!((0.4..0.6).contains(&share), "{share} of one in {part}");
    }
}

/// Opening a level must not commit megabytes at once, nor must a table commit much that it never
/// uses.
#[test]
#[cfg_attr(miri, ignore = "takes half a million slots")]
fn a_large_level_is_ready_before_it_opens_and_not_long_before() {
    let memory = Capacity {
        live: live::LEVEL0_SLOTS * 31,
        ..Capacity::default()
    }
    .memory();
    let table = memory.tables().live;
    let slots = |levels: u32| live::LEVEL0_SLOTS * ((1 << levels) - 1);
    let mut inserted = 0_u64;
    for levels in 1..5 {
        let mut ready = 0;
        while memory.header(header::LIVE_LEVELS) <= u64::from(levels) {
            if inserted == slots(levels) as u64 * 13 / 20 {
                let early = memory.commit.committed(region::LIVE_KEYS) - slots(levels);
                let level = slots(levels + 1) - slots(levels);
                assert!(early < level / 4, "{early} of {level} at 65 %");
            }
            ready = memory.commit.committed(region::LIVE_KEYS);
            inserted += 1;
            table.insert(inserted << 12, &record(inserted)).unwrap();
        }
        if levels > 1 {
            assert_eq!(ready, slots(levels + 1), "{levels} levels");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes many thousand slots")]
fn refused_memory_refuses_blocks_and_keeps_the_rest() {
    let mut memory = Capacity {
        live: live::LEVEL0_SLOTS * 3,
        ..Capacity::default()
    }
    .memory();
    // Keys could grow, records could not.
    memory.bound(region::LIVE, live::LEVEL0_SLOTS * live::WORDS);
    let table = memory.tables().live;
    let addresses = (1..=5000_u64).map(|at| at * 4096);
    let placed: Vec<(u64, Slot)> = addresses
        .filter_map(|address| Some((address, table.insert(address, &record(address))?)))
        .collect();
    assert!(placed.len() > live::LEVEL0_SLOTS * 7 / 10);
    assert!(placed.len() <= live::LEVEL0_SLOTS);
    assert_eq!(memory.header(header::LIVE_LEVELS), 1);
    for (address, slot) in placed {
        assert_eq!(table.read(slot, address), Some(record(address)));
        assert!(table.remove(slot, address).is_some());
    }
    assert!(table.insert(1 << 40, &record(0)).is_some());
}

#[derive(Debug, Clone)]
enum Op {
    Insert(u64),
    Remove(u64),
    Inherit(u64),
    Find(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let address = (1..600_u64).prop_map(|at| at * 64);
    (address, 0..8).prop_map(|(address, kind)| match kind {
        0..=3 => Op::Insert(address),
        4 | 5 => Op::Remove(address),
        6 => Op::Inherit(address),
        _ => Op::Find(address),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// 16 + 32 + 64 slots for up to 599 addresses: levels open, and the table gets full.
    #[test]
    fn table_agrees_with_a_hash_map(ops in prop::collection::vec(op(), 1..800)) {
        let header = zeroes(header::LIVE_LEVELS + 1);
        let (keys, records) = (zeroes(112), zeroes(112 * live::WORDS));
        let table = LiveTable::<_, 16>::new(&header, &keys, &records, &Unbounded).unwrap();
        let mut truth: HashMap<u64, LiveRecord> = HashMap::new();
        for (at, op) in ops.into_iter().enumerate() {
            let fresh = record(at as u64);
            match op {
                Op::Insert(address) if !truth.contains_key(&address) => {
                    match table.insert(address, &fresh) {
                        Some(_) => {
                            truth.insert(address, fresh);
                        }
                        // (The least in 60,000 cases was 79.)
                        None => prop_assert!(truth.len() > 64, "full at {}", truth.len()),
                    }
                }
                Op::Remove(address) => {
                    let removed = table.find(address).and_then(|slot| table.remove(slot, address));
                    prop_assert_eq!(removed, truth.remove(&address));
                }
                Op::Inherit(address) if truth.contains_key(&address) => {
                    let slot = table.find(address).unwrap();
                    let heritage = Heritage {
                        history: fresh.history,
                        resizes: fresh.resizes,
                        flags: 3,
                        origin: Some((fresh.born_ticks, fresh.first_serial)),
                    };
                    let known = truth.get_mut(&address).unwrap();
                    prop_assert!(!table.inherit(slot, known.serial + 1, &heritage));
                    prop_assert!(table.inherit(slot, known.serial, &heritage));
                    known.inherit(&heritage);
                }
                Op::Insert(address) | Op::Inherit(address) | Op::Find(address) => {
                    let read = table.find(address).and_then(|slot| table.read(slot, address));
                    prop_assert_eq!(read, truth.get(&address).copied());
                }
            }
        }
        let mut present: Vec<u64> = keys.iter().map(|key| key.load(Ordering::Relaxed)).collect();
        present.retain(|&key| key != 0);
        present.sort_unstable();
        let mut expected: Vec<u64> = truth.keys().copied().collect();
        expected.sort_unstable();
        prop_assert_eq!(present, expected);
    }
}

/// Nanoseconds that this thread has been running: other work on the machine does not count.
fn thread_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

/// Prints what a steady turnover costs at different numbers of live blocks: run it alone, with
/// `--release` and `--nocapture`.
#[test]
#[cfg_attr(miri, ignore = "counts time")]
fn cost_of_turnover() {
    let sizes: &[u64] = if cfg!(debug_assertions) {
        &[1_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000]
    };
    for &live_blocks in sizes {
        let memory = Capacity {
            live: live::LEVEL0_SLOTS * 511,
            ..Capacity::default()
        }
        .memory();
        let table = memory.tables().live;
        // Addresses as an allocator gives them out for blocks of a few hundred bytes, in an order
        // that no cache foresees.
        let address = |at: u64| 0x7F00_0000_0000 + (at.wrapping_mul(0x9E37_79B9) % (1 << 26)) * 320;
        for at in 0..live_blocks {
            table.insert(address(at), &record(at)).unwrap();
        }
        let rounds = if cfg!(debug_assertions) {
            20_000
        } else {
            1_000_000
        };
        let began = thread_time();
        for at in 0..rounds {
            let old = address(at);
            let slot = table.find(old).unwrap();
            assert!(table.read(slot, old).is_some() && table.remove(slot, old).is_some());
            table
                .insert(address(live_blocks + at), &record(at))
                .unwrap();
        }
        let turnover = (thread_time() - began) / rounds;
        let began = thread_time();
        let missing = (0..rounds)
            .filter(|&at| table.find(address(at) + 8).is_none())
            .count();
        let miss = (thread_time() - began) / rounds;
        assert_eq!(missing as u64, rounds);
        println!(
            "{live_blocks:>8} live, {} levels: find+read+remove+insert {turnover} ns, miss {miss} ns",
            memory.header(header::LIVE_LEVELS)
        );
    }
}
