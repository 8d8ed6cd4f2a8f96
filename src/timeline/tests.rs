//! Tests of rings and series on real atomics.

use super::{Event, series};
use crate::sync::{AtomicU64, Ordering};
use crate::tables::tests::{Capacity, zeroes};
use mapgrow_format::layout::{event, header, mark, region};

fn event(seed: u64) -> Event {
    Event {
        ticks: seed,
        old_serial: seed + 1,
        new_serial: seed + 2,
        old_bytes: seed + 3,
        new_bytes: seed + 4,
        subject: seed as u32 + 5,
        thread: seed as u16 + 6,
        kind: event::KIND_REPLACE as u8,
        flags: event::FLAG_SAMPLED as u8,
        pause_ticks: seed + 9,
    }
}

#[test]
fn ring_keeps_the_newest_events() {
    let memory = Capacity {
        events: 4,
        ..Capacity::default()
    }
    .memory();
    let ring = memory.tables().resizes;
    assert_eq!(ring.read(0), None);
    for number in 0..6 {
        assert_eq!(ring.publish(&event(number * 100)), Some(number));
    }
    for number in 0..7 {
        let expected = (2..6).contains(&number).then(|| event(number * 100));
        assert_eq!(ring.read(number), expected, "event {number}");
    }
    assert_eq!(ring.head(), 6);
    assert_eq!(memory.header(header::RESIZE_HEAD), 6);
    assert_eq!(memory.header(header::BIRTH_HEAD), 0);
    let words = memory.region(region::RESIZES);
    assert_eq!(
        words[event::SEQ].load(Ordering::Relaxed),
        5,
        "event 4 in slot 0"
    );
    let what = words[event::WHAT].load(Ordering::Relaxed);
    assert_eq!(what, 405 | 406 << 32 | 1 << 48 | 2 << 56);
}

#[test]
fn events_beyond_the_memory_are_dropped_in_every_round() {
    let mut memory = Capacity {
        events: 4,
        ..Capacity::default()
    }
    .memory();
    memory.bound(region::BIRTHS, 2 * event::WORDS);
    let ring = memory.tables().births;
    let published: Vec<Option<u64>> = (0..8).map(|number| ring.publish(&event(number))).collect();
    let dropped = None;
    assert_eq!(
        published,
        [
            Some(0),
            Some(1),
            dropped,
            dropped,
            Some(4),
            Some(5),
            dropped,
            dropped
        ]
    );
    assert_eq!(ring.read(5), Some(event(5)));
    assert_eq!(ring.read(6), None);
    assert_eq!(memory.commit.committed(region::BIRTHS), 2 * event::WORDS);
}

#[test]
fn busy_or_later_slots_are_left_alone() {
    let memory = Capacity {
        events: 2,
        ..Capacity::default()
    }
    .memory();
    let ring = memory.tables().resizes;
    let sequence = &memory.region(region::RESIZES)[event::SEQ];
    sequence.store(1 << 63 | 1, Ordering::Relaxed);
    assert_eq!(ring.publish(&event(0)), None, "a writer is in the slot");
    assert_eq!(ring.publish(&event(1)), Some(1));
    sequence.store(99, Ordering::Relaxed);
    assert_eq!(ring.publish(&event(2)), None, "event 98 is there already");
    assert_eq!(sequence.load(Ordering::Relaxed), 99);
}

#[test]
fn ring_without_room_drops_everything() {
    let memory = Capacity {
        events: 0,
        ..Capacity::default()
    }
    .memory();
    let ring = memory.tables().resizes;
    assert_eq!(ring.publish(&event(1)), None);
    assert_eq!(ring.read(0), None);
}

#[test]
fn mark_label_is_cut_between_characters() {
    let memory = Capacity::default().memory();
    let marks = memory.tables().marks;
    assert_eq!(marks.publish(5, 6, "warm"), Some(0));
    let long = "ä".repeat(51) + "x" + "ä";
    assert_eq!(marks.publish(7, 8, &long), Some(1));
    let label = |slot: usize| -> Vec<u8> {
        memory.region(region::MARKS)[slot * mark::WORDS + mark::LABEL..][..mark::LABEL_WORDS]
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .collect()
    };
    assert_eq!(&label(0)[..5], b"warm\0");
    assert_eq!(&label(1)[..103], &long.as_bytes()[..103]);
    assert_eq!(label(1)[103], 0, "half a character is none");
    let words = &memory.region(region::MARKS)[mark::WORDS..];
    assert_eq!(words[mark::SEQ].load(Ordering::Relaxed), 2);
    assert_eq!(words[mark::TICKS].load(Ordering::Relaxed), 7);
    assert_eq!(words[mark::THREAD].load(Ordering::Relaxed), 8);
}

/// The series as `(shift, value + 1)`.
fn curve(buckets: &[AtomicU64]) -> Vec<(u64, u64)> {
    let words = buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
    words
        .map(|word| (word >> 56, word & ((1 << 56) - 1)))
        .collect()
}

#[test]
fn series_keeps_the_largest_of_each_interval() {
    let (shift, buckets) = (AtomicU64::new(0), zeroes(8));
    series::start(&shift, &buckets, 0);
    let unit = 1 << shift.load(Ordering::Relaxed);
    for (elapsed, live) in [
        (0, 5),
        (unit - 1, 9),
        (unit, 0),
        (3 * unit + 1, 7),
        (unit / 2, 3),
    ] {
        series::note(&shift, &buckets, elapsed, live);
    }
    let values: Vec<u64> = curve(&buckets)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(values, [10, 1, 0, 8, 0, 0, 0, 0]);
}

#[test]
fn series_merges_pairs_when_time_runs_out() {
    let (shift, buckets) = (AtomicU64::new(0), zeroes(8));
    series::start(&shift, &buckets, 0);
    let first = shift.load(Ordering::Relaxed);
    for index in 0..8_u64 {
        series::note(&shift, &buckets, index << first, 10 + index);
    }
    series::note(&shift, &buckets, 8 << first, 1);
    let next = first + 1;
    let values = [12, 14, 16, 18, 2, 0, 0, 0];
    assert_eq!(curve(&buckets), values.map(|value| (next, value)));
    // Far ahead: everything before falls into the first interval.
    series::note(&shift, &buckets, 100 << (first + 20), 0);
    let last = shift.load(Ordering::Relaxed);
    let curve = curve(&buckets);
    assert_eq!(curve[0], (last, 18));
    assert_eq!(curve[(100_u64 << (first + 20) >> last) as usize], (last, 1));
    assert_eq!(curve.iter().filter(|(_, value)| *value != 0).count(), 2);
}

#[test]
fn series_takes_any_time_and_any_size() {
    for elapsed in [0, 1 << 40, u64::MAX] {
        let (shift, buckets) = (AtomicU64::new(0), zeroes(64));
        series::start(&shift, &buckets, elapsed);
        series::note(&shift, &buckets, elapsed, u64::MAX);
        series::note(&shift, &buckets, u64::MAX, 3);
        series::note(&shift, &buckets, 0, 0);
        let largest = curve(&buckets).into_iter().map(|(_, value)| value).max();
        assert_eq!(largest, Some((1 << 56) - 1));
    }
    series::note(&AtomicU64::new(0), &[], 5, 5);
}
