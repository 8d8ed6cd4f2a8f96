//! Models of the tables for loom, which tries the interleavings and the stale reads that the
//! memory model allows. Run by `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`.

use super::edges::{EDGE_OVERFLOW, EdgeKey, EdgeTable};
use super::history::{Earlier, HistoryPool};
use super::index::{Index, Indexed};
use super::live::{Heritage, LiveRecord, LiveTable, Slot};
use crate::pool::Commit;
use crate::sync::{AtomicU64, Ordering};
use loom::thread;
use mapgrow_format::layout::{edge, header, history, live};
use std::sync::Arc;

/// Everything is usable from the start.
pub(crate) struct Unbounded;

impl Commit for Unbounded {
    fn commit(&self, _: usize, _: usize) -> bool {
        true
    }
}

pub(crate) static COMMIT: Unbounded = Unbounded;

/// Runs a model; at most `preemptions` times a thread is stopped where it could have gone on.
pub(crate) fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Words that all threads of a model share.
#[derive(Clone)]
pub(crate) struct Words(Arc<Vec<AtomicU64>>);

impl Words {
    pub(crate) fn new(words: usize) -> Self {
        Self(Arc::new((0..words).map(|_| AtomicU64::new(0)).collect()))
    }

    pub(crate) fn all(&self) -> &[AtomicU64] {
        &self.0
    }
}

/// A live table of one bucket, so that all addresses meet in it.
#[derive(Clone)]
struct OneBucket {
    header: Words,
    keys: Words,
    records: Words,
}

impl OneBucket {
    fn new() -> Self {
        Self {
            header: Words::new(header::LIVE_LEVELS + 1),
            keys: Words::new(8),
            records: Words::new(8 * live::WORDS),
        }
    }

    /// A bucket with `free` slots left, the rest taken by others.
    fn with_free(free: u64) -> Self {
        let bucket = Self::new();
        let table = bucket.table();
        for address in 0..8 - free {
            table.insert((address + 100) << 4, &record(9)).unwrap();
        }
        bucket
    }

    fn table(&self) -> LiveTable<'_, Unbounded, 8> {
        let (keys, records) = (self.keys.all(), self.records.all());
        LiveTable::new(self.header.all(), keys, records, &COMMIT).unwrap()
    }
}

/// A record whose every field says the same, so that a torn one shows.
fn record(seed: u8) -> LiveRecord {
    let wide = u64::from(seed);
    LiveRecord {
        site: seed.into(),
        bytes: wide,
        ticks: wide,
        serial: wide,
        history: seed.into(),
        thread: seed.into(),
        align_log2: seed,
        flags: seed,
        weight: seed.into(),
        resizes: seed.into(),
        born_ticks: wide,
        first_serial: wide,
    }
}

const A: u64 = 0x10;
const B: u64 = 0x20;
const C: u64 = 0x30;

fn insert_find_remove(table: &LiveTable<'_, Unbounded, 8>, address: u64, seed: u8) {
    let slot = table
        .insert(address, &record(seed))
        .expect("two slots for two blocks");
    assert_eq!(table.find(address), Some(slot));
    assert_eq!(table.read(slot, address), Some(record(seed)));
    assert!(table.remove(slot, address).is_some());
    assert_eq!(table.find(address), None);
}

#[test]
fn live_neighbours_do_not_disturb_each_other() {
    check(2, || {
        let bucket = OneBucket::with_free(2);
        let other = bucket.clone();
        let thread = thread::spawn(move || insert_find_remove(&other.table(), A, 1));
        insert_find_remove(&bucket.table(), B, 2);
        thread.join().unwrap();
    });
}

#[test]
fn live_first_level_is_opened_once() {
    check(2, || {
        let bucket = OneBucket::new();
        let other = bucket.clone();
        let thread = thread::spawn(move || other.table().insert(A, &record(1)));
        let second = bucket.table().insert(B, &record(2));
        let first = thread.join().unwrap();
        assert_ne!(first.unwrap(), second.unwrap());
        let levels = bucket.header.all()[header::LIVE_LEVELS].load(Ordering::Relaxed);
        assert_eq!(levels, 1);
    });
}

#[test]
fn live_block_is_found_by_whom_it_is_handed_to() {
    check(2, || {
        let bucket = OneBucket::with_free(2);
        let mailbox = Words::new(1);
        let (theirs, post) = (bucket.clone(), mailbox.clone());
        let giver = thread::spawn(move || {
            let table = theirs.table();
            table.insert(A, &record(1)).unwrap();
            post.all()[0].store(A, Ordering::Release);
            // Goes on to use the bucket.
            let slot = table.insert(B, &record(2)).unwrap();
            assert!(table.remove(slot, B).is_some());
        });
        if mailbox.all()[0].load(Ordering::Acquire) == A {
            let table = bucket.table();
            let slot = table.find(A).expect("handed over, so it is there");
            assert_eq!(table.read(slot, A), Some(record(1)));
            assert!(table.remove(slot, A).is_some());
        }
        giver.join().unwrap();
    });
}

/// Looks on at the only free slot, which holds `A`, while `write` changes it; what is read for
/// `address` must be one of `records` in whole.
fn look_on(
    preemptions: usize,
    address: u64,
    write: impl Fn(&LiveTable<'_, Unbounded, 8>, Slot) + Send + Sync + Clone + 'static,
    records: &'static [u8],
) {
    check(preemptions, move || {
        let bucket = OneBucket::with_free(1);
        let slot = bucket.table().insert(A, &record(1)).unwrap();
        let (theirs, write) = (bucket.clone(), write.clone());
        let writer = thread::spawn(move || write(&theirs.table(), slot));
        if let Some(seen) = bucket.table().read(slot, address) {
            assert!(records.iter().any(|&seed| record(seed) == seen), "{seen:?}");
        }
        writer.join().unwrap();
    });
}

#[test]
fn live_reader_sees_no_foreign_record() {
    let write = |table: &LiveTable<'_, Unbounded, 8>, slot| {
        assert!(table.remove(slot, A).is_some());
        assert_eq!(table.insert(B, &record(2)), Some(slot));
    };
    look_on(2, A, write, &[1]);
}

#[test]
fn live_reader_sees_no_key_before_its_record() {
    let write = |table: &LiveTable<'_, Unbounded, 8>, slot| {
        assert!(table.remove(slot, A).is_some());
        assert_eq!(table.insert(B, &record(2)), Some(slot));
    };
    look_on(2, B, write, &[2]);
}

#[test]
fn live_reader_sees_no_mixture_of_two_lives_of_an_address() {
    let write = |table: &LiveTable<'_, Unbounded, 8>, slot| {
        assert!(table.remove(slot, A).is_some());
        assert_eq!(table.insert(A, &record(3)), Some(slot));
    };
    look_on(2, A, write, &[1, 3]);
}

#[test]
fn live_reader_is_not_fooled_by_an_address_that_comes_back() {
    let write = |table: &LiveTable<'_, Unbounded, 8>, slot| {
        assert!(table.remove(slot, A).is_some());
        assert_eq!(table.insert(B, &record(2)), Some(slot));
        assert!(table.remove(slot, B).is_some());
        assert_eq!(table.insert(A, &record(3)), Some(slot));
    };
    look_on(1, A, write, &[1, 3]);
}

/// What a block inherits in these models.
const HERITAGE: Heritage = Heritage {
    history: 7,
    resizes: 7,
    flags: 1,
    origin: Some((7, 7)),
};

/// A block as it is right after its allocation, and what it becomes.
fn unborn_and_heir() -> (LiveRecord, LiveRecord) {
    let fresh = LiveRecord {
        history: 0,
        resizes: 0,
        flags: 0,
        ..record(1)
    };
    let mut heir = fresh;
    heir.inherit(&HERITAGE);
    (fresh, heir)
}

/// A thread has a block inherit that it handed to another one, which frees it. The allocator gives
/// its address out again at once, so that it comes into the same slot, or the one beside.
#[test]
fn live_heritage_comes_to_the_block_that_it_is_for_or_to_none() {
    check(3, || {
        let bucket = OneBucket::with_free(2);
        let (fresh, heir) = unborn_and_heir();
        let slot = bucket.table().insert(A, &fresh).unwrap();
        let theirs = bucket.clone();
        let owner = thread::spawn(move || {
            let table = theirs.table();
            let taken = table.remove(slot, A).expect("its owner takes it out");
            let again = table
                .insert(A, &record(2))
                .expect("two slots for one block");
            assert_eq!(table.find(A), Some(again));
            taken
        });
        let table = bucket.table();
        let inherited = table.inherit(slot, 1, &HERITAGE);
        let taken = owner.join().unwrap();
        assert_eq!(taken, if inherited { heir } else { fresh });
        let again = table.find(A).expect("nobody removed it");
        assert_eq!(table.read(again, A), Some(record(2)));
        assert!(!table.holds(slot, 1));
        // No slot was lost, none was used twice.
        assert!(table.insert(B, &record(3)).is_some());
        assert_eq!(table.read(again, A), Some(record(2)));
        assert!(table.insert(C, &record(3)).is_none());
        assert!(table.remove(again, A).is_some());
        assert!(table.insert(C, &record(3)).is_some());
    });
}

/// The same with the only slot, which changes hands while the first thread writes.
#[test]
fn live_slot_of_an_heir_that_is_gone_is_used_again_when_it_is_left() {
    check(3, || {
        let bucket = OneBucket::with_free(1);
        let (fresh, heir) = unborn_and_heir();
        let slot = bucket.table().insert(A, &fresh).unwrap();
        let theirs = bucket.clone();
        let owner = thread::spawn(move || {
            let table = theirs.table();
            let taken = table.remove(slot, A).expect("its owner takes it out");
            let first = table.insert(A, &record(2));
            if first.is_some() {
                assert_eq!(table.remove(slot, A), Some(record(2)));
            }
            (taken, table.insert(B, &record(3)).is_some())
        });
        let table = bucket.table();
        let inherited = table.inherit(slot, 1, &HERITAGE);
        let (taken, placed) = owner.join().unwrap();
        assert_eq!(taken, if inherited { heir } else { fresh });
        if !placed {
            assert!(table.insert(B, &record(3)).is_some(), "the slot is left");
        }
        assert_eq!(table.find(A), None);
        assert_eq!(table.read(slot, B), Some(record(3)));
        assert!(!table.inherit(slot, 1, &HERITAGE));
    });
}

/// The history that a block inherits is given back by one thread, whichever that is.
#[test]
fn live_history_of_an_heir_that_is_freed_is_given_back_once() {
    check(2, || {
        let (bucket, nodes) = (OneBucket::with_free(1), Nodes::new(2));
        let (fresh, _) = unborn_and_heir();
        let slot = bucket.table().insert(A, &fresh).unwrap();
        let (table_of_owner, nodes_of_owner) = (bucket.clone(), nodes.clone());
        let owner = thread::spawn(move || {
            let taken = table_of_owner.table().remove(slot, A).unwrap();
            nodes_of_owner.pool().release_chain(taken.history);
        });
        let pool = nodes.pool();
        let heritage = Heritage {
            history: push(&pool, 0, 1).expect("two nodes for one"),
            ..HERITAGE
        };
        if !bucket.table().inherit(slot, 1, &heritage) {
            pool.release_chain(heritage.history);
        }
        owner.join().unwrap();
        count_nodes(&nodes, Vec::new(), 2);
    });
}

/// Whoever owns the block meanwhile reads it, as a `realloc` does, and never finds it unreadable.
#[test]
fn live_owner_can_read_a_block_that_inherits() {
    check(3, || {
        let bucket = OneBucket::with_free(1);
        let (fresh, heir) = unborn_and_heir();
        let slot = bucket.table().insert(A, &fresh).unwrap();
        let theirs = bucket.clone();
        let owner = thread::spawn(move || theirs.table().read(slot, A));
        assert!(bucket.table().inherit(slot, 1, &HERITAGE));
        let seen = owner.join().unwrap().expect("nobody removed it");
        assert!([fresh, heir].contains(&seen), "{seen:?}");
        assert_eq!(bucket.table().read(slot, A), Some(heir));
    });
}

#[test]
fn index_gives_one_number_to_a_key_that_two_insert() {
    check(3, || {
        // Word 0: records made; then one word for each record; then the index.
        let words = Words::new(12);
        let insert = |words: Words, key: u64| {
            let (pool, index) = words.all().split_at(4);
            let index = Index::new(index, 0, &COMMIT);
            index.find_or_insert(
                0,
                |id| pool[1 + id as usize].load(Ordering::Relaxed) == key,
                || {
                    let id = pool[0].fetch_add(1, Ordering::Relaxed);
                    pool[1 + id as usize].store(key, Ordering::Relaxed);
                    Some(id as u32)
                },
            )
        };
        let (first, second) = (words.clone(), words.clone());
        let threads = [
            thread::spawn(move || insert(first, 7)),
            thread::spawn(move || insert(second, 8)),
        ];
        let mine = insert(words.clone(), 7);
        let [same, other] = threads.map(|thread| thread.join().unwrap());
        match (mine, same) {
            (Indexed::Created(a), Indexed::Found(b)) | (Indexed::Found(a), Indexed::Created(b)) => {
                assert_eq!(a, b);
            }
            _ => panic!("one of them made it: {mine:?} {same:?}"),
        }
        assert!(matches!(other, Indexed::Created(_)), "{other:?}");
        let taken = words.all()[4..].iter();
        assert_eq!(
            taken
                .filter(|word| word.load(Ordering::Relaxed) != 0)
                .count(),
            2
        );
    });
}

#[test]
fn edge_that_says_complete_is() {
    check(2, || {
        let header = Words::new(header::EDGES_FOLDED + 1);
        let (records, index) = (Words::new(3 * edge::WORDS), Words::new(4));
        let make = |header: &Words, records: &Words, index: &Words| {
            EdgeTable::new(header.all(), records.all(), index.all(), &COMMIT)
                .unwrap()
                .find_or_create(
                    &EdgeKey {
                        new_site: 5,
                        old_site: 6,
                        join: 7,
                        kind: 1,
                        free_pc: 8,
                    },
                    9,
                )
        };
        // The overflow edge is there.
        header.all()[header::EDGE_COUNT].store(1, Ordering::Relaxed);
        let (a, b, c) = (header.clone(), records.clone(), index.clone());
        let thread = thread::spawn(move || make(&a, &b, &c));
        // Looks at the records as an outside reader does.
        let complete = || {
            let records = records.all().chunks(edge::WORDS).skip(1);
            let complete = records.filter(|record| {
                let complete = record[edge::JOIN].load(Ordering::Acquire) >> 63 == 1;
                if complete {
                    assert_eq!(record[edge::SITES].load(Ordering::Relaxed), 5 | 6 << 32);
                    assert_eq!(record[edge::FREE_PC].load(Ordering::Relaxed), 8);
                    assert_eq!(record[edge::FREE_CALLEE_PC].load(Ordering::Relaxed), 9);
                }
                complete
            });
            complete.count()
        };
        assert!(complete() <= 1);
        let mine = make(&header, &records, &index);
        assert_eq!(complete(), 1, "who loses the race leaves an incomplete one");
        assert_eq!(thread.join().unwrap(), mine);
        assert_eq!(complete(), 1);
        assert_ne!(mine, EDGE_OVERFLOW);
    });
}

#[derive(Clone)]
struct Nodes {
    header: Words,
    nodes: Words,
}

impl Nodes {
    fn new(nodes: usize) -> Self {
        Self {
            header: Words::new(header::HISTORY_FREE + 1),
            nodes: Words::new(nodes * history::WORDS),
        }
    }

    fn pool(&self) -> HistoryPool<'_, Unbounded> {
        HistoryPool::new(self.header.all(), self.nodes.all(), &COMMIT).unwrap()
    }

    /// A chain on the free list for each length given, the last on top.
    fn release(&self, lengths: &[u64]) {
        let pool = self.pool();
        let chains: Vec<u32> = lengths
            .iter()
            .map(|&length| (0..length).fold(0, |chain, _| push(&pool, chain, 0).unwrap()))
            .collect();
        for chain in chains {
            pool.release_chain(chain);
        }
    }
}

fn push(pool: &HistoryPool<'_, Unbounded>, previous: u32, bytes: u64) -> Option<u32> {
    pool.push(&Earlier {
        previous,
        edge: 0,
        bytes,
        serial: 0,
        ticks: 0,
    })
}

/// Takes every node that is left and checks that there are `total` in all.
fn count_nodes(nodes: &Nodes, mut owned: Vec<u32>, total: u32) {
    let pool = nodes.pool();
    while let Some(node) = push(&pool, 0, 0) {
        owned.push(node);
    }
    owned.sort_unstable();
    assert_eq!(owned, (1..=total).collect::<Vec<_>>());
}

#[test]
fn history_node_that_comes_back_on_top_is_not_mistaken() {
    check(3, || {
        let nodes = Nodes::new(3);
        nodes.release(&[1, 1, 1]);
        let theirs = nodes.clone();
        let thread = thread::spawn(move || {
            // Top, then the next; the first goes back on top: what ABA needs.
            let pool = theirs.pool();
            let (first, second) = (push(&pool, 0, 1).unwrap(), push(&pool, 0, 2));
            pool.release_chain(first);
            second
        });
        let mine = push(&nodes.pool(), 0, 3).expect("three nodes for at most three");
        assert_eq!(nodes.pool().read(mine).map(|node| node.bytes), Some(3));
        let mut owned = vec![mine];
        owned.extend(thread.join().unwrap());
        assert_eq!(nodes.pool().read(mine).map(|node| node.bytes), Some(3));
        count_nodes(&nodes, owned, 3);
    });
}

#[test]
fn history_chains_are_taken_apart_without_loss() {
    check(3, || {
        let nodes = Nodes::new(4);
        nodes.release(&[1, 2]);
        let theirs = nodes.clone();
        let thread = thread::spawn(move || {
            let pool = theirs.pool();
            let chain = push(&pool, 0, 1).unwrap();
            let longer = push(&pool, chain, 2).unwrap_or(chain);
            pool.release_chain(longer);
        });
        let mine = push(&nodes.pool(), 0, 3).expect("four nodes for at most three");
        thread.join().unwrap();
        assert_eq!(nodes.pool().read(mine).map(|node| node.bytes), Some(3));
        count_nodes(&nodes, vec![mine], 4);
    });
}
