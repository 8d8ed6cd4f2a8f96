//! Which hashes are bad for which keys, by what lookups really cost, and what the control bytes
//! alone are judged to show.
//!
//! The list [`BAD`] was written down from [`Cost`], measured as lookups in real tables, before
//! there was anything to judge control bytes. The first test measures again and holds it to the
//! list; the second holds the verdicts to it.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use hashbrown::HashTable;
use mapgrow_containers::occupancy::{Block, HashQuality, HashVerdict, Known, Limits, survey};

#[path = "support/noting.rs"]
mod noting;

#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// SipHash without its top bits, as where 32 bits of hash are widened.
#[derive(Default)]
struct Narrow(std::hash::DefaultHasher);

impl Hasher for Narrow {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }
    fn finish(&self) -> u64 {
        self.0.finish() & u64::from(u32::MAX)
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Number(u64),
    Half(u16),
    Text(String),
}

fn hash_with<S: BuildHasher>(state: &S, key: &Key) -> u64 {
    // A program's key is the number or the text itself, not one of several kinds.
    match key {
        Key::Number(number) => state.hash_one(number),
        Key::Half(number) => state.hash_one(number),
        Key::Text(text) => state.hash_one(text),
    }
}

type HashOf = Box<dyn Fn(&Key) -> u64>;

fn hashers() -> Vec<(&'static str, HashOf)> {
    fn with<S: BuildHasher + 'static>(state: S) -> HashOf {
        Box::new(move |key| hash_with(&state, key))
    }
    vec![
        ("identity", with(BuildHasherDefault::<Identity>::default())),
        ("narrow", with(BuildHasherDefault::<Narrow>::default())),
        ("fnv", with(fnv::FnvBuildHasher::default())),
        (
            "siphash",
            with(BuildHasherDefault::<std::hash::DefaultHasher>::default()),
        ),
        ("foldhash", with(foldhash::fast::FixedState::with_seed(7))),
        ("ahash", with(ahash::RandomState::with_seeds(1, 2, 3, 4))),
    ]
}

fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A name, and the key of each number.
type DataSet = (&'static str, fn(u64) -> Key);

/// Key number n of each data set.
fn data_sets() -> Vec<DataSet> {
    use Key::{Half, Number, Text};
    vec![
        ("sequential", |n| Number(n)),
        ("from a billion", |n| Number(1_000_000_000 + n)),
        ("even", |n| Number(n * 2)),
        ("multiples of 16", |n| Number(n * 16)),
        ("pages", |n| Number(0x7F00_0000_0000 + n * 4096)),
        ("random", |n| Number(mix(n))),
        ("random 32 bits", |n| Number(mix(n) >> 32)),
        ("heap addresses", |n| {
            Number(0x5555_0000_0000 + n.wrapping_mul(0x9E37_79B1) % (1 << 24) * 16 + 8)
        }),
        ("milliseconds in ns", |n| {
            Number(1_760_000_000_000_000_000 + n * 1_000_000)
        }),
        ("high halves", |n| Number(n << 32)),
        ("bit reversed", |n| Number(n.reverse_bits())),
        ("squares", |n| Number(n * n)),
        ("floats", |n| Number((n as f64).to_bits())),
        ("grid", |n| Number(((n / 300) << 32) | (n % 300))),
        ("negative", |n| Number(u64::MAX - n)),
        ("u16", |n| Half(n as u16)),
        ("attack on low bits", |n| Number(mix(n) << 20)),
        ("names", |n| Text(format!("user-{n}"))),
        ("hex ids", |n| {
            Text(format!(
                "{:032x}",
                u128::from(mix(n)) << 64 | u128::from(mix(!n))
            ))
        }),
        ("short words", |n| Text(format!("{:x}", n))),
    ]
}

/// What lookups cost, on average.
#[derive(Debug)]
struct Cost {
    /// Groups looked at to find a key.
    groups: f64,
    /// Keys compared to find a key: at least 1.
    compared: f64,
    /// Keys compared to learn that a key is not there.
    compared_in_vain: f64,
}

fn fill(hash: &HashOf, key: fn(u64) -> Key, entries: u64) -> HashTable<Key> {
    let mut table = HashTable::new();
    for number in 0..entries {
        let key = key(number);
        table.insert_unique(hash(&key), key, |key| hash(key));
    }
    table
}

fn cost(hash: &HashOf, key: fn(u64) -> Key, entries: u64) -> Cost {
    let table = fill(hash, key, entries);
    let mask = table.num_buckets() - 1;
    // Every seventh is enough, and a bad hash makes all of them slow.
    let step = (entries / 3_000).max(1);
    let (mut groups, mut compared, mut vain, mut looked) = (0_u64, 0_u64, 0_u64, 0_u64);
    for number in (0..entries).step_by(step as usize) {
        let wanted = key(number);
        let start = hash(&wanted);
        let found = table.find_bucket_index(start, |other| {
            compared += 1;
            *other == wanted
        });
        let found = found.expect("it was put in");
        let (mut position, mut stride) = (start as usize & mask, 0);
        loop {
            groups += 1;
            if found.wrapping_sub(position) & mask < 16 {
                break;
            }
            stride += 16;
            position = (position + stride) & mask;
        }
        let missing = key(entries + number);
        let there = table.find(hash(&missing), |other| {
            vain += 1;
            *other == missing
        });
        assert!(there.is_none());
        looked += 1;
    }
    let mean = |sum: u64| sum as f64 / looked as f64;
    Cost {
        groups: mean(groups),
        compared: mean(compared),
        compared_in_vain: mean(vain),
    }
}

impl Cost {
    /// A lookup that has to look at half as many groups again as it should, or to compare half a
    /// key too many, or a whole one in vain.
    fn is_bad(&self) -> bool {
        self.groups > 1.5 || self.compared > 1.5 || self.compared_in_vain > 1.0
    }
}

/// Hashes that are bad for keys. Every other pair of the lists above is good.
fn is_listed_bad(hasher: &str, data: &str) -> bool {
    match hasher {
        // The number itself is a good hash only of random numbers.
        "identity" => data != "random",
        "narrow" => true,
        "fnv" => matches!(data, "bit reversed" | "u16"),
        _ => false,
    }
}

/// A table about three quarters full.
const ENTRIES: u64 = 25_000;

#[test]
fn costs_are_as_listed() {
    for (hasher, hash) in hashers() {
        for (data, key) in data_sets() {
            let cost = cost(&hash, key, ENTRIES);
            let listed = is_listed_bad(hasher, data);
            assert_eq!(cost.is_bad(), listed, "{hasher} of {data}: {cost:?}");
        }
    }
}

fn quality(table: &HashTable<Key>) -> Option<HashQuality> {
    let bytes = noting::last_table();
    let block = Block::new(bytes.len() as u64, Some(16), 16).expect("a table");
    let surveyed = survey(&block, &mut bytes.as_slice(), &Limits::default()).expect("readable");
    let known = Known {
        element: Some(size_of::<Key>() as u64),
        sizes: &[],
    };
    let occupancy = surveyed.settle(&known)?;
    let whole = occupancy.entries.value == table.len() as u64;
    assert!(
        whole,
        "{} entries, not {}",
        table.len(),
        occupancy.entries.value
    );
    occupancy.quality
}

#[test]
fn verdicts_are_as_listed() {
    // Up to the largest load, just after a resize, and in between.
    for entries in [ENTRIES, 28_600, 14_400, 3_000] {
        for (hasher, hash) in hashers() {
            for (data, key) in data_sets() {
                let table = fill(&hash, key, entries);
                let quality = quality(&table).expect("there are enough entries");
                let bad = is_listed_bad(hasher, data);
                assert_eq!(
                    quality.verdict != HashVerdict::Good,
                    bad,
                    "{entries} keys, {hasher} of {data}: {quality:?}"
                );
                if hasher == "identity" && data == "sequential" {
                    assert_eq!(quality.verdict, HashVerdict::IdentityLike);
                }
                if data == "attack on low bits" && bad && hasher == "identity" {
                    assert_eq!(quality.verdict, HashVerdict::Clustered);
                }
                // All want the first place, and their tags are the same.
                if data == "high halves" && hasher == "identity" {
                    assert_eq!(quality.verdict, HashVerdict::Clustered);
                }
                if data == "random" && hasher == "narrow" {
                    assert_eq!(quality.verdict, HashVerdict::ConstantTopBits);
                }
            }
        }
    }
}

/// Small maps, and what deletes in the order of the table leave: stretches of it empty.
#[test]
fn good_hashes_of_small_and_emptied_maps_are_not_accused() {
    let mut judged = 0;
    for round in 0..4_000_u64 {
        let entries = 1 + mix(round) % 700;
        let state = ahash::RandomState::with_seeds(round, 2, 3, 4);
        let hash: HashOf = Box::new(move |key| hash_with(&state, key));
        let mut table = fill(&hash, Key::Number, entries);
        if round % 2 == 1 {
            let mut left = mix(!round) % entries;
            table.retain(|_| {
                left = left.saturating_sub(1);
                left == 0
            });
        }
        if let Some(quality) = quality(&table) {
            judged += 1;
            assert_eq!(quality.verdict, HashVerdict::Good, "{entries}: {quality:?}");
        }
    }
    assert!(judged > 2_000, "{judged}");
}
