use super::super::counting::{add_to_histogram, lower_min, raise, variance, weighted};
use super::zeroes;
use crate::sync::Counting;
use crate::sync::{AtomicU64, Ordering};

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

#[test]
fn histogram_counters_share_words_without_touching() {
    let words = zeroes(2);
    add_to_histogram(Counting::begin(), &words, 0, 3);
    add_to_histogram(Counting::begin(), &words, 1, 5);
    add_to_histogram(Counting::begin(), &words, 3, 1);
    add_to_histogram(Counting::begin(), &words, 4, 1);
    assert_eq!(get(&words[0]), 3 | 5 << 32);
    assert_eq!(get(&words[1]), 1 << 32);
}

#[test]
fn full_histogram_counter_stands_still() {
    let words = [AtomicU64::new(0xEFFF_FFFF | 7 << 32)];
    for _ in 0..3 {
        add_to_histogram(Counting::begin(), &words, 0, 1);
    }
    assert_eq!(get(&words[0]), 0xEFFF_FFFF | 7 << 32);
    add_to_histogram(Counting::begin(), &words, 1, 1);
    assert_eq!(get(&words[0]) >> 32, 8);
}

#[test]
fn weights_round_to_whole_units() {
    assert_eq!(weighted(1000, 256), 1000);
    assert_eq!(weighted(3, 128), 2);
    assert_eq!(weighted(1, 65 * 256 + 200), 66);
    assert_eq!(weighted(u64::MAX, 512), u64::MAX);
}

#[test]
fn variance_is_that_of_horvitz_and_thompson() {
    // p = 1/4, x = 1000: x^2 (1 - p) / p^2 = 12 x^2.
    assert_eq!(variance(1000, 4 * 256, 1), 12_000_000);
    assert_eq!(variance(1, 4 * 256, 1), 12);
    assert_eq!(variance(1000, 256, 1), 0);
    // Rounded up: 1.5 * 0.5 = 0.75.
    assert_eq!(variance(1, 384, 1), 1);
    assert_eq!(variance(1000, 4 * 256, 1 << 20), 12);
    assert_eq!(variance(u64::MAX, u32::MAX, 1), u64::MAX);
}

#[test]
fn peak_keeps_the_time_it_was_reached() {
    let (peak, ticks) = (AtomicU64::new(0), AtomicU64::new(0));
    raise(&peak, &ticks, 10, 100);
    raise(&peak, &ticks, 10, 200);
    raise(&peak, &ticks, 9, 300);
    assert_eq!((get(&peak), get(&ticks)), (10, 100));
    raise(&peak, &ticks, 11, 400);
    assert_eq!((get(&peak), get(&ticks)), (11, 400));
}

#[test]
fn minimum_starts_with_none() {
    let min = AtomicU64::new(0);
    lower_min(&min, 50);
    lower_min(&min, 70);
    assert_eq!(get(&min), 50);
    lower_min(&min, 0);
    assert_eq!(get(&min), 1);
}
