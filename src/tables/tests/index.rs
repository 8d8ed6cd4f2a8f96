use super::super::index::{Index, Indexed, words_for_levels};
use super::zeroes;
use crate::pool::Commit;
use crate::sync::Ordering;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

struct Unbounded;

impl Commit for Unbounded {
    fn commit(&self, _: usize, _: usize) -> bool {
        true
    }
}

/// Commits nothing beyond a number of words.
struct Upto(usize, Cell<usize>);

impl Commit for Upto {
    fn commit(&self, _: usize, upto: usize) -> bool {
        self.1.set(self.1.get().max(upto));
        upto <= self.0
    }
}

#[test]
fn keys_get_one_number_each_even_with_equal_hashes() {
    let words = zeroes(words_for_levels(3));
    let index = Index::new(&words, 0, &Unbounded);
    let keys = RefCell::new(Vec::new());
    let mut truth = HashMap::new();
    let mut full = 0;
    let count = if cfg!(miri) { 300 } else { 3000_u64 };
    for round in 0..2 {
        for key in 0..count {
            // Three keys to each hash.
            let found = index.find_or_insert(
                (key / 3).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                |id| keys.borrow()[id as usize] == key,
                || {
                    keys.borrow_mut().push(key);
                    Some(keys.borrow().len() as u32 - 1)
                },
            );
            match found {
                Indexed::Created(id) => assert!(truth.insert(key, id).is_none() && round == 0),
                Indexed::Found(id) => assert_eq!((truth.get(&key), round), (Some(&id), 1)),
                Indexed::Full => full += 1,
            }
        }
    }
    assert_eq!(
        (truth.len() as u64, full),
        (count, 0),
        "7168 words take 3000 keys"
    );
}

#[test]
fn small_index_fills_to_its_last_word_and_then_refuses() {
    let words = zeroes(16);
    let index = Index::new(&words, 0, &Unbounded);
    for id in 0..16 {
        let found = index.find_or_insert(u64::from(id) << 40, |_| false, || Some(id));
        assert_eq!(found, Indexed::Created(id));
    }
    assert_eq!(
        index.find_or_insert(1, |_| false, || Some(16)),
        Indexed::Full
    );
    assert_eq!(
        index.find_or_insert(3 << 40, |id| id == 3, || None),
        Indexed::Found(3)
    );
}

#[test]
fn levels_are_committed_one_by_one() {
    let words = zeroes(words_for_levels(2));
    let commit = Upto(1024, Cell::new(0));
    let index = Index::new(&words, 0, &commit);
    let mut next = 0;
    while let Indexed::Created(_) =
        index.find_or_insert(next << 32 | next, |_| false, || Some(next as u32))
    {
        next += 1;
    }
    assert!(next > 600, "the first level is used well before: {next}");
    assert_eq!(commit.1.get(), 1024 * 3, "the second was asked for");
    let used = words
        .iter()
        .filter(|word| word.load(Ordering::Relaxed) != 0);
    assert_eq!(used.count() as u64, next);
    assert!(
        words[1024..]
            .iter()
            .all(|word| word.load(Ordering::Relaxed) == 0)
    );
}

#[test]
fn failed_creation_leaves_no_trace() {
    let words = zeroes(16);
    let index = Index::new(&words, 0, &Unbounded);
    assert_eq!(index.find_or_insert(7, |_| true, || None), Indexed::Full);
    assert_eq!(
        index.find_or_insert(7, |_| true, || Some(0)),
        Indexed::Created(0)
    );
}

#[test]
fn empty_region_is_full() {
    let index = Index::new(&[], 0, &Unbounded);
    assert_eq!(index.find_or_insert(7, |_| true, || Some(0)), Indexed::Full);
}
