//! Eight threads on one recording: what was allocated and not freed is what is live.

use super::super::Tables;
use super::super::edges::{EdgeKey, ReplaceFigures};
use super::super::history::Earlier;
use super::super::live::LiveRecord;
use super::super::sites::{BlockFigures, SiteKey, SiteOrigin};
use super::Capacity;
use crate::pool::Commit;
use crate::sync::{AtomicU64, Ordering};
use crate::timeline::Event;
use mapgrow_format::layout::{edge, event, header, live, region, site};
use std::sync::mpsc;
use std::thread;

const THREADS: u64 = 8;
const ROUNDS: u64 = if cfg!(debug_assertions) {
    20_000
} else {
    100_000
};
const STACKS: u64 = 20;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

fn site_of<C: Commit>(tables: &Tables<'_, C>, stack: u64) -> u32 {
    let key = SiteKey {
        hash: stack / 2,
        entry: if stack % 4 == 3 {
            site::ENTRY_REALLOC
        } else {
            site::ENTRY_ALLOC
        } as u8,
        truncated: false,
    };
    tables
        .sites
        .find_or_create(&key, [stack, 1, 2].into_iter(), || SiteOrigin {
            ticks: 0,
            module_epoch: 0,
            group: Some(1 + stack / 4),
        })
}

fn free<C: Commit>(tables: &Tables<'_, C>, address: u64, now: u64) {
    let slot = tables
        .live
        .find(address)
        .expect("an owned block is in the table");
    let record = tables.live.read(slot, address).expect("and can be read");
    assert_eq!(
        record.first_serial, address,
        "and is the one that was put in"
    );
    assert!(tables.live.remove(slot, address).is_some());
    tables.history.release_chain(record.history);
    tables.sites.freed(record.site, record.bytes, 256, now);
}

#[test]
#[cfg_attr(
    miri,
    ignore = "was not seen to end in a quarter of an hour; the loom models have its races"
)]
fn nothing_is_lost_or_invented() {
    let memory = Capacity {
        index_words: 4096,
        live: live::LEVEL0_SLOTS * 7,
        nodes: 30_000,
        ..Capacity::default()
    }
    .memory();
    let tables = memory.tables();
    let clock = AtomicU64::new(1);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| mpsc::channel::<u64>()).unzip();
    thread::scope(|scope| {
        for (me, receiver) in receivers.into_iter().enumerate() {
            let (tables, clock, senders) = (&tables, &clock, senders.clone());
            let keys = memory.region(region::LIVE_KEYS);
            scope.spawn(move || {
                let mut random = Random(me as u64 + 1);
                let mut mine: Vec<u64> = Vec::new();
                for round in 0..ROUNDS {
                    let now = clock.fetch_add(1 << 16, Ordering::Relaxed);
                    mine.extend(receiver.try_iter());
                    if mine.len() < 100 || (mine.len() < 2500 && random.below(2) == 0) {
                        let address = (me as u64) << 40 | (round + 1) << 4;
                        let bytes = 1 + random.below(1 << 20);
                        let id = site_of(tables, random.below(STACKS));
                        let earlier = Earlier {
                            previous: 0,
                            edge: 1,
                            bytes,
                            serial: 1,
                            ticks: now,
                        };
                        let mut history = tables.history.push(&earlier).unwrap_or(0);
                        if let Some(longer) = tables.history.push(&Earlier {
                            previous: history,
                            ..earlier
                        }) {
                            history = longer;
                        }
                        let record = LiveRecord {
                            site: id,
                            bytes,
                            history,
                            first_serial: address,
                            ..LiveRecord::default()
                        };
                        if tables.live.insert(address, &record).is_some() {
                            let block = BlockFigures {
                                bytes,
                                weight: 256,
                                align_log2: 4,
                                late: false,
                                untold: false,
                            };
                            tables.sites.allocated(id, &block, now);
                            mine.push(address);
                        } else {
                            // Blocks pile up in the mailboxes of threads that do not get to run.
                            let taken = keys.iter().filter(|key| key.load(Ordering::Relaxed) != 0);
                            let taken = taken.count();
                            assert!(taken > keys.len() * 4 / 5, "refused with {taken}");
                            tables.history.release_chain(history);
                        }
                    } else {
                        let address = mine.swap_remove(random.below(mine.len() as u64) as usize);
                        if random.below(4) == 0 {
                            let _ = senders[random.below(THREADS) as usize].send(address);
                        } else {
                            free(tables, address, now);
                        }
                    }
                    let key = EdgeKey {
                        new_site: random.below(30) as u32,
                        old_site: 0,
                        join: 0,
                        kind: 1,
                        free_pc: 0,
                    };
                    let figures = ReplaceFigures {
                        old_bytes: 1,
                        new_bytes: 2,
                        copied: 1,
                        overlap: 3,
                        in_place: false,
                        pause_ticks: random.below(1000),
                        end_ticks: now,
                        weight: 256,
                    };
                    tables
                        .edges
                        .count(tables.edges.find_or_create(&key, 0), &figures);
                    let event = Event {
                        ticks: now,
                        old_serial: now,
                        new_serial: now,
                        old_bytes: now,
                        new_bytes: now,
                        pause_ticks: now,
                        ..Event::default()
                    };
                    tables.resizes.publish(&event);
                    if let Some(seen) = tables
                        .resizes
                        .read(tables.resizes.head().saturating_sub(1 + random.below(16)))
                    {
                        let Event { ticks, .. } = seen;
                        let whole = Event {
                            old_serial: ticks,
                            new_serial: ticks,
                            old_bytes: ticks,
                            new_bytes: ticks,
                            pause_ticks: ticks,
                            ..seen
                        };
                        assert_eq!(seen, whole, "an event is whole");
                    }
                }
                // Whoever still has blocks at the end leaves them live, except for thread 0.
                drop(senders);
                if me == 0 {
                    for address in mine {
                        free(tables, address, u64::MAX >> 8);
                    }
                }
            });
        }
        drop(senders);
    });

    // What is left in the live table, by site.
    let regions = (
        memory.region(region::LIVE_KEYS),
        memory.region(region::LIVE),
    );
    let count = memory.header(header::SITE_COUNT) as u32;
    let mut left = vec![(0_u64, 0_u64); count as usize];
    for (slot, key) in regions.0.iter().enumerate() {
        let key = key.load(Ordering::Relaxed);
        assert_ne!(key, 1, "no slot is left reserved");
        if key != 0 {
            let words = &regions.1[slot * live::WORDS..];
            let id = words[live::SITE].load(Ordering::Relaxed) as u32 as usize;
            left[id].0 += 1;
            left[id].1 += words[live::BYTES].load(Ordering::Relaxed);
        }
    }
    let mut by_root = vec![0_u64; count as usize];
    let (mut complete, mut total) = (0, 0);
    for id in 0..count {
        let figure = |word| memory.site(id, word);
        assert_eq!(
            figure(site::ALLOCS) - figure(site::FREES),
            left[id as usize].0,
            "site {id}"
        );
        assert_eq!(
            figure(site::ALLOC_BYTES) - figure(site::FREE_BYTES),
            left[id as usize].1,
            "site {id}"
        );
        let sizes: u64 = (0..site::FREED_SIZES_WORDS)
            .map(|word| figure(site::FREED_SIZES + word))
            .map(|word| (word & 0xFFFF_FFFF) + (word >> 32))
            .sum();
        assert_eq!(sizes, figure(site::FREES), "site {id}");
        by_root[figure(site::ROOT) as u32 as usize] += left[id as usize].1;
        complete += u64::from(figure(site::STACK) >> 63 == 1);
        total += left[id as usize].1;
    }
    for id in 0..count {
        assert_eq!(
            memory.site(id, site::LIVE_BYTES),
            by_root[id as usize],
            "root {id}"
        );
        let largest = (0..site::SERIES_WORDS)
            .map(|bucket| memory.site(id, site::SERIES + bucket) & ((1 << 56) - 1))
            .max();
        let peak = memory.site(id, site::PEAK_BYTES);
        let seen = if peak == 0 { 0 } else { peak + 1 };
        assert_eq!(largest, Some(seen), "the series of root {id} has its peak");
    }
    assert_eq!(
        complete,
        STACKS + 1,
        "one complete record for each stack, and the overflow site"
    );
    assert_eq!(memory.header(header::LIVE_BYTES), total);
    assert!(memory.header(header::PEAK_BYTES) >= total);
    let passages: u64 = (0..memory.header(header::EDGE_COUNT) as u32)
        .map(|id| memory.edge(id, edge::COUNT))
        .sum();
    assert_eq!(passages, THREADS * ROUNDS);
    assert_eq!(memory.header(header::RESIZE_HEAD), THREADS * ROUNDS);
    const { assert!(event::WORDS == 8) };
}
