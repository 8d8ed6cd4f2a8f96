//! Models of the table of live blocks.

use super::super::live::{Heritage, LiveRecord, LiveTable, Slot};
use super::{COMMIT, Nodes, Unbounded, Words, check, count_nodes, push};
use crate::sync::Ordering;
use loom::thread;
use mapgrow_format::layout::{header, live};

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

/// A writer that takes A out and puts this into its slot.
fn in_its_place(
    address: u64,
    seed: u8,
) -> impl Fn(&LiveTable<'_, Unbounded, 8>, Slot) + Clone + Send + Sync + 'static {
    move |table, slot| {
        assert!(table.remove(slot, A).is_some());
        assert_eq!(table.insert(address, &record(seed)), Some(slot));
    }
}

#[test]
fn live_reader_sees_no_foreign_record() {
    let write = in_its_place(B, 2);
    look_on(2, A, write, &[1]);
}

#[test]
fn live_reader_sees_no_key_before_its_record() {
    let write = in_its_place(B, 2);
    look_on(2, B, write, &[2]);
}

#[test]
fn live_reader_sees_no_mixture_of_two_lives_of_an_address() {
    let write = in_its_place(A, 3);
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
