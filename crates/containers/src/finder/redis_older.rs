//! Redis' dicts before 7.0.
//!
//! The header is the dict's type, data for it, two tables (where it lies, its buckets, these less one,
//! its entries), and how many buckets of the first have moved while it is resized (else -1). The tables are proved
//! as those of later versions are ([`redis`]).

use super::proof::Header;
use super::redis::{self, Table};
use super::words::WORDS;
use super::{Found, Search};

/// Buckets of a table.
const BUCKETS: std::ops::Range<u64> = 4..1 << 40;
/// Words of the header.
const LENGTH: usize = 11;

/// Words that may be a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate(redis::Candidate);

impl Candidate {
    /// Whether the words may begin a dict.
    #[inline]
    pub(super) fn may_begin(words: &[u64; WORDS]) -> bool {
        let [kind, _, table, buckets, mask, ..] = *words;
        (4096..1 << 47).contains(&kind)
            && table.is_multiple_of(8)
            && buckets.is_power_of_two()
            && BUCKETS.contains(&buckets)
            && mask == buckets - 1
    }
}

fn table(words: &[u64]) -> Option<Table> {
    let &[place, buckets, mask, used] = words else {
        return None;
    };
    let sound = buckets.is_power_of_two()
        && BUCKETS.contains(&buckets)
        && mask == buckets - 1
        && place.is_multiple_of(8)
        && used < 1 << 40;
    sound.then_some(Table {
        place,
        buckets,
        used,
    })
}

impl Header for Candidate {
    /// Whether the tables have what the header says.
    type Counted = bool;

    fn read(search: &Search<'_>, header: u64) -> Option<Self> {
        let words: [u64; LENGTH] = search.view.words(header)?;
        let moved = *words.last()?;
        let first = table(words.get(2..6)?)?;
        let second = words.get(6..10)?;
        let second = match moved {
            u64::MAX if second.iter().all(|&word| word == 0) => None,
            moved if moved <= first.buckets => Some(table(second)?),
            _ => return None,
        };
        Some(Self(redis::Candidate::new(first, second, moved)))
    }

    fn table(&self) -> u64 {
        self.0.place()
    }

    fn count(&self, search: &Search<'_>) -> Option<bool> {
        redis::agrees(search, &self.0)
    }

    fn agrees(&self, counted: &bool) -> bool {
        *counted
    }

    fn found(&self, _: &Search<'_>, header: u64, _: &bool) -> Found {
        redis::found(header, &self.0)
    }
}
