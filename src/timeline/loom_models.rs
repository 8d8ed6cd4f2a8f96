//! Models of rings and series for loom.

use super::{Ring, series};
use crate::sync::{AtomicU64, Ordering};
use crate::tables::loom_models::{COMMIT, Unbounded, Words, check};
use loom::thread;

/// A ring of records of three words: the sequence and twice the number that the writer chose.
#[derive(Clone)]
struct SmallRing(Words, Words);

impl SmallRing {
    fn new(slots: usize) -> Self {
        Self(Words::new(1), Words::new(slots * 3))
    }

    fn ring(&self) -> Ring<'_, Unbounded, 3> {
        Ring::new(&self.0.all()[0], self.1.all(), 0, &COMMIT)
    }

    fn publish(&self, value: u64) -> Option<u64> {
        self.ring().publish(|words| {
            words[1].store(value, Ordering::Relaxed);
            words[2].store(value, Ordering::Relaxed);
        })
    }

    fn read(&self, number: u64) -> Option<(u64, u64)> {
        self.ring().read(number, |words| {
            let load = |word: usize| words[word].load(Ordering::Relaxed);
            (load(1), load(2))
        })
    }
}

#[test]
fn ring_reader_sees_whole_events() {
    check(3, || {
        let ring = SmallRing::new(1);
        ring.publish(7);
        let theirs = ring.clone();
        let writer = thread::spawn(move || theirs.publish(8));
        for (number, value) in [(0, 7), (1, 8)] {
            assert!(matches!(ring.read(number), None | Some((_, _))));
            if let Some(seen) = ring.read(number) {
                assert_eq!(seen, (value, value));
            }
        }
        writer.join().unwrap();
        assert_eq!(ring.read(1), Some((8, 8)));
    });
}

#[test]
fn ring_writers_a_round_apart_do_not_mix() {
    check(3, || {
        let ring = SmallRing::new(1);
        let theirs = [ring.clone(), ring.clone()];
        let mut value = 10;
        let writers = theirs.map(|ring| {
            value += 1;
            thread::spawn(move || (value, ring.publish(value)))
        });
        for number in 0..2 {
            if let Some((first, second)) = ring.read(number) {
                assert_eq!(first, second);
            }
        }
        let published = writers.map(|writer| writer.join().unwrap());
        let newest = published
            .iter()
            .filter_map(|&(value, number)| Some((number?, value)))
            .max();
        let (number, value) = newest.expect("one of them found the slot free");
        assert_eq!(ring.read(number), Some((value, value)));
    });
}

/// What a series of four buckets says: every value at its interval.
fn true_to(shift: &AtomicU64, buckets: &[AtomicU64], events: &[(u64, u64)]) {
    let last = shift.load(Ordering::Relaxed);
    for (index, bucket) in buckets.iter().enumerate() {
        let word = bucket.load(Ordering::Relaxed);
        let (own, value) = (word >> 56, word & ((1 << 56) - 1));
        assert_eq!(own, last, "bucket {index} has been brought up");
        let truth = events.iter().filter(|(at, _)| at >> own == index as u64);
        let largest = truth.map(|(_, live)| live + 1).max().unwrap_or(0);
        assert_eq!(value, largest, "bucket {index}");
    }
}

const UNIT: u64 = 1 << 20;

fn race(events: &'static [&'static [(u64, u64)]; 2], preemptions: usize) {
    check(preemptions, move || {
        // The shift, then the buckets.
        let words = Words::new(5);
        let note = |words: &Words, events: &[(u64, u64)]| {
            let (shift, buckets) = words.all().split_first().unwrap();
            for &(elapsed, live) in events {
                series::note(shift, buckets, elapsed, live);
            }
        };
        let (shift, buckets) = words.all().split_first().unwrap();
        series::start(shift, buckets, 0);
        let before = [(UNIT, 4), (2 * UNIT, 2)];
        note(&words, &before);
        let theirs = words.clone();
        let thread = thread::spawn(move || note(&theirs, events[0]));
        note(&words, events[1]);
        thread.join().unwrap();
        let all = [&before[..], events[0], events[1]].concat();
        true_to(shift, buckets, &all);
    });
}

#[test]
fn series_loses_nothing_when_one_halves_it_under_another() {
    race(&[&[(4 * UNIT, 9)], &[(2 * UNIT, 6)]], 3);
}

#[test]
fn series_is_halved_once_by_two_at_the_same_time() {
    race(&[&[(4 * UNIT, 9)], &[(5 * UNIT, 7)]], 2);
}
