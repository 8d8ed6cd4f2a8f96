//! hashbrown's tables.
//!
//! The header is four words: where the control bytes begin, the number of buckets less one, how
//! many entries can still be added, and how many there are. The compiler puts the address before
//! the number of buckets or behind it. The control bytes say how many entries and tombstones
//! there are, and their first group is repeated behind the last: all of it must agree.
//!
//! A map that never had an entry has a table of one bucket that is part of the program: it holds
//! no memory, and is none here.

use mapgrow_system::memory::Memory;

use super::{Found, FoundFamily, Search};
use crate::occupancy::quality;
use crate::occupancy::scan::{self, Counts, EMPTY, Spread};
use crate::occupancy::{Count, Occupancy, capacity_of};

/// Control bytes read at once.
const CHUNK: usize = 64 << 10;
/// Widest control group.
const WIDEST: usize = 16;
/// What a table in use holds by its header and what is counted differ by less than this part of its
/// buckets.
const NEAR: u64 = 16;
/// Buckets that prove little when they are all empty.
const FEW: u64 = 8;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;
/// Buckets less one, least and most.
const MASKS: std::ops::Range<u64> = 3..1 << 40;

/// Four words that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    control: u64,
    buckets: u64,
    growth_left: u64,
    items: u64,
}

impl Candidate {
    /// What the words are, if they can be a header.
    pub(super) fn of([a, b, growth_left, items]: [u64; 4], group: u64) -> Option<Self> {
        let (control, mask) = if is_mask(b) {
            (a, b)
        } else if is_mask(a) {
            (b, a)
        } else {
            return None;
        };
        let buckets = mask + 1;
        let sound = control != 0
            && control.is_multiple_of(group)
            && items.checked_add(growth_left)? <= capacity_of(buckets);
        sound.then_some(Self {
            control,
            buckets,
            growth_left,
            items,
        })
    }

    fn tombstones(&self) -> u64 {
        capacity_of(self.buckets).saturating_sub(self.items + self.growth_left)
    }
}

/// Whether it is a number of buckets less one.
#[inline]
pub(super) fn is_mask(word: u64) -> bool {
    word & word.wrapping_add(1) == 0 && MASKS.contains(&word)
}

/// What the control bytes say of a candidate.
enum Counted {
    /// They are control bytes, with so many entries and tombstones.
    Bytes(Counts, Box<Spread>),
    /// The first group and its mirror are, but differ.
    Torn,
    /// They are no control bytes.
    Nothing,
}

/// Finds out whether the candidate at `header` is a table, and adds it if so.
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    match tally(search, header, &candidate) {
        None | Some(Counted::Nothing) => {}
        Some(Counted::Bytes(counts, spread)) if candidate.agrees(counts) => {
            settle(search, header, &candidate, &spread);
        }
        _ => search.anew(|search| again_and_again(search, header, candidate)),
    }
}

/// Looks at a candidate that does not agree with its table until it does, or proves to be none.
fn again_and_again(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    let Some(mut now) = read(search, header) else {
        search.finding.changed_while_read += 1;
        return;
    };
    let mut changed = candidate != now;
    let mut before = None;
    for _ in 0..ATTEMPTS {
        let counted = tally(search, header, &now).unwrap_or(Counted::Nothing);
        if matches!(counted, Counted::Nothing) && !changed {
            return;
        }
        let Some(after) = read(search, header) else {
            // It was one when its words were first read.
            search.finding.changed_while_read += u64::from(changed);
            return;
        };
        if let Counted::Bytes(counts, spread) = counted {
            if after == now && now.agrees(counts) {
                return settle(search, header, &now, &spread);
            }
            if after != now
                && changed
                && now.alive(&after, counts)
                && read(search, header) == Some(after)
            {
                return settle(search, header, &after, &spread);
            }
            // Nothing that changes: a copy that a move left behind.
            let same = before.replace(counts) == Some(counts);
            if after == now && same {
                return;
            }
        }
        changed |= after != now;
        now = after;
    }
    search.finding.changed_while_read += u64::from(changed);
}

impl Candidate {
    /// Whether there are as many entries and tombstones as the header says.
    fn agrees(&self, counts: Counts) -> bool {
        counts.full == self.items && counts.deleted == self.tombstones()
    }

    /// Whether the header counted on while the control bytes were counted, and those are near
    /// what it says: the header of a table in use, whose numbers are right at any one moment.
    fn alive(&self, after: &Self, counts: Counts) -> bool {
        let (least, most) = (self.items.min(after.items), self.items.max(after.items));
        let slack = self.buckets / NEAR;
        (self.control, self.buckets) == (after.control, after.buckets)
            && (least.saturating_sub(slack)..=most + slack).contains(&counts.full)
    }
}

/// The header as it is by now.
fn read(search: &Search<'_>, header: u64) -> Option<Candidate> {
    Candidate::of(search.view.words(header)?, search.group)
}

/// Whether any of the headers of a table leads to it even now.
pub(super) fn is_still(search: &Search<'_>, found: &Found) -> bool {
    let leads = |header: u64| {
        read(search, header).is_some_and(|now| {
            now.control == found.table && Some(now.buckets) == found.occupancy.buckets
        })
    };
    leads(found.header) || found.copies.iter().any(|&header| leads(header))
}

/// Counts the control bytes that a header leads to; `None` where there are none.
fn tally(search: &mut Search<'_>, header: u64, candidate: &Candidate) -> Option<Counted> {
    let Candidate {
        control, buckets, ..
    } = *candidate;
    search.region(control, buckets.checked_add(search.group)?)?;
    if search.met(control, header) {
        return None;
    }
    // The first group and a mirror of as many: what is not there is seen with few bytes read.
    let group = usize::try_from(search.group).ok()?;
    let own = usize::try_from(buckets).ok()?.min(group);
    let (mut head, mut mirror) = ([0; 2 * WIDEST], [0; WIDEST]);
    let head = head.get_mut(..group + own)?;
    let mirror = mirror.get_mut(..own)?;
    let place = control + buckets.max(search.group);
    if !search.view.read(control, head) || !search.view.read(place, mirror) {
        return None;
    }
    let (real, rest) = head.split_at_checked(own)?;
    let padding = rest.get(..group - own)?;
    scan::count(real)?;
    scan::count(mirror)?;
    if padding.iter().any(|&byte| byte != EMPTY) {
        return None;
    }
    if real != mirror {
        return Some(Counted::Torn);
    }
    let mut counts = Counts::default();
    let mut spread = Box::new(Spread::new());
    let mut buffer = vec![0; usize::try_from(buckets).ok()?.min(CHUNK)];
    let mut at = 0;
    while at < buckets {
        let length = usize::try_from(buckets - at).ok()?.min(CHUNK);
        let bytes = buffer.get_mut(..length)?;
        if !search.view.read(control + at, bytes) {
            return None;
        }
        counts.add(scan::count(bytes)?);
        spread.add(bytes, true);
        at += length as u64;
    }
    Some(Counted::Bytes(counts, spread))
}

/// Adds what was proved. What its block says comes later ([`super::block`]).
fn settle(search: &mut Search<'_>, header: u64, candidate: &Candidate, spread: &Spread) {
    let Candidate {
        control,
        buckets,
        growth_left,
        items,
    } = *candidate;
    let exact = |value| Count { value, error: 0 };
    let occupancy = Occupancy {
        buckets: Some(buckets),
        element_bytes: None,
        entries: exact(items),
        tombstones: exact(candidate.tombstones()),
        capacity: Some(capacity_of(buckets)),
        growth_left: Some(growth_left),
        retained_bytes: None,
        quality: quality::judge(spread),
    };
    search.add(Found {
        family: FoundFamily::Hashbrown,
        header,
        copies: Vec::new(),
        table: control,
        block: None,
        bytes: None,
        grows_at: occupancy.entries_at_growth(),
        next_bytes: None,
        // A few bytes of 0xFF may be anything.
        doubtful: buckets <= FEW && items == 0,
        or_else: None,
        occupancy,
    });
}
