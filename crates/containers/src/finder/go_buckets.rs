//! Go's maps before 1.24.
//!
//! The header is the number of entries, some flags, log2 of the buckets, about how many buckets
//! overflow, a random seed, where the buckets lie, where the old ones lie while the map grows,
//! and how many of these have moved. A bucket has eight bytes with the tops of hashes, or with a
//! state below five, eight keys and values, and the address of the bucket that it overflows
//! into. All that are no states are as many as the entries.
//!
//! No header tells how large a bucket is. It is the one distance at which that is so.

use mapgrow_system::memory::Memory;

use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};

/// Slots of a bucket.
const SLOTS: u64 = 8;
/// Most bytes of a key and a value: larger ones are kept elsewhere.
const WIDEST: u64 = 256;
/// Least tops of hashes; what is below is a state.
const LEAST_TOP: u8 = 5;
/// States of a bucket that has moved.
const MOVED: std::ops::RangeInclusive<u8> = 2..=4;
/// Flag of a map whose old buckets are as many as the new ones.
const SAME_SIZE: u64 = 8;
/// Log2 of the buckets.
const LOG2: std::ops::Range<u64> = 0..40;
/// With fewer there is too little to prove it.
const PROVEN_LOG2: u64 = 2;
/// Buckets that are followed from one to the next.
const LONGEST_CHAIN: usize = 1 << 10;
/// Buckets looked at before all are.
const FIRST: u64 = 16;

/// Words that may be a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    count: u64,
    flags: u64,
    log2: u64,
    buckets: u64,
    old: u64,
}

impl Candidate {
    /// What the words are, if they can be a map.
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [count, numbers, buckets, old, moved, extra, ..] = *words;
        let (flags, log2, seed) = (numbers & 0xFF, numbers >> 8 & 0xFF, numbers >> 32);
        if flags > 15 || !LOG2.contains(&log2) || seed == 0 || count > (7 << log2).max(SLOTS) {
            return None;
        }
        // Empty ones of a bucket or two are like anything.
        if log2 < PROVEN_LOG2 && count == 0 {
            return None;
        }
        let pointer = |word: u64| (4096..1 << 47).contains(&word) && word.is_multiple_of(8);
        let of_old = match flags & SAME_SIZE == 0 {
            true => (1_u64 << log2) >> 1,
            false => 1 << log2,
        };
        let moves = if old == 0 {
            matches!(moved, 0) || moved == 1 << log2 || moved == (1_u64 << log2) >> 1
        } else {
            pointer(old) && moved < of_old
        };
        let sound = moves && pointer(buckets) && (extra == 0 || pointer(extra));
        sound.then_some(Self {
            count,
            flags,
            log2,
            buckets,
            old,
        })
    }

    fn old_buckets(&self) -> u64 {
        match self.old {
            0 => 0,
            _ if self.flags & SAME_SIZE != 0 => 1 << self.log2,
            _ => 1 << (self.log2 - 1),
        }
    }
}

/// Finds out whether the candidate at `header` is a map, and adds it if so.
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    let none = |search: &Search<'_>, candidate: &Candidate| {
        search
            .region(candidate.buckets, (1 << candidate.log2) * 24)
            .is_none()
            || candidate.old != 0 && search.region(candidate.old, 8).is_none()
            || search.seen.contains_key(&candidate.buckets)
    };
    if none(search, &candidate) {
        return;
    }
    if let Some(stride) = stride(search, &candidate) {
        return settle(search, header, &candidate, stride);
    }
    let now = search.anew(|search| {
        let now = search
            .view
            .words(header)
            .and_then(|words| Candidate::of(&words))?;
        let changed = now != candidate;
        (changed && !none(search, &now)).then_some(())?;
        let stride = stride(search, &now);
        let still = search
            .view
            .words(header)
            .and_then(|words| Candidate::of(&words));
        Some((now, stride.filter(|_| still == Some(now))))
    });
    match now {
        Some((now, Some(stride))) => settle(search, header, &now, stride),
        Some((_, None)) => search.finding.changed_while_read += 1,
        None => {}
    }
}

/// The one size of a bucket that agrees with the header. More than one agree with nearly empty
/// maps: then it is not known, which is 0 here.
fn stride(search: &Search<'_>, candidate: &Candidate) -> Option<u64> {
    let mut found = None;
    for size in 1..=WIDEST {
        let stride = SLOTS + size * SLOTS + 8;
        if count(search, candidate, stride) == Some(candidate.count)
            && found.replace(stride).is_some()
        {
            return Some(0);
        }
    }
    found
}

/// Entries in all buckets, if these have `stride` bytes.
fn count(search: &Search<'_>, candidate: &Candidate, stride: u64) -> Option<u64> {
    let buckets = 1_u64 << candidate.log2;
    search.region(candidate.buckets, buckets.checked_mul(stride)?)?;
    let mut entries = 0;
    for bucket in 0..buckets {
        entries += chain(search, candidate.buckets + bucket * stride, stride, false)?;
        if bucket == FIRST && entries > candidate.count {
            return None;
        }
    }
    let old = candidate.old_buckets();
    if old > 0 {
        search.region(candidate.old, old.checked_mul(stride)?)?;
    }
    for bucket in 0..old {
        entries += chain(search, candidate.old + bucket * stride, stride, true)?;
    }
    Some(entries)
}

/// Entries of a bucket and those that it overflows into; of an old bucket, when they have not
/// moved yet.
fn chain(search: &Search<'_>, bucket: u64, stride: u64, old: bool) -> Option<u64> {
    let mut at = bucket;
    let mut entries = 0;
    for _ in 0..LONGEST_CHAIN {
        let mut tops = [0; SLOTS as usize];
        if !search.view.read(at, &mut tops) {
            return None;
        }
        if old && MOVED.contains(&tops[0]) {
            return Some(0);
        }
        let mut rest_is_empty = false;
        for top in tops {
            match top {
                0 => rest_is_empty = true,
                _ if rest_is_empty => return None,
                1 => {}
                LEAST_TOP.. => entries += 1,
                _ => return None,
            }
        }
        let next = search.view.word(at + stride - 8)?;
        if next == 0 {
            return Some(entries);
        }
        search.region(next, stride)?;
        if !next.is_multiple_of(8) {
            return None;
        }
        at = next;
    }
    None
}

fn settle(search: &mut Search<'_>, header: u64, candidate: &Candidate, stride: u64) {
    let buckets = 1_u64 << candidate.log2;
    // It grows with the first entry more than 6.5 for each bucket; a single one is filled first.
    let capacity = (buckets / 2 * 13).max(SLOTS);
    let figures = Figures {
        buckets: buckets * SLOTS,
        entries: candidate.count,
        tombstones: 0,
        capacity,
        growth_left: capacity.saturating_sub(candidate.count),
    };
    let mut found = Found::of(FoundFamily::GoMap, header, candidate.buckets, figures);
    found.block = Some(candidate.buckets);
    found.grows_at = (candidate.old == 0).then_some(capacity + 1);
    // Zeros may be anything, and so may what buckets of several sizes agree with.
    // A few bytes among zeros are found in any program.
    let little = candidate.count < SLOTS || candidate.log2 < PROVEN_LOG2;
    found.doubtful = little || stride == 0;
    if stride > 0 {
        found.occupancy.element_bytes = Some((stride - SLOTS - 8) / SLOTS);
    }
    search.add(found);
}
