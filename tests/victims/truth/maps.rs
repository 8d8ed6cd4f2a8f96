//! Shapes that stand on hash tables.

use crate::op;
use dashmap::DashMap;
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::mem::forget;

#[inline(never)]
pub fn shape_hashmap_u64(n: u64) -> u64 {
    let mut map = HashMap::new();
    for i in 0..n {
        op!(map.insert(i, i));
    }
    let sum = map.values().sum();
    forget(map);
    sum
}

#[inline(never)]
pub fn shape_hashset_string(n: u64) -> u64 {
    let mut set = HashSet::new();
    for i in 0..n / 8 {
        let key = format!("key number {i}");
        op!(set.insert(key));
    }
    let sum = set.iter().map(|s| s.len() as u64).sum();
    forget(set);
    sum
}

#[inline(never)]
pub fn shape_hashbrown_crate(n: u64) -> u64 {
    let mut map: hashbrown::HashMap<u32, [u64; 3]> = hashbrown::HashMap::new();
    for i in 0..n as u32 / 4 {
        op!(map.insert(i, [u64::from(i); 3]));
    }
    map.len() as u64
}

#[inline(never)]
pub fn shape_indexmap(n: u64) -> u64 {
    let mut map: IndexMap<u64, u64> = IndexMap::new();
    for i in 0..n / 4 {
        op!(map.insert(i * 7, i));
    }
    let sum = map.values().sum();
    forget(map);
    sum
}

#[inline(never)]
pub fn shape_dashmap(n: u64) -> u64 {
    let map: DashMap<u64, u64> = DashMap::with_shard_amount(8);
    for i in 0..n / 4 {
        op!(map.insert(i, i));
    }
    let len = map.len() as u64;
    forget(map);
    len
}

/// Fills a cache line of its own.
#[repr(align(64))]
pub struct Line(u64);

#[inline(never)]
pub fn shape_overaligned_values(n: u64) -> u64 {
    let mut map = HashMap::new();
    for i in 0..n / 16 {
        op!(map.insert(i as u32, Line(i)));
    }
    let sum = map.values().map(|line| line.0).sum();
    forget(map);
    sum
}

#[inline(never)]
pub fn shape_zst_values(n: u64) -> u64 {
    let mut map: HashMap<u32, ()> = HashMap::new();
    for i in 0..n / 4 {
        op!(map.insert(i as u32, ()));
    }
    let mut bytes: HashSet<u8> = HashSet::new();
    for i in 0..=255 {
        op!(bytes.insert(i));
    }
    let sum = map.len() as u64 + bytes.len() as u64;
    forget(map);
    sum
}

#[inline(never)]
pub fn shape_with_capacity(n: u64) -> u64 {
    let mut map: HashMap<u64, u64> = op!(HashMap::with_capacity(n as usize / 4));
    for i in 0..n / 4 {
        op!(map.insert(i, i));
    }
    let len = map.len() as u64;
    forget(map);
    len
}

#[inline(never)]
pub fn shape_clone(n: u64) -> u64 {
    let mut map: HashMap<u64, u64> = HashMap::new();
    for i in 0..n / 8 {
        op!(map.insert(i, i));
    }
    let copy = op!(map.clone());
    for i in n / 8..n / 4 {
        op!(map.insert(i, i));
    }
    let sum = copy.values().sum::<u64>() + map.len() as u64;
    forget(copy);
    sum
}

#[inline(never)]
pub fn shape_shrink_to_fit(n: u64) -> u64 {
    let mut map: HashMap<u64, u64> = HashMap::new();
    for i in 0..n / 4 {
        op!(map.insert(i, i));
    }
    map.retain(|key, _| key % 64 == 0);
    op!(map.shrink_to_fit());
    for i in 0..n / 32 {
        op!(map.insert(i, i));
    }
    let len = map.len() as u64;
    forget(map);
    len
}

/// How often [`shape_rebuild`] replaces its map.
pub const REBUILDS: u64 = 5;

#[inline(never)]
pub fn shape_rebuild(n: u64) -> u64 {
    let mut map: HashMap<u64, u64> = op!(HashMap::with_capacity(n as usize / 16));
    for round in 0..REBUILDS {
        let mut next: HashMap<u64, u64> = op!(HashMap::with_capacity(n as usize / 16));
        for i in 0..n / 16 {
            next.insert(i, i + round);
        }
        // The assignment drops the old map: no call into the new one does.
        map = next;
    }
    let sum = map.values().sum();
    forget(map);
    sum
}

#[inline(never)]
pub fn shape_reserve_extend_collect(n: u64) -> u64 {
    let n = n / 8;
    let mut reserved: HashMap<u64, u64> = HashMap::new();
    op!(reserved.insert(0, 0));
    op!(reserved.reserve(n as usize));
    op!(reserved.extend((0..n).map(|i| (i, i))));
    // The filter hides the number of entries: these grow on the way.
    op!(reserved.extend((n..4 * n).filter(|i| i % 3 != 0).map(|i| (i, i))));
    let known: HashSet<u64> = op!((0..n).collect());
    let unknown: HashSet<u64> = op!((0..n).filter(|i| i % 3 != 0).collect());
    let sum = (reserved.len() + known.len() + unknown.len()) as u64;
    forget(reserved);
    forget(unknown);
    sum
}

#[inline(never)]
pub fn shape_retain_drain(n: u64) -> u64 {
    let mut map: HashMap<u64, u64> = HashMap::new();
    for i in 0..n / 8 {
        op!(map.insert(i, i));
    }
    map.retain(|key, _| key % 100 == 0);
    let kept = map.len() as u64;
    let drained: u64 = map.drain().map(|(_, value)| value).sum();
    for i in 0..n / 4 {
        op!(map.insert(i, i));
    }
    forget(map);
    kept + drained
}

/// Panics at the hash number that `fuse` says.
#[cfg(panic = "unwind")]
struct Fused<'a>(&'a std::cell::Cell<u64>);

#[cfg(panic = "unwind")]
impl BuildHasher for Fused<'_> {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let left = self.0.get();
        self.0.set(left.wrapping_sub(1));
        if left == 0 {
            // Not `panic!`: its message would go to stderr.
            std::panic::resume_unwind(Box::new(()));
        }
        DefaultHasher::new()
    }
}

#[cfg(panic = "unwind")]
#[inline(never)]
fn shape_panicking_hasher_attempt(map: &mut HashMap<u64, u64, Fused<'_>>, i: u64) {
    // Looking at the result keeps the call from becoming a jump, which leaves no frame.
    std::hint::black_box(map.insert(i, i));
}

/// Grows to a full table, lets several attempts to grow it fail, then grows it.
#[cfg(panic = "unwind")]
#[inline(never)]
pub fn shape_panicking_hasher(n: u64) -> u64 {
    let fuse = std::cell::Cell::new(u64::MAX);
    let mut map: HashMap<u64, u64, Fused<'_>> = HashMap::with_hasher(Fused(&fuse));
    for i in 0..n / 8 {
        if map.len() == map.capacity() && i >= 7 {
            fuse.set(1 + map.len() as u64 / 2);
            let attempt = || shape_panicking_hasher_attempt(&mut map, i);
            let outcome = op!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(
                attempt
            )));
            assert!(outcome.is_err(), "the hasher's panic arrives here");
            fuse.set(u64::MAX);
        }
        op!(map.insert(i, i));
    }
    let len = map.len() as u64;
    forget(map);
    len
}

/// Aborts are not unwound: there is nothing to run.
#[cfg(not(panic = "unwind"))]
pub fn shape_panicking_hasher(_: u64) -> u64 {
    0
}

thread_local! {
    static SEEN: std::cell::RefCell<HashMap<u64, u64>> = std::cell::RefCell::default();
}

/// A hasher that fills a map of its own, so that tables are allocated while another map moves.
struct AllocatingHasher(DefaultHasher);

impl Hasher for AllocatingHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finish();
        SEEN.with_borrow_mut(|seen| shape_allocating_hasher_inner(seen, hash % 5000));
        hash
    }
}

#[inline(never)]
fn shape_allocating_hasher_inner(seen: &mut HashMap<u64, u64>, key: u64) {
    op!(seen.insert(key, key));
}

#[derive(Default)]
struct BuildAllocating;

impl BuildHasher for BuildAllocating {
    type Hasher = AllocatingHasher;

    fn build_hasher(&self) -> AllocatingHasher {
        AllocatingHasher(DefaultHasher::new())
    }
}

#[inline(never)]
pub fn shape_allocating_hasher(n: u64) -> u64 {
    let mut map: HashMap<u32, u64, BuildAllocating> = HashMap::default();
    for i in 0..n as u32 / 32 {
        op!(map.insert(i, u64::from(i)));
        if i % 4096 == 0 {
            SEEN.with_borrow_mut(|seen| *seen = HashMap::new());
        }
    }
    SEEN.with_borrow_mut(|seen| *seen = HashMap::new());
    let len = map.len() as u64;
    forget(map);
    len
}

#[inline(never)]
pub fn shape_maps_of_maps(n: u64) -> u64 {
    let mut outer: HashMap<u64, HashMap<u32, u32>> = HashMap::new();
    let people = n / 128;
    for i in 0..n / 4 {
        let inner = op!(outer.entry(i % people).or_default());
        op!(inner.insert(i as u32, i as u32));
    }
    for i in (0..people).step_by(3) {
        outer.remove(&i);
    }
    let sum = outer.values().map(|inner| inner.len() as u64).sum();
    forget(outer);
    sum
}

/// Hash of a value under a random state: keeps the compiler from knowing any of it.
pub fn scramble(value: u64) -> u64 {
    RandomState::new().hash_one(value)
}
