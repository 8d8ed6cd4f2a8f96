//! Fills some two thousand maps of many element types, brings them to all kinds of states, and
//! writes down what each of them says of itself, with the address and size of its table as seen
//! underneath the recorder.
//!
//! `victim_occupancy TRUTH.tsv [wait]`: ends with all maps alive; with `wait`, only when its
//! standard input is closed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;
use std::io::Read as _;

/// Remembers the last block that a table could be.
struct Watching;

thread_local! {
    static LAST: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

// SAFETY: hands everything on to `System`.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { System.alloc(layout) };
        if layout.align() >= 16 {
            let _ = LAST.try_with(|last| last.set((block as usize, layout.size())));
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOC: mapgrow::MapGrow<Watching> = mapgrow::MapGrow::with_backend(Watching);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(align(32))]
struct Align32(u64);
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(align(64))]
struct Align64(u64);

/// A key made from a number; small ones repeat.
trait Key: Hash + Eq + Copy + 'static {
    fn of(number: u64) -> Self;
}

macro_rules! numbers {
    ($($number:ty)*) => { $(impl Key for $number {
        fn of(number: u64) -> Self {
            number as $number
        }
    })* };
}
numbers!(u8 u16 u32 u64 u128);

impl<const N: usize> Key for [u8; N] {
    fn of(number: u64) -> Self {
        let bytes = number.to_le_bytes();
        std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
    }
}
impl Key for Align32 {
    fn of(number: u64) -> Self {
        Self(number)
    }
}
impl Key for Align64 {
    fn of(number: u64) -> Self {
        Self(number)
    }
}

/// The keys of a map from the `skip`th on. Their vector may be aligned as a table.
fn keys<K: Key, V>(map: &HashMap<K, V>, skip: usize) -> Vec<K> {
    let last = LAST.get();
    let keys = map.keys().copied().skip(skip).collect();
    LAST.set(last);
    keys
}

fn remove<K: Key, V>(map: &mut HashMap<K, V>, keys: &[K]) {
    for key in keys {
        map.remove(key);
    }
}

struct World {
    seed: u64,
    maps: Vec<Box<dyn Any>>,
    truth: String,
}

impl World {
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.seed;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random() % bound.max(1)
    }

    fn note<K: Key, V: Copy + 'static>(&mut self, state: &str, map: HashMap<K, V>) {
        let (address, bytes) = LAST.get();
        let element = size_of::<(K, V)>();
        if map.capacity() > 0 {
            writeln!(
                self.truth,
                "{address}\t{bytes}\t{}\t{}\t{element}\t{}\t{state}",
                map.len(),
                map.capacity(),
                align_of::<(K, V)>(),
            )
            .expect("a string takes everything");
        }
        self.maps.push(Box::new(map));
    }

    fn bring_about<K: Key, V: Copy + 'static>(&mut self, value: V, count: u64) {
        let fill = |world: &mut Self, map: &mut HashMap<K, V>, count: u64| {
            for _ in 0..count {
                map.insert(K::of(world.random()), value);
            }
        };
        let mut map = HashMap::new();
        fill(self, &mut map, count);
        self.note("grown", map);

        let mut map = HashMap::with_capacity((count + self.below(count)) as usize);
        fill(self, &mut map, count);
        self.note("presized", map);

        let mut map = HashMap::new();
        fill(self, &mut map, count);
        let mut keep = 0_u64;
        map.retain(|_, _| {
            keep += 1;
            keep.is_multiple_of(2)
        });
        self.note("half deleted", map);

        let mut map = HashMap::new();
        fill(self, &mut map, count);
        let all = keys(&map, 0);
        remove(&mut map, &all);
        self.note("emptied", map);

        let mut map = HashMap::new();
        fill(self, &mut map, count);
        for _ in 0..count.min(50_000) {
            let key = map.keys().next().copied();
            key.map(|key| map.remove(&key));
            map.insert(K::of(self.random()), value);
        }
        self.note("churned", map);

        let mut map = HashMap::new();
        fill(self, &mut map, count);
        let copy = map.clone();
        self.note("cloned", copy);
        drop(map);

        let mut map = HashMap::new();
        fill(self, &mut map, count);
        let most = keys(&map, count as usize / 10);
        remove(&mut map, &most);
        map.shrink_to_fit();
        self.note("shrunk", map);

        let mut map = HashMap::new();
        fill(self, &mut map, count);
        map.clear();
        self.note("cleared", map);
    }
}

macro_rules! each {
    ($world:expr, $count:expr; $($key:ty, $value:expr;)*) => {
        $($world.bring_about::<$key, _>($value, $count);)*
    };
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("where the truth is to go");
    let wait = arguments.next().is_some();
    let mut world = World {
        seed: 1,
        maps: Vec::new(),
        truth: String::new(),
    };
    for round in 0..16 {
        let count = if round < 2 {
            round
        } else {
            world.below(1 << (2 + round / 2 * 2).min(13))
        };
        each!(world, count;
            u8, ();
            u8, 0_u8;
            [u8; 3], ();
            u16, ();
            u32, ();
            u64, ();
            u64, 1_u64;
            u64, [0_u64; 2];
            [u8; 5], [7_u8; 44];
            u64, [1_u64; 24];
            [u8; 7], [255_u8; 24];
            u128, [3_u8; 31];
            u32, 0_u16;
            Align32, 9_u64;
            Align64, ();
        );
    }
    // Five million entries, and what deletes leave of them.
    let mut large: HashMap<u64, u64> = (0..5_000_000).map(|n| (n, n)).collect();
    large.retain(|key, _| key % 3 != 0);
    world.note("large", large);
    std::fs::write(path, &world.truth).expect("the truth is written");
    if wait {
        println!("ready");
        let _ = std::io::stdin().read(&mut [0]);
    }
    // Static: not dropped at the end.
    std::mem::forget(world);
}
