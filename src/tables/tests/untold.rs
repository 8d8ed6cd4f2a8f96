//! Blocks that are counted and no more.

use super::{Capacity, Memory};
use crate::sync::Ordering;
use crate::tables::untold::KnownRecords;
use mapgrow_format::layout::packed::Untold;
use mapgrow_format::layout::{header, region, untold};

const HEAP: usize = 0x7f00_1234_0000;

const BLOCK: Untold = Untold {
    site: 7,
    bytes: 40,
    thread: 3,
    zeroed: false,
    elapsed: 0,
};

fn memory(untold: usize) -> Memory {
    Capacity {
        untold,
        ..Capacity::default()
    }
    .memory()
}

#[test]
fn a_block_is_found_until_it_is_taken_out() {
    let memory = memory(3);
    let table = memory.tables().untold;
    let mut known = KnownRecords::new();
    assert!(table.find(&mut known, HEAP).is_none());
    assert_eq!(memory.commit.committed(region::UNTOLD_INDEX), 0);
    let second = Untold {
        zeroed: true,
        bytes: 24,
        ..BLOCK
    };
    assert!(table.put(&mut known, HEAP, BLOCK, 100));
    assert!(table.put(&mut known, HEAP + 16, second, 200));
    // Another thread knows nothing of where records are.
    for known in [&mut known, &mut KnownRecords::new()] {
        let found = table.find(known, HEAP).expect("it was put there");
        assert_eq!((found.block.site, found.block.bytes), (7, 40));
        assert_eq!((found.ticks, found.block.zeroed), (100, false));
        let found = table.find(known, HEAP + 16).expect("it was put there");
        assert_eq!((found.ticks, found.block.zeroed), (200, true));
        assert!(table.find(known, HEAP + 32).is_none());
        assert!(table.find(known, HEAP + untold::HEAP_BYTES).is_none());
    }
    table.find(&mut known, HEAP).expect("it is there").remove();
    assert!(table.find(&mut known, HEAP).is_none());
    let other = table.find_anew(HEAP + 16).expect("the other stays");
    other.remove();
    assert!(table.find_anew(HEAP + 16).is_none());
    assert_eq!(memory.header(header::UNTOLD_COUNT), 1);
}

/// However long the recording is, it is known between which times a block was allocated.
#[test]
fn a_time_lies_between_the_earliest_and_the_latest() {
    let memory = memory(1);
    memory.header[header::START_TICKS].store(1_000, Ordering::Relaxed);
    let table = memory.tables().untold;
    let mut known = KnownRecords::new();
    let hour = 3_600 * 3_000_000_000_u64;
    for elapsed in [0, 5, 1 << 18, hour + 12_345_678, 100 * 24 * hour + 1] {
        let ticks = 1_000 + elapsed;
        assert!(table.put(&mut known, HEAP, BLOCK, ticks), "{elapsed}");
        let found = table.find(&mut known, HEAP).expect("it is there");
        assert!(table.earliest(ticks) <= found.ticks, "{elapsed}");
        assert!(found.ticks <= ticks && ticks <= found.latest, "{elapsed}");
        assert!(found.latest - found.ticks <= elapsed >> 17, "{elapsed}");
    }
}

#[test]
fn what_has_no_place_is_refused() {
    let memory = memory(1);
    let table = memory.tables().untold;
    let mut known = KnownRecords::new();
    // jemalloc gives blocks of 8 bytes at every multiple of 8.
    assert!(!table.put(&mut known, HEAP + 8, BLOCK, 1));
    assert!(table.find(&mut known, HEAP + 8).is_none());
    assert!(table.find_anew(HEAP + 8).is_none());
    let large = Untold {
        bytes: 1024,
        ..BLOCK
    };
    assert!(!table.put(&mut known, HEAP, large, 1));
    assert_eq!(memory.header(header::UNTOLD_COUNT), 0);
    assert!(table.put(&mut known, HEAP, BLOCK, 1));
    let next = HEAP + untold::HEAP_BYTES;
    assert!(!table.put(&mut known, next, BLOCK, 1), "no second record");
    assert!(table.put(&mut known, next - 16, BLOCK, 1));
}

#[test]
fn a_thread_that_goes_over_to_another_recording_looks_anew() {
    let (first, second) = (memory(2), memory(2));
    let mut known = KnownRecords::new();
    let other = HEAP + untold::HEAP_BYTES;
    let table = second.tables().untold;
    assert!(table.put(&mut known, other, BLOCK, 1));
    known.forget();
    let table = first.tables().untold;
    assert!(table.put(&mut known, HEAP, BLOCK, 1));
    assert!(table.find(&mut known, other).is_none());
}

/// The last record is taken before it is known where it is.
#[test]
fn a_record_that_is_not_known_yet_is_found_later() {
    let memory = memory(1);
    let table = memory.tables().untold;
    let (mut known, mut others) = (KnownRecords::new(), KnownRecords::new());
    memory.header[header::UNTOLD_COUNT].store(1, Ordering::Relaxed);
    assert!(table.find(&mut known, HEAP).is_none());
    memory.header[header::UNTOLD_COUNT].store(0, Ordering::Relaxed);
    assert!(table.put(&mut others, HEAP, BLOCK, 1));
    assert!(table.find(&mut known, HEAP).is_some());
}

/// Threads give each other blocks that lie side by side, in stretches that all of them meet first.
#[test]
fn threads_share_records() {
    const THREADS: usize = 4;
    const STRETCHES: usize = if cfg!(miri) { 2 } else { 32 };
    // One that comes second leaves a record behind.
    let memory = memory(STRETCHES * THREADS);
    let tables = memory.tables();
    let place = |stretch: usize, of: usize| HEAP + stretch * untold::HEAP_BYTES + of * untold::STEP;
    std::thread::scope(|scope| {
        for own in 0..THREADS {
            let table = &tables.untold;
            scope.spawn(move || {
                let mut known = KnownRecords::new();
                for stretch in 0..STRETCHES {
                    let block = Untold {
                        site: own as u32,
                        ..BLOCK
                    };
                    assert!(table.put(&mut known, place(stretch, own), block, 5));
                }
            });
        }
    });
    let mut known = KnownRecords::new();
    for stretch in 0..STRETCHES {
        for own in 0..THREADS {
            let found = tables.untold.find(&mut known, place(stretch, own));
            let found = found.expect("its thread put it there");
            assert_eq!(found.block.site, own as u32);
            found.remove();
        }
    }
}
