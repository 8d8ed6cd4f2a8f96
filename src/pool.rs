//! Records of one size in a region that fills from its start and never empties.

use crate::sync::{AtomicU64, Ordering};

/// Tries of a compare-and-swap before a caller is told that there is no room. Each failure means
/// that another thread got through, so this many in a row do not happen; the bound is there
/// because nothing in an allocator call may loop without one.
pub(crate) const TRIES: usize = 1024;

/// Makes parts of the recording usable.
///
/// A region is handed out over its whole capacity, but only its committed prefix is backed by
/// memory. Whatever moves a counter past what it has used so far asks here first.
pub(crate) trait Commit {
    /// Makes words `[0, upto_words)` of a region usable; false when the recording's bound or the
    /// system's memory is exhausted. May be called at any time from any thread, and is cheap when
    /// the words were usable already.
    fn commit(&self, region: usize, upto_words: usize) -> bool;
}

/// The word of a header or record, `None` when the slice is too short to have it.
pub(crate) fn word(words: &[AtomicU64], index: usize) -> Option<&AtomicU64> {
    words.get(index)
}

/// A region of records of `WORDS` words, handed out in order of their numbers.
///
/// `used` never runs ahead of what is committed: a number is taken only after its record is
/// usable, so `number < used` is all that has to be checked before a record is touched.
pub(crate) struct Pool<'a, C, const WORDS: usize> {
    used: &'a AtomicU64,
    words: &'a [AtomicU64],
    region: usize,
    commit: &'a C,
}

impl<'a, C: Commit, const WORDS: usize> Pool<'a, C, WORDS> {
    /// `counter`: the word of the header that says how many were taken. `None` when the header is too
    /// short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        counter: usize,
        words: &'a [AtomicU64],
        region: usize,
        commit: &'a C,
    ) -> Option<Self> {
        Some(Self {
            used: word(header, counter)?,
            words,
            region,
            commit,
        })
    }

    /// Record `number`, if it was taken.
    pub(crate) fn record(&self, number: u32) -> Option<&'a [AtomicU64; WORDS]> {
        if u64::from(number) >= self.used.load(Ordering::Relaxed) {
            return None;
        }
        self.words.as_chunks::<WORDS>().0.get(number as usize)
    }

    /// `count` records from `first` on as one run of words, if they were taken.
    pub(crate) fn run(&self, first: u32, count: usize) -> Option<&'a [AtomicU64]> {
        let first = first as usize;
        let end = first.checked_add(count)?;
        if end as u64 > self.used.load(Ordering::Relaxed) {
            return None;
        }
        self.words
            .get(first.checked_mul(WORDS)?..end.checked_mul(WORDS)?)
    }

    /// Whether no record was ever taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.used.load(Ordering::Relaxed) == 0
    }

    /// Whether the capacity has room for another record. Once false it stays so.
    pub(crate) fn has_room(&self) -> bool {
        self.used.load(Ordering::Relaxed) < (self.words.len() / WORDS) as u64
    }

    /// Takes `count` records in a row and gives the number of the first. They read as zero.
    pub(crate) fn take(&self, count: usize) -> Option<u32> {
        let mut first = self.used.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            let end = first.checked_add(count as u64)?;
            u32::try_from(end).ok()?;
            let end_words = (end as usize).checked_mul(WORDS)?;
            if end_words > self.words.len() || !self.commit.commit(self.region, end_words) {
                return None;
            }
            match self
                .used
                .compare_exchange_weak(first, end, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(first as u32),
                Err(moved) => first = moved,
            }
        }
        None
    }
}
