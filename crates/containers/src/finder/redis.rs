//! Redis' dicts (7.0 and later).
//!
//! The header is the dict's type, two tables, the entries of each, how many buckets of the first
//! have moved while it is resized (else -1), who holds that up, and log2 of both tables' buckets
//! (-1 for none). A bucket is null or leads to a chain of entries, each of which leads to the next.
//! Buckets that have moved are null, no more buckets are in use than there are entries, and where
//! the chains are followed they end; of a small table all are, and have as many entries as it says.

use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};
use mapgrow_system::memory::Memory;

/// Log2 of the buckets.
const LOG2: std::ops::Range<i8> = 2..40;
/// Bytes of buckets read at once.
const CHUNK: usize = 16 << 10;
/// Entries of a table that are all followed, and chains that are of a larger one.
const FOLLOWED: u64 = 1 << 12;
/// A chain is no longer.
const LONGEST: usize = 1 << 10;
/// Where an entry has the next one.
const NEXT: u64 = 16;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;

/// One table of a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) place: u64,
    pub(super) buckets: u64,
    pub(super) used: u64,
}

/// Words that may be a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    first: Table,
    second: Option<Table>,
    moved: u64,
}

impl Candidate {
    /// What the words are, if they can be a dict.
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [kind, first, second, used, used_second, moved, numbers, ..] = *words;
        let [held, held_more, log2, log2_second, ..] = numbers.to_le_bytes();
        let (log2, log2_second) = (log2 as i8, log2_second as i8);
        let table = |place: u64, log2: i8, used: u64| {
            let sound = LOG2.contains(&log2) && place.is_multiple_of(8) && place >= 4096;
            (sound && used < 1 << 40).then(|| Table {
                place,
                buckets: 1 << log2,
                used,
            })
        };
        if i16::from_le_bytes([held, held_more]) > 64 || !(4096..1 << 47).contains(&kind) {
            return None;
        }
        let first = table(first, log2, used)?;
        let resting = moved == u64::MAX;
        let second = if resting {
            (second == 0 && used_second == 0 && log2_second == -1).then_some(None)?
        } else {
            Some(table(second, log2_second, used_second).filter(|_| moved <= first.buckets)?)
        };
        Some(Self {
            first,
            second,
            moved: if resting { 0 } else { moved },
        })
    }

    /// A dict with these tables, of which the first has moved so far.
    pub(super) fn new(first: Table, second: Option<Table>, moved: u64) -> Self {
        Self {
            first,
            second,
            moved: if second.is_some() { moved } else { 0 },
        }
    }

    /// Where its first table is.
    pub(super) fn place(&self) -> u64 {
        self.first.place
    }

    fn entries(&self) -> u64 {
        self.first.used + self.second.map_or(0, |table| table.used)
    }
}

/// Finds out whether the candidate at `header` is a dict, and adds it if so.
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    match agrees(search, &candidate) {
        None => {}
        Some(true) => settle(search, header, &candidate),
        Some(false) => search.anew(|search| {
            let mut now = candidate;
            let mut changed = false;
            for _ in 0..ATTEMPTS {
                let agreed = agrees(search, &now) == Some(true);
                let after = (search.view.words(header)).and_then(|words| Candidate::of(&words));
                let Some(after) = after else { break };
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
        }),
    }
}

/// Whether both tables are what the header says; `None` where there are none.
pub(super) fn agrees(search: &Search<'_>, candidate: &Candidate) -> Option<bool> {
    if search.seen.contains_key(&candidate.first.place) {
        return None;
    }
    let first = table(search, &candidate.first, candidate.moved)?;
    let second = match &candidate.second {
        Some(second) => table(search, second, 0)?,
        None => true,
    };
    Some(first && second)
}

fn table(search: &Search<'_>, table: &Table, moved: u64) -> Option<bool> {
    let bytes = table.buckets.checked_mul(8)?;
    search.region(table.place, bytes)?;
    let (mut used, mut followed, mut entries) = (0_u64, 0_u64, 0_u64);
    let mut buffer = [0; CHUNK];
    let mut at = 0;
    while at < bytes {
        let length = usize::try_from(bytes - at).ok()?.min(CHUNK);
        let read = buffer.get_mut(..length)?;
        if !search.view.read(table.place + at, read) {
            return None;
        }
        for (bucket, head) in (at / 8..).zip(read.as_chunks::<8>().0) {
            let head = u64::from_le_bytes(*head);
            if head == 0 {
                continue;
            }
            search.region(head, NEXT)?;
            used += 1;
            if bucket < moved || used > table.used {
                return Some(false);
            }
            if table.used <= FOLLOWED || followed < FOLLOWED / 16 {
                followed += 1;
                entries += chain(search, head)?;
            }
        }
        at += length as u64;
    }
    Some(if table.used <= FOLLOWED {
        entries == table.used
    } else {
        // Ever so many entries do not all share a few buckets.
        entries >= followed && used >= table.used.min(table.buckets) / 4
    })
}

/// Entries of a chain.
fn chain(search: &Search<'_>, head: u64) -> Option<u64> {
    let mut at = head;
    for length in 1..LONGEST as u64 {
        // What has no value beside its key is marked in the lowest bits, and has no next.
        if !at.is_multiple_of(8) {
            return Some(length);
        }
        search.region(at, NEXT + 8)?;
        at = search.view.word(at + NEXT)?;
        if at == 0 {
            return Some(length);
        }
    }
    None
}

fn settle(search: &mut Search<'_>, header: u64, candidate: &Candidate) {
    search.add(found(header, candidate));
}

/// The dict that was proved.
pub(super) fn found(header: u64, candidate: &Candidate) -> Found {
    let larger = candidate.second.map_or(0, |table| table.buckets);
    let buckets = candidate.first.buckets + larger;
    let entries = candidate.entries();
    // It grows when it has an entry for each bucket.
    let capacity = candidate.first.buckets.max(larger);
    let figures = Figures {
        buckets,
        entries,
        tombstones: 0,
        capacity,
        growth_left: capacity.saturating_sub(entries),
    };
    let mut found = Found::of(
        FoundFamily::RedisDict,
        header,
        candidate.first.place,
        figures,
    );
    found.block = Some(candidate.first.place);
    found.bytes = Some(buckets * 8);
    found.grows_at = candidate.second.is_none().then_some(capacity + 1);
    found.doubtful = entries == 0;
    found
}
