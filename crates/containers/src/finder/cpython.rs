//! CPython's dicts.
//!
//! A dict is an object: a count of references, its type, its number of entries, a tag, its keys
//! and, where the keys are shared between objects, its values. The type says of itself that it is
//! a dict's (`Py_TPFLAGS_DICT_SUBCLASS`). The keys prove themselves ([`read_foreign`]), and their
//! entries less the deleted ones are as many as the dict says. Dicts that share their keys with
//! others are left out: what is theirs is not told apart from the object they belong to.

use super::{Found, FoundFamily, Search, Searched, word};
use crate::occupancy::{Count, Foreign, ForeignKind, Occupancy, read_foreign};

/// Words of a header.
pub(super) const WORDS: usize = 6;
/// References that an object can have; immortal ones have 2^32 at most.
const REFERENCES: std::ops::RangeInclusive<u64> = 1..=1 << 32;
/// Types that are remembered.
const MOST_TYPES: usize = 1 << 16;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;
/// Where a type has its flags, and the one of dicts.
const FLAGS: u64 = 168;
const DICT_SUBCLASS: u64 = 1 << 29;
/// Where a type has the bytes of its objects, and those of a dict.
const BASIC_SIZE: u64 = 32;
const LEAST_SIZE: u64 = 48;

/// Words that may be a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    kind: u64,
    used: u64,
    keys: u64,
}

impl Candidate {
    /// What the words are, if they can be a dict.
    pub(super) fn of(words: [u64; WORDS]) -> Option<Self> {
        let [references, kind, used, _, keys, values] = words;
        let pointer = |word: u64| (4096..1 << 47).contains(&word) && word.is_multiple_of(8);
        let sound = values == 0
            && used < 1 << 40
            && REFERENCES.contains(&(references & 0xFFFF_FFFF_FFFF))
            && pointer(kind)
            && pointer(keys);
        sound.then_some(Self { kind, used, keys })
    }
}

/// Finds out whether the candidate at `header` is a dict, and adds it if so.
pub(super) fn prove<M: Searched>(search: &mut Search<'_, M>, header: u64, candidate: Candidate) {
    if search.region(candidate.keys, 32).is_none()
        || search.seen.contains_key(&candidate.keys)
        || !is_dict(search, candidate.kind)
    {
        return;
    }
    let mut now = candidate;
    let mut changed = false;
    for _ in 0..ATTEMPTS {
        let keys = keys(search, now.keys);
        let Some(after) = again(search, header).filter(|after| after.kind == now.kind) else {
            break;
        };
        if after == now {
            match keys {
                Some((foreign, bytes)) if foreign.entries == Some(now.used) => {
                    return settle(search, header, &now, &foreign, bytes);
                }
                _ if !changed => return,
                _ => {}
            }
        }
        changed |= after != now;
        now = after;
    }
    search.finding.changed_while_read += u64::from(changed);
}

fn again<M: Searched>(search: &Search<'_, M>, header: u64) -> Option<Candidate> {
    let mut bytes = [0; WORDS * 8];
    if !search.memory.read(header, &mut bytes) {
        return None;
    }
    let mut words = [0; WORDS];
    for (index, place) in words.iter_mut().enumerate() {
        *place = word(&bytes, index * 8)?;
    }
    Candidate::of(words)
}

/// Whether the object at `kind` is a type, and its objects are dicts.
fn is_dict<M: Searched>(search: &mut Search<'_, M>, kind: u64) -> bool {
    if let Some(&known) = search.types.get(&kind) {
        return known;
    }
    let mut bytes = [0; FLAGS as usize + 8];
    let read = search.memory.read(kind, &mut bytes);
    let flags = word(&bytes, FLAGS as usize).unwrap_or(0);
    let size = word(&bytes, BASIC_SIZE as usize).unwrap_or(0);
    let name = word(&bytes, 24).unwrap_or(0);
    let is = read
        && flags & DICT_SUBCLASS != 0
        && (LEAST_SIZE..4096).contains(&size)
        && is_name(search, name);
    if search.types.len() < MOST_TYPES {
        search.types.insert(kind, is);
    }
    is
}

/// Whether there is a name at `address`.
fn is_name<M: Searched>(search: &Search<'_, M>, address: u64) -> bool {
    let mut first = [0; 4];
    search.memory.read(address, &mut first) && first.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The keys at `address`, and the bytes of their block.
fn keys<M: Searched>(search: &Search<'_, M>, address: u64) -> Option<(Foreign, u64)> {
    let mut header = [0; 32];
    if !search.memory.read(address, &mut header) {
        return None;
    }
    let (log2, index_log2, kind) = (*header.get(8)?, *header.get(9)?, *header.get(10)?);
    let entry = match kind {
        0 => 24,
        1 => 16,
        _ => return None,
    };
    if !(3..40).contains(&log2) || !(3..44).contains(&index_log2) {
        return None;
    }
    let capacity = (1_u64 << log2) * 2 / 3;
    let bytes = 32 + (1_u64 << index_log2) + capacity * entry;
    search.region(address, bytes)?;
    let foreign = read_foreign(search.memory, address, bytes)?;
    (foreign.kind == ForeignKind::CpythonKeys).then_some((foreign, bytes))
}

fn settle<M: Searched>(
    search: &mut Search<'_, M>,
    header: u64,
    candidate: &Candidate,
    foreign: &Foreign,
    bytes: u64,
) {
    let exact = |value| Count { value, error: 0 };
    let found = Found {
        family: FoundFamily::CpythonDict,
        header,
        copies: Vec::new(),
        block: Some(candidate.keys),
        bytes: Some(bytes),
        occupancy: Occupancy {
            buckets: Some(foreign.buckets),
            element_bytes: None,
            entries: exact(candidate.used),
            tombstones: exact(foreign.tombstones.unwrap_or(0)),
            capacity: foreign.capacity,
            growth_left: foreign.growth_left,
            retained_bytes: None,
            quality: None,
        },
        grows_at: None,
        next_bytes: None,
    };
    search.add(candidate.keys, found);
}
