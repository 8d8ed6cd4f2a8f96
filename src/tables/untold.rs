//! Blocks that are counted and no more: from the address of one to its site, size and time, in one word.
//!
//! A record stands for a stretch of the heap, with a word for each place in it where a block may begin.
//! So nothing is searched for once the record is known, blocks that lie together in the heap lie
//! together here, and since an address belongs to whoever got it from the allocator until it is given
//! back, no two threads ever write to one word at once. Records are made as the heap needs them and stay.
//!
//! What has no place here (of no multiple of [`untold::STEP`], too large a field, no room for a record)
//! goes into the [live table](super::live), as what is followed does.

use super::counting::mix;
use super::index::{Index, Indexed};
use crate::pool::{Commit, Pool, word};
use crate::sync::{AtomicU64, Ordering};
use mapgrow_format::layout::packed::Untold;
use mapgrow_format::layout::{header, region, untold};

type Record = [AtomicU64; untold::WORDS];

/// What a thread remembers of where records are. All-zero is the empty one.
pub(crate) struct KnownRecords {
    /// Whether there is anything to forget: most threads never touch the rest.
    any: bool,
    records: [KnownRecord; KNOWN],
}

/// Records that a thread remembers: of 8 MiB of heap that lie together.
const KNOWN: usize = 128;

/// Where the record of a stretch is.
#[derive(Clone, Copy)]
struct KnownRecord {
    /// Number of the stretch + 1.
    name: u64,
    record: u32,
}

/// Where memory for a record was refused, it is asked for again at one in so many occasions.
const RETRY_ONE_IN: u64 = 1024;

impl KnownRecords {
    /// Knows nothing.
    #[cfg(test)]
    pub(crate) const fn new() -> Self {
        let nothing = KnownRecord { name: 0, record: 0 };
        Self {
            any: false,
            records: [nothing; KNOWN],
        }
    }

    /// Forgets all: it is another recording.
    pub(crate) fn forget(&mut self) {
        if self.any {
            self.any = false;
            for known in &mut self.records {
                known.name = 0;
            }
        }
    }
}

/// The table of a recording.
pub(crate) struct UntoldTable<'a, C> {
    records: Pool<'a, C, { untold::WORDS }>,
    index: Index<'a, C>,
    start_ticks: &'a AtomicU64,
    /// Occasions for which no memory is asked for, after it was refused.
    refused: AtomicU64,
}

/// A block that is in the table.
pub(crate) struct Found<'a> {
    word: &'a AtomicU64,
    /// What is known of it.
    pub(crate) block: Untold,
    /// When it was allocated, at the earliest.
    pub(crate) ticks: u64,
    /// And at the latest.
    pub(crate) latest: u64,
}

impl Found<'_> {
    /// Takes the block out; to be done by its owner, before its address is given back.
    #[inline(always)]
    pub(crate) fn remove(&self) {
        self.word.store(0, Ordering::Relaxed);
    }
}

/// The stretch that an address lies in.
#[inline(always)]
fn stretch_of(address: usize) -> u64 {
    (address / untold::HEAP_BYTES) as u64
}

impl<'a, C: Commit> UntoldTable<'a, C> {
    /// `None` when the header is too short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        records: &'a [AtomicU64],
        index: &'a [AtomicU64],
        commit: &'a C,
    ) -> Option<Self> {
        Some(Self {
            records: Pool::new(
                header,
                header::UNTOLD_COUNT,
                records,
                region::UNTOLD,
                commit,
            )?,
            index: Index::new(index, region::UNTOLD_INDEX, commit),
            start_ticks: word(header, header::START_TICKS)?,
            refused: AtomicU64::new(0),
        })
    }

    /// Puts a block in that was allocated at `ticks` (of which it says nothing itself). False when it has
    /// no place here.
    #[inline(always)]
    pub(crate) fn put(
        &self,
        known: &mut KnownRecords,
        address: usize,
        block: Untold,
        ticks: u64,
    ) -> bool {
        let elapsed = ticks.saturating_sub(self.start_ticks.load(Ordering::Relaxed));
        let Some(packed) = (Untold { elapsed, ..block }).pack() else {
            return false;
        };
        let Some(word) = self.word(known, address, true) else {
            return false;
        };
        word.store(packed, Ordering::Relaxed);
        true
    }

    /// The earliest time that a block which is allocated at `ticks` may be said to be of.
    #[inline(always)]
    pub(crate) fn earliest(&self, ticks: u64) -> u64 {
        let start = self.start_ticks.load(Ordering::Relaxed);
        start.saturating_add(Untold::earliest(ticks.saturating_sub(start)))
    }

    /// A block. To be asked by its owner.
    #[inline(always)]
    pub(crate) fn find(&self, known: &mut KnownRecords, address: usize) -> Option<Found<'a>> {
        self.found(self.word(known, address, false)?)
    }

    /// [`find`](Self::find) for a thread that has no pages of its own.
    pub(crate) fn find_anew(&self, address: usize) -> Option<Found<'a>> {
        if !address.is_multiple_of(untold::STEP) {
            return None;
        }
        let (_, record) = self.record(stretch_of(address), false)?;
        self.found(Self::word_of(record, address)?)
    }

    #[inline(always)]
    fn found(&self, word: &'a AtomicU64) -> Option<Found<'a>> {
        let block = Untold::unpack(word.load(Ordering::Relaxed))?;
        let start = self.start_ticks.load(Ordering::Relaxed);
        Some(Found {
            word,
            block,
            ticks: start.saturating_add(block.elapsed),
            latest: start.saturating_add(block.latest()),
        })
    }

    /// The word of an address; `make` makes the record that it is in.
    #[inline(always)]
    fn word(&self, known: &mut KnownRecords, address: usize, make: bool) -> Option<&'a AtomicU64> {
        if !address.is_multiple_of(untold::STEP) {
            return None;
        }
        let stretch = stretch_of(address);
        let place = &mut known.records[stretch as usize % KNOWN];
        let record = if place.name == stretch + 1 {
            self.records.record(place.record)?
        } else {
            // That there is none is not remembered: another thread may be about to make it known.
            let (number, record) = self.record(stretch, make)?;
            *place = KnownRecord {
                name: stretch + 1,
                record: number,
            };
            known.any = true;
            record
        };
        Self::word_of(record, address)
    }

    #[inline(always)]
    fn word_of(record: &'a Record, address: usize) -> Option<&'a AtomicU64> {
        let place = address / untold::STEP % untold::BLOCKS_WORDS;
        record.get(untold::BLOCKS + place)
    }

    /// Whether memory was refused so lately that none is asked for. (Threads that come at once may ask once
    /// more or less.)
    fn is_refused(&self) -> bool {
        let left = self.refused.load(Ordering::Relaxed);
        if left > 0 {
            self.refused.store(left - 1, Ordering::Relaxed);
        }
        left > 0
    }

    /// The record of a stretch, and its number.
    #[inline(never)]
    fn record(&self, stretch: u64, make: bool) -> Option<(u32, &'a Record)> {
        let make = make && self.records.has_room() && !self.is_refused();
        if !make && self.records.is_empty() {
            return None;
        }
        let name = stretch + 1;
        let is_it = |number: u32| {
            self.records
                .record(number)
                .is_some_and(|record| record[untold::NUMBER].load(Ordering::Relaxed) == name)
        };
        let create = || {
            if !make {
                return None;
            }
            let Some(number) = self.records.take(1) else {
                self.refused.store(RETRY_ONE_IN, Ordering::Relaxed);
                return None;
            };
            self.records.record(number)?[untold::NUMBER].store(name, Ordering::Relaxed);
            Some(number)
        };
        match self.index.find_or_insert(mix(name), is_it, create) {
            Indexed::Found(number) | Indexed::Created(number) => {
                Some((number, self.records.record(number)?))
            }
            Indexed::Full => None,
        }
    }
}
