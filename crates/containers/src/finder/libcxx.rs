//! The unordered containers of libc++.
//!
//! The header is where the buckets lie, how many there are, the first node, the number of entries
//! and the largest load. A node is the address of the next one and its hash. The bucket that the
//! first node's hash leads to holds the address of the place in the header that names this node,
//! and where the nodes go on to another bucket, that one leads to the node before.

use mapgrow_system::memory::Memory;

use super::libstdcxx::is_prime;
use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};

/// Nodes that are followed.
const FOLLOWED: u64 = 64;
/// Where the first node is named within the header.
const FIRST: u64 = 16;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;
/// Bytes of buckets read at once.
const CHUNK: usize = 16 << 10;

/// Words that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    table: u64,
    buckets: u64,
    first: u64,
    entries: u64,
    capacity: u64,
    /// What follows may belong to it: then it could be one of libstdc++'s, whose load was just set.
    says_little: bool,
}

impl Candidate {
    /// What the words are, if they can be a header.
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [table, buckets, first, entries, load, after, ..] = *words;
        let load = f32::from_bits(load as u32);
        if !(0.05..=64.0).contains(&load) || !(2..1 << 40).contains(&buckets) {
            return None;
        }
        let capacity = (buckets as f64 * f64::from(load)) as u64;
        let sound = table.is_multiple_of(16)
            && table >= 4096
            && first.is_multiple_of(8)
            && (first == 0) == (entries == 0)
            && entries <= capacity.max(buckets)
            // Of an empty one little else is left to prove it.
            && (entries > 0 || load == 1.0);
        sound.then_some(Self {
            table,
            buckets,
            first,
            entries,
            capacity,
            says_little: after == 0,
        })
    }

    /// The bucket of a hash.
    fn bucket(&self, hash: u64) -> u64 {
        if self.buckets.is_power_of_two() {
            hash & (self.buckets - 1)
        } else {
            hash % self.buckets
        }
    }
}

/// Finds out whether the candidate at `header` is a container, and adds it if so.
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    let is_none = |search: &Search<'_>, candidate: &Candidate| {
        (search.region(candidate.table, candidate.buckets * 8)).is_none()
            || search.seen.contains_key(&candidate.table)
            || !(candidate.buckets.is_power_of_two() || is_prime(search, candidate.buckets))
    };
    if is_none(search, &candidate) {
        return;
    }
    match agrees(search, header, &candidate) {
        Some(true) => return settle(search, header, &candidate),
        Some(false) => {}
        None => return,
    }
    search.anew(|search| {
        let mut now = candidate;
        let mut changed = false;
        for _ in 0..ATTEMPTS {
            let agreed = agrees(search, header, &now) == Some(true);
            let after = (search.view.words(header)).and_then(|words| Candidate::of(&words));
            let Some(after) = after.filter(|after| !is_none(search, after)) else {
                break;
            };
            if after == now {
                if agreed {
                    settle(search, header, &now);
                }
                return;
            }
            changed = true;
            now = after;
        }
        search.finding.changed_while_read += u64::from(changed);
    });
}

/// Whether buckets and nodes are what the header says; `None` where there are none.
fn agrees(search: &Search<'_>, header: u64, candidate: &Candidate) -> Option<bool> {
    if candidate.entries == 0 {
        return all_empty(search, candidate);
    }
    let (mut before, mut node) = (header + FIRST, candidate.first);
    let mut bucket = None;
    for index in 0..candidate.entries.min(FOLLOWED) {
        search.region(node, 16)?;
        let [next, hash] = search.view.words(node)?;
        let own = candidate.bucket(hash);
        if bucket.replace(own) != Some(own)
            && search.view.word(candidate.table + own * 8)? != before
        {
            // The very first proves that it is one.
            return (index > 0).then_some(false);
        }
        before = node;
        node = next;
    }
    Some((node == 0) == (candidate.entries <= FOLLOWED))
}

fn all_empty(search: &Search<'_>, candidate: &Candidate) -> Option<bool> {
    let mut buffer = [0; CHUNK];
    let mut at = 0;
    while at < candidate.buckets * 8 {
        let length = usize::try_from(candidate.buckets * 8 - at).ok()?.min(CHUNK);
        let bytes = buffer.get_mut(..length)?;
        if !search.view.read(candidate.table + at, bytes) || bytes.iter().any(|&byte| byte != 0) {
            return None;
        }
        at += length as u64;
    }
    Some(true)
}

fn settle(search: &mut Search<'_>, header: u64, candidate: &Candidate) {
    let Candidate {
        table,
        buckets,
        entries,
        capacity,
        says_little,
        ..
    } = *candidate;
    let figures = Figures {
        buckets,
        entries,
        tombstones: 0,
        capacity,
        growth_left: capacity.saturating_sub(entries),
    };
    search.add(Found {
        block: Some(table),
        bytes: Some(buckets * 8),
        grows_at: Some(capacity + 1),
        doubtful: entries == 0,
        or_else: says_little.then_some(FoundFamily::LibstdcxxHashtable),
        ..Found::of(FoundFamily::LibcxxHashtable, header, table, figures)
    });
}
