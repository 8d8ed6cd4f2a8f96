//! The unordered containers of libstdc++.
//!
//! The header is where the buckets lie, how many there are, the first node, the number of entries,
//! the largest load, and the number of entries with which it grows. The number of buckets is
//! prime, and the last figure is their product with the load. The bucket of the first node holds
//! the address of the place in the header that leads to it: a copy of a header that a move left
//! behind lacks that, and so does a table that was freed. Of a container that was emptied every
//! bucket is null.

use mapgrow_system::memory::Memory;

use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};

/// Bytes of buckets read at once.
const CHUNK: usize = 64 << 10;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;
/// Nodes that are followed.
const FOLLOWED: u64 = 64;
/// Where the first node is named within the header.
const FIRST: u64 = 16;

/// Words that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    table: u64,
    buckets: u64,
    first: u64,
    entries: u64,
    capacity: u64,
    /// The load was set, and no figure follows from it yet: the header could be one of libc++'s as well.
    pub(super) says_little: bool,
}

impl Candidate {
    /// What the words are, if they can be a header.
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [table, buckets, first, entries, load, capacity, ..] = *words;
        let load = f32::from_bits(load as u32);
        if !(0.05..=64.0).contains(&load) || !(2..1 << 40).contains(&buckets) {
            return None;
        }
        let product = buckets as f64 * f64::from(load);
        // Whoever sets another load sets this figure to 0, until the next insertion.
        let says_little = capacity == 0 && (1..1 << 40).contains(&entries);
        let agrees =
            says_little || capacity == product.floor() as u64 || capacity == product.ceil() as u64;
        let capacity = match says_little {
            true => (product.floor() as u64).max(entries),
            false => capacity,
        };
        let sound = agrees
            && table.is_multiple_of(16)
            && first.is_multiple_of(8)
            && (first == 0) == (entries == 0)
            && entries <= capacity;
        sound.then_some(Self {
            table,
            buckets,
            first,
            entries,
            capacity,
            says_little,
        })
    }
}

/// Finds out whether the candidate at `header` is a container, and adds it if so.
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    match agrees(search, header, &candidate) {
        Some(true) => settle(search, header, &candidate),
        Some(false) => search.anew(|search| again_and_again(search, header, candidate)),
        None => {}
    }
}

/// Looks at a candidate that does not agree with its table until it does, or proves to be none.
fn again_and_again(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    let mut now = candidate;
    let mut changed = false;
    for _ in 0..ATTEMPTS {
        let agrees = agrees(search, header, &now);
        if agrees.is_none() && !changed {
            return;
        }
        let after = (search.view.words(header)).and_then(|words| Candidate::of(&words));
        let Some(after) = after else {
            search.finding.changed_while_read += u64::from(changed);
            return;
        };
        if after == now {
            if agrees == Some(true) {
                settle(search, header, &now);
            }
            return;
        }
        changed = true;
        now = after;
    }
    search.finding.changed_while_read += u64::from(changed);
}

/// Whether buckets and nodes are what the header says; `None` where there are none.
fn agrees(search: &mut Search<'_>, header: u64, candidate: &Candidate) -> Option<bool> {
    let Candidate { table, buckets, .. } = *candidate;
    search.region(table, buckets.checked_mul(8)?)?;
    if search.seen.contains_key(&table) || !is_prime(search, buckets) {
        return None;
    }
    let (mut used, mut own) = (0_u64, 0_u64);
    let mut buffer = vec![0; usize::try_from(buckets * 8).ok()?.min(CHUNK)];
    let mut at = 0;
    while at < buckets * 8 {
        let length = usize::try_from(buckets * 8 - at).ok()?.min(CHUNK);
        let bytes = buffer.get_mut(..length)?;
        if !search.view.read(table + at, bytes) {
            return None;
        }
        for head in bytes.as_chunks::<8>().0 {
            let head = u64::from_le_bytes(*head);
            if head == 0 {
                continue;
            }
            if !head.is_multiple_of(8) {
                return None;
            }
            search.region(head, 8)?;
            used += 1;
            own += u64::from(head == header + FIRST);
        }
        at += length as u64;
    }
    let agrees = if candidate.entries == 0 {
        used == 0
    } else {
        own == 1 && used <= candidate.entries && leads_on(search, candidate)?
    };
    Some(agrees)
}

/// Whether the nodes go on for as long as there are entries, as far as they are followed.
fn leads_on(search: &Search<'_>, candidate: &Candidate) -> Option<bool> {
    let mut node = candidate.first;
    for _ in 0..candidate.entries.min(FOLLOWED) {
        search.region(node, 8)?;
        node = search.view.word(node)?;
    }
    Some((node == 0) == (candidate.entries <= FOLLOWED))
}

pub(super) fn is_prime(search: &Search<'_>, number: u64) -> bool {
    // As long as it takes to read so many bytes.
    if !search.view.affords(number.isqrt()) {
        return false;
    }
    let divides = |divisor: &u64| number.is_multiple_of(*divisor);
    number == 2
        || number > 2
            && !number.is_multiple_of(2)
            && !(3..)
                .step_by(2)
                .take_while(|divisor| divisor * divisor <= number)
                .any(|divisor| divides(&divisor))
}

fn settle(search: &mut Search<'_>, header: u64, candidate: &Candidate) {
    let Candidate {
        table,
        buckets,
        entries,
        capacity,
        ..
    } = *candidate;
    let figures = Figures {
        buckets,
        entries,
        tombstones: 0,
        capacity,
        growth_left: capacity.saturating_sub(entries),
    };
    let mut found = Found {
        block: Some(table),
        bytes: Some(buckets * 8),
        grows_at: Some(capacity + 1),
        doubtful: entries == 0,
        ..Found::of(FoundFamily::LibstdcxxHashtable, header, table, figures)
    };
    // The least: the next size is of a list of primes, each up to a sixth larger than the one before.
    let load = capacity as f64 / buckets as f64;
    let least = (entries as f64 / load).ceil() as u64 * 8;
    let needed = match entries {
        0 => 0,
        _ => least + least / 6 + 64,
    };
    found.occupancy.retained_bytes = found.bytes.map(|bytes| bytes.saturating_sub(needed));
    search.add(found);
}
