//! CPython's sets.
//!
//! A set is an object: a count of references, its type, how many places of its table are used or
//! were, its number of entries, the number of places less one, and the table. The type is named
//! `set` or `frozenset`. A place has a key and a hash: no key where it is empty, and a hash of -1
//! where an entry was deleted. What is counted there is what the object says. The first eight
//! places are in the object itself: a set that has no others is left out.

use mapgrow_system::memory::Memory;

use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search, cpython};
use crate::occupancy::cpython::set_retained;

/// Bytes of a place.
const PLACE: u64 = 16;
/// Places read at once.
const CHUNK: usize = 16 << 10;
/// Bytes of a set, and where a type says so and names itself.
const SIZE: u64 = 200;
const BASIC_SIZE: u64 = 32;
const NAME: u64 = 24;
/// Where a type has its base (`tp_base`), classes looked through, and bytes of their objects.
const BASE: u64 = 256;
const MOST_BASES: usize = 8;
const MOST_SIZE: u64 = 4096;
/// Hash of a deleted entry.
const DELETED: u64 = u64::MAX;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;

/// Words that may be a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    kind: u64,
    fill: u64,
    used: u64,
    mask: u64,
    table: u64,
}

impl Candidate {
    /// What the words are, if they can be a set.
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [references, kind, fill, used, mask, table, ..] = *words;
        let is_mask = mask & mask.wrapping_add(1) == 0 && (7..1 << 40).contains(&mask);
        let pointer = |word: u64| (4096..1 << 47).contains(&word) && word.is_multiple_of(8);
        let sound = is_mask
            && used <= fill
            && fill <= mask
            && cpython::REFERENCES.contains(&(references & 0xFFFF_FFFF_FFFF))
            && pointer(kind)
            && pointer(table);
        sound.then_some(Self {
            kind,
            fill,
            used,
            mask,
            table,
        })
    }
}

/// Finds out whether the candidate at `header` is a set, and adds it if so.
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    let within = |table: u64| (header..header + SIZE).contains(&table);
    if within(candidate.table)
        || search
            .region(candidate.table, (candidate.mask + 1) * PLACE)
            .is_none()
        || search.seen.contains_key(&candidate.table)
        || !is_set(search, candidate.kind)
    {
        return;
    }
    if counted(search, &candidate) == Some((candidate.fill, candidate.used)) {
        return settle(search, header, &candidate);
    }
    search.anew(|search| {
        let mut now = candidate;
        let mut changed = false;
        for _ in 0..ATTEMPTS {
            let counted = counted(search, &now);
            let after = (search.view.words(header)).and_then(|words| Candidate::of(&words));
            let Some(after) = after.filter(|after| {
                let places = (after.mask + 1) * PLACE;
                after.kind == now.kind && search.region(after.table, places).is_some()
            }) else {
                break;
            };
            if after == now {
                if counted == Some((now.fill, now.used)) && !within(now.table) {
                    settle(search, header, &now);
                    return;
                }
                if !changed {
                    return;
                }
            }
            changed |= after != now;
            now = after;
        }
        search.finding.changed_while_read += u64::from(changed);
    });
}

/// Whether the object at `kind` is the type of sets. A core may lack its name, which is part of the
/// program: then the table alone proves it.
fn is_set(search: &Search<'_>, kind: u64) -> bool {
    let mut kind = kind;
    for _ in 0..MOST_BASES {
        let word = |at: u64| search.view.word(kind.checked_add(at)?);
        let size = word(BASIC_SIZE).unwrap_or(0);
        if !(SIZE..MOST_SIZE).contains(&size) || !cpython::is_type(search, kind) {
            return false;
        }
        let mut name = [0; 10];
        let told = word(NAME).is_some_and(|place| search.view.read(place, &mut name));
        if size == SIZE && (!told || name.starts_with(b"set\0") || name == *b"frozenset\0") {
            return true;
        }
        // A class of the program's own: its base says.
        match word(BASE).filter(|base| *base != 0) {
            Some(base) => kind = base,
            None => return false,
        }
    }
    false
}

/// Places that are used or were, and those that are.
fn counted(search: &Search<'_>, candidate: &Candidate) -> Option<(u64, u64)> {
    let mut buffer = [0; CHUNK];
    let bytes = (candidate.mask + 1) * PLACE;
    let (mut fill, mut used) = (0, 0);
    let mut at = 0;
    while at < bytes {
        let length = usize::try_from(bytes - at).ok()?.min(CHUNK);
        let read = buffer.get_mut(..length)?;
        if !search.view.read(candidate.table + at, read) {
            return None;
        }
        for place in read.as_chunks::<{ PLACE as usize }>().0 {
            let (key, hash) = place.split_at(8);
            if key.iter().any(|&byte| byte != 0) {
                fill += 1;
                used += u64::from(hash != DELETED.to_le_bytes());
            }
        }
        at += length as u64;
    }
    Some((fill, used))
}

fn settle(search: &mut Search<'_>, header: u64, candidate: &Candidate) {
    // It grows as soon as three fifths of its places are used.
    let capacity = (candidate.mask * 3 - 1) / 5;
    let figures = Figures {
        buckets: candidate.mask + 1,
        entries: candidate.used,
        tombstones: candidate.fill - candidate.used,
        capacity,
        growth_left: capacity.saturating_sub(candidate.fill),
    };
    let mut found = Found::of(FoundFamily::CpythonSet, header, candidate.table, figures);
    found.block = Some(candidate.table);
    found.bytes = Some(figures.buckets * PLACE);
    found.occupancy.element_bytes = Some(PLACE);
    found.occupancy.retained_bytes = found.bytes.map(|bytes| set_retained(candidate.used, bytes));
    search.add(found);
}
