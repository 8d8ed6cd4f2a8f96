//! Shapes whose maps meet more than one thread, or the end of one.

use crate::{counting, op};
use std::cell::RefCell;
use std::collections::HashMap;
use std::thread;

#[inline(never)]
pub fn shape_moved_to_other_thread(n: u64) -> u64 {
    let mut total = 0;
    for _ in 0..4 {
        let mut map: HashMap<u64, u64> = HashMap::new();
        for i in 0..n / 32 {
            op!(map.insert(i, i));
        }
        let (shape, rules) = counting::current();
        let taker = thread::spawn(move || {
            counting::enter(shape, rules);
            let len = shape_moved_to_other_thread_there(map, n);
            counting::leave();
            len
        });
        total += taker.join().expect("the other thread ends well");
    }
    total
}

// Closures have no name of their own where only line tables are kept, so what they do is put
// into functions, here and below.
#[inline(never)]
fn shape_moved_to_other_thread_there(mut map: HashMap<u64, u64>, n: u64) -> u64 {
    for i in n / 32..n / 16 {
        op!(map.insert(i, i));
    }
    map.len() as u64
}

/// Fills one more map while its thread is being taken down.
struct AtThreadEnd {
    map: HashMap<u64, u64>,
    shape: (usize, &'static [crate::ledger::Rule]),
    n: u64,
}

impl Drop for AtThreadEnd {
    fn drop(&mut self) {
        counting::enter(self.shape.0, self.shape.1);
        shape_tls_destructor_late(self.n);
        self.map = HashMap::new();
        counting::leave();
    }
}

#[inline(never)]
fn shape_tls_destructor_early(n: u64) -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    for i in 0..n / 2 {
        op!(map.insert(i, i));
    }
    map
}

#[inline(never)]
fn shape_tls_destructor_late(n: u64) {
    let mut map: HashMap<u64, u64> = HashMap::new();
    for i in 0..n {
        op!(map.insert(i, i));
    }
    std::hint::black_box(&map);
}

thread_local! {
    static AT_END: RefCell<Option<AtThreadEnd>> = const { RefCell::new(None) };
}

#[inline(never)]
pub fn shape_tls_destructor(n: u64) -> u64 {
    let n = n / 32;
    let shape = counting::current();
    for _ in 0..3 {
        let holder = thread::spawn(move || {
            counting::enter(shape.0, shape.1);
            let map = shape_tls_destructor_early(n);
            AT_END.set(Some(AtThreadEnd { map, shape, n }));
            counting::leave();
        });
        holder.join().expect("the holder ends well");
    }
    n
}
