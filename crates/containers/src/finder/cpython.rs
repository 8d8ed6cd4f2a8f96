//! CPython's dicts.
//!
//! A dict is an object: a count of references, its type, its number of entries, a tag, its keys
//! and, where the keys are shared between objects, its values. The type says of itself that it is
//! a dict's (`Py_TPFLAGS_DICT_SUBCLASS`). The keys prove themselves ([`read_foreign`]), and their
//! entries less the deleted ones are as many as the dict says. Dicts that share their keys with
//! others are left out: what is theirs is not told apart from the object they belong to.

use mapgrow_system::memory::Memory;

use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search, cpython_older, word};
use crate::occupancy::cpython::dict_retained;
use crate::occupancy::{Foreign, ForeignKind, read_foreign};

/// References that an object can have; immortal ones have 2^32 at most.
pub(super) const REFERENCES: std::ops::RangeInclusive<u64> = 1..=1 << 32;
/// Types that are remembered.
const MOST_TYPES: usize = 1 << 16;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;
/// Where a type has its flags, and those of dicts and of types.
const FLAGS: u64 = 168;
const DICT_SUBCLASS: u64 = 1 << 29;
const TYPE_SUBCLASS: u64 = 1 << 31;
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
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [references, kind, used, _, keys, values, ..] = *words;
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
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    if search.region(candidate.keys, 32).is_none()
        || search.seen.contains_key(&candidate.keys)
        || !is_dict(search, candidate.kind)
    {
        return;
    }
    match keys(search, candidate.keys) {
        Some((foreign, bytes)) if foreign.entries == Some(candidate.used) => {
            settle(search, header, &candidate, &foreign, bytes);
        }
        _ => search.anew(|search| again_and_again(search, header, candidate)),
    }
}

/// Looks at a dict that does not agree with its keys until it does.
fn again_and_again(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    let mut now = candidate;
    let mut changed = false;
    for _ in 0..ATTEMPTS {
        let keys = keys(search, now.keys);
        let after = (search.view.words(header)).and_then(|words| Candidate::of(&words));
        let Some(after) = after.filter(|after| after.kind == now.kind) else {
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

/// Whether the object at `kind` is a type, and its objects are dicts.
fn is_dict(search: &mut Search<'_>, kind: u64) -> bool {
    if let Some(&known) = search.types.get(&kind) {
        return known;
    }
    let mut bytes = [0; FLAGS as usize + 8];
    let read = search.view.read(kind, &mut bytes);
    let flags = word(&bytes, FLAGS as usize).unwrap_or(0);
    let size = word(&bytes, BASIC_SIZE as usize).unwrap_or(0);
    let name = word(&bytes, 24).unwrap_or(0);
    let is = read
        && flags & DICT_SUBCLASS != 0
        && (LEAST_SIZE..4096).contains(&size)
        && is_name(search, name)
        && is_type(search, kind);
    if search.types.len() < MOST_TYPES {
        search.types.insert(kind, is);
    }
    is
}

/// Whether there may be a name at `address`: a core has only what its process wrote.
fn is_name(search: &Search<'_>, address: u64) -> bool {
    let mut first = [0; 4];
    let told = search.view.read(address, &mut first);
    let mut name = first.iter().take_while(|&&byte| byte != 0);
    // That of a class may be a single letter, and not of ASCII.
    !told || first[0] != 0 && name.all(|byte| matches!(byte, b' '..=b'~' | 0x80..))
}

/// Whether the object at `kind` is of a type whose objects are types.
pub(super) fn is_type(search: &Search<'_>, kind: u64) -> bool {
    let flags =
        (search.view.word(kind + 8)).and_then(|meta| search.view.word(meta.checked_add(FLAGS)?));
    flags.is_some_and(|flags| flags & TYPE_SUBCLASS != 0)
}

/// The keys at `address`, and the bytes of their block.
fn keys(search: &Search<'_>, address: u64) -> Option<(Foreign, u64)> {
    if let Some(older) = cpython_older::keys(search, address) {
        return Some(older);
    }
    let mut header = [0; 32];
    if !search.view.read(address, &mut header) {
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
    let foreign = read_foreign(&search.view, address, bytes)?;
    (foreign.kind == ForeignKind::CpythonKeys).then_some((foreign, bytes))
}

fn settle(
    search: &mut Search<'_>,
    header: u64,
    candidate: &Candidate,
    foreign: &Foreign,
    bytes: u64,
) {
    let (Some(tombstones), Some(capacity), Some(growth_left)) =
        (foreign.tombstones, foreign.capacity, foreign.growth_left)
    else {
        return;
    };
    let figures = Figures {
        buckets: foreign.buckets,
        entries: candidate.used,
        tombstones,
        capacity,
        growth_left,
    };
    let mut found = Found::of(FoundFamily::CpythonDict, header, candidate.keys, figures);
    found.block = Some(candidate.keys);
    found.bytes = Some(bytes);
    found.occupancy.retained_bytes = dict_retained(figures.buckets, figures.entries, bytes);
    search.add(found);
}
