//! The finder on real tables of this process.

use std::collections::{HashMap, HashSet};
use std::ptr::from_ref;

use mapgrow_system::memory::{Memory, ProcessMemory};

use super::{Finding, Found, Region, Searched, find};

const GROUP: u64 = if cfg!(target_arch = "x86_64") { 16 } else { 8 };

/// This process, in which headers are looked for in a few places alone.
struct Within {
    own: ProcessMemory,
    places: Vec<(u64, u64)>,
}

impl Within {
    fn new(places: &[(u64, u64)]) -> Self {
        Self {
            own: ProcessMemory::of(std::process::id()),
            places: places.to_vec(),
        }
    }
}

impl Memory for Within {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.own.read(address, into)
    }
}

impl Searched for Within {
    fn parts(&self, from: u64, to: u64, add: &mut dyn FnMut(u64, u64)) {
        for &(start, end) in &self.places {
            let (start, end) = (start.max(from), end.min(to));
            if start < end {
                add(start, end);
            }
        }
    }
}

/// Where this process keeps what it writes.
fn regions() -> Vec<Region> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("readable");
    let region = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        rest.starts_with("rw-p").then_some(Region {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
        })
    };
    maps.lines().filter_map(region).collect()
}

/// Searches for headers in some places, each from its first address to its last.
fn look(places: &[(u64, u64)]) -> Vec<Found> {
    let finding: Finding = find(&Within::new(places), &regions(), GROUP, &mut |_| ());
    finding.tables
}

fn place_of<T: ?Sized>(object: &T) -> (u64, u64) {
    let start = from_ref(object).cast::<u8>() as u64;
    (start, start + size_of_val(object) as u64)
}

fn is_of<K, V, S>(found: &Found, map: &HashMap<K, V, S>) {
    let occupancy = &found.occupancy;
    assert_eq!(occupancy.entries.value, map.len() as u64, "{found:?}");
    let left = occupancy.growth_left.expect("known");
    assert_eq!(occupancy.entries.value + left, map.capacity() as u64);
    let (capacity, buckets) = (occupancy.capacity, occupancy.buckets);
    assert_eq!(
        occupancy.tombstones.value,
        capacity.expect("known") - map.capacity() as u64
    );
    assert!(buckets.expect("known") > capacity.expect("known"));
    if let Some(element) = occupancy.element_bytes {
        assert_eq!(element, size_of::<(K, V)>() as u64, "{found:?}");
    }
}

#[test]
fn a_map_in_every_state_is_found_with_its_own_figures() {
    // In one place that does not move, so that each header is where it is looked for.
    let mut maps: Vec<HashMap<u64, [u32; 5]>> = Vec::new();
    for size in [1_u64, 3, 4, 7, 8, 14, 15, 28, 100, 1000, 5000, 70_000] {
        let full: HashMap<u64, [u32; 5]> = (0..size).map(|key| (key, [1; 5])).collect();
        let mut halved = full.clone();
        halved.retain(|key, _| key % 2 == 0);
        let mut emptied = full.clone();
        emptied.retain(|_, _| false);
        let mut cleared = full.clone();
        cleared.clear();
        let mut churned = HashMap::with_capacity(size as usize);
        for key in 0..4 * size {
            churned.insert(key, [0; 5]);
            churned.remove(&key.wrapping_sub(size / 2));
        }
        maps.extend([full.clone(), full, halved, emptied, cleared, churned]);
    }
    maps.push(HashMap::new());
    let tables = look(&[place_of(maps.as_slice())]);
    let mut known = 0;
    for map in &maps {
        let start = from_ref(map) as u64;
        let inside = start..start + size_of_val(map) as u64;
        let found: Vec<&Found> = (tables.iter())
            .filter(|found| inside.contains(&found.header))
            .collect();
        match found.as_slice() {
            [] => assert_eq!(map.capacity(), 0),
            [found] => {
                is_of(found, map);
                known += usize::from(found.bytes.is_some());
                // Padding hides the size of the elements of a small table.
                let large = found.occupancy.buckets > Some(8);
                assert_eq!(found.occupancy.element_bytes.is_some(), large, "{found:?}");
            }
            more => panic!("{more:?}"),
        }
    }
    assert_eq!(known, maps.len() - 1);
}

#[test]
fn a_header_that_was_left_behind_is_no_second_table() {
    let map: Box<HashMap<u32, u32>> = Box::new((0..500).map(|key| (key, key)).collect());
    let own = ProcessMemory::of(std::process::id());
    let mut words = [0; 6 * 8];
    let (start, _) = place_of(&*map);
    assert!(own.read(start, &mut words));
    // What moves leave behind, at any distance from one another.
    let copies = Box::new([words, [0; 48], words, words, [0xFF; 48], words]);
    let found = look(&[place_of(&*copies), place_of(&*map)]);
    let [found] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(found.copies.len(), 4);
    is_of(found, &map);
    // One that was left behind before the map changed does not agree any more.
    let mut map = map;
    map.insert(1000, 0);
    assert!(look(&[place_of(&*copies)]).is_empty());
}

#[test]
fn sets_and_wide_elements_have_their_size() {
    let set: Box<HashSet<u8>> = Box::new((0..200).collect());
    let unit: Box<HashMap<(), ()>> = Box::new(HashMap::from([((), ())]));
    let wide: Box<HashMap<u64, [u64; 64]>> = Box::new((0..40).map(|k| (k, [k; 64])).collect());
    for (found, element) in [
        (look(&[place_of(&*set)]), 1),
        (look(&[place_of(&*unit)]), 0),
        (look(&[place_of(&*wide)]), 520),
    ] {
        let [found] = found.as_slice() else {
            panic!("{found:?}")
        };
        let known = found.occupancy.element_bytes;
        assert!(known.is_none_or(|known| known == element), "{found:?}");
        assert!(element == 0 || known.is_some(), "{found:?}");
    }
}

#[test]
fn entries_that_look_like_the_size_of_a_block_do_not_hide_the_true_one() {
    // Two buckets, their control bytes and a header of glibc's make 224 bytes.
    const LIKE_A_SIZE: u64 = 224 | 1;
    let plain: Vec<HashMap<u64, u64>> = (0..20)
        .map(|size| (0..size).map(|k| (k, k)).collect())
        .collect();
    let entries = (0..56).map(|key| (key, [LIKE_A_SIZE; 6]));
    let map: Box<HashMap<u64, [u64; 6]>> = Box::new(entries.collect());
    let found = look(&[place_of(plain.as_slice()), place_of(&*map)]);
    let found = (found.iter())
        .find(|found| place_of(&*map).0 <= found.header && found.header < place_of(&*map).1)
        .expect("found");
    assert_eq!(found.occupancy.buckets, Some(64));
    assert_eq!(found.occupancy.element_bytes, Some(56), "{found:?}");
}

/// A map of Go's before 1.24 with four buckets of `stride` words each: its header, and the buckets, of
/// which the tops of hashes are those given.
fn go_map(stride: usize, tops: [u64; 4]) -> (Box<[u64; 8]>, Vec<u64>) {
    let mut buckets = vec![0; stride * 64];
    for (at, tops) in tops.into_iter().enumerate() {
        buckets[at * stride] = tops;
        if tops != 0 {
            buckets[at * stride + 1..(at + 1) * stride - 1].fill(0x0101_0101_0101_0101);
        }
    }
    let of_bucket = |tops: &u64| tops.to_le_bytes().iter().filter(|&&top| top >= 5).count() as u64;
    let count = tops.iter().map(of_bucket).sum();
    let numbers = 2 << 8 | 0x1234_5678 << 32;
    let at = buckets.as_ptr() as u64;
    (Box::new([count, numbers, at, 0, 0, 0, 0, 0]), buckets)
}

#[test]
fn what_buckets_of_many_sizes_agree_with_is_no_map_alone() {
    const THREE: u64 = 0x07_0707;
    const FOUR: u64 = 0x0909_0909;
    let (nearly_empty, _buckets) = go_map(10, [THREE, 0, 0, 0]);
    assert_eq!(look(&[place_of(&*nearly_empty)]), []);
    // Where there are others, it is one.
    let (plain, _others) = go_map(10, [FOUR; 4]);
    let found = look(&[place_of(&*nearly_empty), place_of(&*plain)]);
    let entries = found.iter().map(|found| found.occupancy.entries.value);
    assert_eq!(entries.collect::<HashSet<u64>>(), HashSet::from([3, 16]));
}

#[test]
fn no_figure_contradicts_a_map_whatever_was_done_to_it() {
    let mut seed = 0x5DEE_CE66_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed >> 33
    };
    for _ in 0..60 {
        let mut map: Box<HashMap<u64, u16>> = Box::default();
        for _ in 0..1 + next() % 6 {
            let (some, part) = (next() % 2000, 1 + next() % 9);
            match next() % 6 {
                0 | 1 => map.extend((0..some).map(|_| (next(), 0))),
                2 => map.retain(|key, _| key % 10 < part),
                3 => map.shrink_to_fit(),
                4 => map.reserve(some as usize),
                _ => {
                    for _ in 0..some {
                        let old = map.keys().next().copied().unwrap_or(0);
                        map.remove(&old);
                        map.insert(next(), 1);
                    }
                }
            }
        }
        match look(&[place_of(&*map)]).as_slice() {
            [] => assert_eq!(map.capacity(), 0),
            [found] => is_of(found, &map),
            more => panic!("{more:?}"),
        }
    }
}
