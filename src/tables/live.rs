//! The live table: from the address of a block to what is known of it.
//!
//! Keys and records lie in two regions; slot i of the one belongs to record i of the other. Eight
//! keys fill a cache line and form a bucket. The table grows by levels, each twice as large as the
//! one before, and never moves an entry. In each level an address has two candidate buckets and
//! goes to the emptier one, so a level fills to about four fifths before an address finds both
//! full. An insert tries the newest level first, then the older ones, then opens another; what
//! comes into nearly full buckets makes the next one ready bit by bit. A lookup reads two lines
//! for each level from the newest down to the one with the hit. The newest holds half of all.
//!
//! # Who may do what
//!
//! An address belongs to whoever got it from the allocator, until it is given back. So no two
//! threads insert or remove the same address at once; all of them work on different addresses in
//! the same buckets, and readers outside the process look on.
//!
//! One change is made by a thread that need not own the block: see [`heirs`].
//!
//! # Life of a slot
//!
//! ```text
//! key     0 (empty) --CAS--> 1 (reserved) -----> address -----> 1 -----> 0
//! state   gone               written             here           gone
//! ```
//!
//! Only the thread that moved a key from 0 to 1 writes the record, so nobody finds an address with
//! a foreign record behind it. A thread that is killed in between leaves a slot that nobody uses.
//! The state is the low two bits of the record's generation.
//!
//! # How to read without taking part
//!
//! The record's first word carries a generation, odd while the record is written and never the
//! same again. A reader takes: key, first word (an even generation), the record, and then *key
//! first*, first word last once more. Only if both are what they were, record and key belong
//! together: a later insert of the same address shows in the first word, which it changed before
//! it stored the key.

mod bucket;
mod heirs;
mod record;

pub(crate) use record::{Heritage, LiveRecord, OwnBlock};

use super::counting::mix;
use crate::pool::{Commit, word};
use crate::sync::{AtomicU64, Ordering, fence, fetch_add_ordered, preemption_point};
use bucket::{ONES, reserve, slot_at};
use heirs::{GENERATION, state};
use mapgrow_format::layout::packed::LiveLinks;
use mapgrow_format::layout::{header, live, region};

/// Key of a slot whose record is being written. No block has this address.
const RESERVED: u64 = 1;
/// Slots of a bucket: one cache line of keys.
const BUCKET: usize = 8;
/// Free slots in the emptier bucket from which on the next level is made ready.
const NEARLY_FULL: u32 = 1;
/// Slots of the next level that an insert into a nearly full bucket makes ready, so many that a
/// level is ready when the one before it is full.
const PIECE: usize = 256;
/// A step that leads through all of `slots` places, and through a good mixture of them early.
fn scattering_step(slots: usize) -> usize {
    let shares_none = |step: &usize| {
        let (mut a, mut b) = (slots, *step);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    // Near the golden section, whose multiples are spread most evenly.
    let wanted = (slots / 1000 * 618).max(1);
    (1..=wanted).rev().find(shares_none).unwrap_or(1)
}

/// Times that `read` begins again when the record changes under it.
const READ_TRIES: usize = 64;

/// Place of a block in the table. It stays valid for as long as the block is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slot(u32);

impl Slot {
    /// A slot for records that have none yet.
    #[cfg(test)]
    pub(crate) const FIRST: Self = Self(0);

    /// Number of the slot in both regions.
    #[cfg(test)]
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// The live table. `LEVEL0` is the number of slots of the first level; recordings use the
/// default, models a smaller one.
pub(crate) struct LiveTable<'a, C, const LEVEL0: usize = { live::LEVEL0_SLOTS }> {
    levels: &'a AtomicU64,
    keys: &'a [AtomicU64],
    records: &'a [AtomicU64],
    commit: &'a C,
    /// Slots that have been made ready ahead of their level. Only saves work, so it may lag.
    prepared: AtomicU64,
}

impl<'a, C: Commit, const LEVEL0: usize> LiveTable<'a, C, LEVEL0> {
    const LEVEL0_BUCKETS: usize = {
        assert!(LEVEL0.is_power_of_two() && LEVEL0 >= BUCKET);
        LEVEL0 / BUCKET
    };

    /// `None` when the header is too short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        keys: &'a [AtomicU64],
        records: &'a [AtomicU64],
        commit: &'a C,
    ) -> Option<Self> {
        Some(Self {
            levels: word(header, header::LIVE_LEVELS)?,
            keys,
            records,
            commit,
            prepared: AtomicU64::new(0),
        })
    }

    /// Puts a block in, right after the allocator gave out its address. `None` when there is no
    /// room.
    pub(crate) fn insert(&self, address: u64, record: &LiveRecord) -> Option<Slot> {
        if address <= RESERVED {
            return None;
        }
        let hash = mix(address);
        // One round for each level that this or another thread may open meanwhile.
        for _ in 0..u32::BITS {
            let levels = self.levels();
            for level in (0..levels).rev() {
                if let Some((slot, free)) = self.claim(level, hash) {
                    if free <= NEARLY_FULL && level + 1 == levels {
                        self.prepare(levels);
                    }
                    self.write(slot, record)?;
                    preemption_point();
                    self.keys
                        .get(slot.0 as usize)?
                        .store(address, Ordering::Release);
                    return Some(slot);
                }
            }
            if !self.open(levels) {
                return None;
            }
        }
        None
    }

    /// Where a block is, if it is in the table. To be asked by whoever owns the address.
    #[inline]
    pub(crate) fn find(&self, address: u64) -> Option<Slot> {
        if address <= RESERVED {
            return None;
        }
        let hash = mix(address);
        for level in (0..self.levels()).rev() {
            let [first, second] = Self::candidates(level, hash);
            let favourite = Self::favourite(hash);
            let key = self.bucket(first)?[favourite].load(Ordering::Relaxed);
            if key == address {
                fence(Ordering::Acquire);
                return Some(slot_at(first, favourite));
            }
            for bucket in [first, second] {
                for (place, key) in self.bucket(bucket)?.iter().enumerate() {
                    if key.load(Ordering::Relaxed) == address {
                        fence(Ordering::Acquire);
                        return Some(slot_at(bucket, place));
                    }
                }
            }
        }
        None
    }

    /// What never changes of the block in `slot`. To be asked by its owner.
    #[inline(always)]
    pub(crate) fn own(&self, slot: Slot) -> Option<OwnBlock> {
        let words = self.record(slot)?;
        Some(OwnBlock {
            bytes: words[live::BYTES].load(Ordering::Relaxed),
            ticks: words[live::TICKS].load(Ordering::Relaxed),
            align_log2: LiveLinks::unpack(words[live::LINKS].load(Ordering::Relaxed)).align_log2,
        })
    }

    /// What is known of the block at `address`, if it is still in `slot`. Safe to ask for anybody,
    /// not just the owner: a record that changes meanwhile is read again, or else not given.
    #[inline]
    pub(crate) fn read(&self, slot: Slot, address: u64) -> Option<LiveRecord> {
        let key = self.keys.get(slot.0 as usize)?;
        let words = self.record(slot)?;
        for _ in 0..READ_TRIES {
            if key.load(Ordering::Acquire) != address {
                return None;
            }
            let first = words[live::SITE].load(Ordering::Acquire);
            let record = match state::of(first) {
                state::WRITTEN => continue,
                state::INHERITS => LiveRecord::decode_disinherited(words, first),
                _ => LiveRecord::decode(words, first),
            };
            fence(Ordering::Acquire);
            if key.load(Ordering::Acquire) != address {
                return None;
            }
            if words[live::SITE].load(Ordering::Relaxed) == first {
                return Some(record);
            }
        }
        None
    }

    /// Takes a block out and gives what was known of it; to be done by its owner, before its
    /// address is given back to the allocator. `None` when it is not in `slot`.
    #[inline(always)]
    pub(crate) fn remove(&self, slot: Slot, address: u64) -> Option<LiveRecord> {
        let key = self.keys.get(slot.0 as usize)?;
        let words = self.record(slot)?;
        if address <= RESERVED || key.load(Ordering::Relaxed) != address {
            return None;
        }
        // Before the state changes: whoever empties the slot does so after both.
        key.store(RESERVED, Ordering::Relaxed);
        preemption_point();
        let first = fetch_add_ordered(&words[live::SITE], state::GONE * GENERATION);
        preemption_point();
        if state::of(first) == state::INHERITS {
            // The thread that hands a heritage to it empties the slot.
            return Some(LiveRecord::decode_disinherited(words, first));
        }
        let record = LiveRecord::decode(words, first);
        key.store(0, Ordering::Release);
        Some(record)
    }

    /// Calls `look` with every block that is in the table, and its slot. The order has nothing to do
    /// with the age of the blocks, though each level is younger than the one before: whoever stops
    /// half-way has looked at a random half.
    pub(crate) fn each(&self, mut look: impl FnMut(Slot, u64)) {
        let slots = LEVEL0 * ((1_usize << self.levels().min(32)) - 1);
        let slots = slots.min(self.keys.len());
        let step = scattering_step(slots);
        let mut slot = 0;
        for _ in 0..slots {
            slot = (slot + step) % slots;
            let key = self.keys.get(slot);
            let address = key.map_or(0, |key| key.load(Ordering::Acquire));
            if address > RESERVED {
                look(Slot(slot as u32), address);
            }
        }
    }

    /// Levels in use.
    fn levels(&self) -> u32 {
        self.levels
            .load(Ordering::Acquire)
            .min(u64::from(u32::BITS)) as u32
    }

    /// The two candidate buckets of a hash in a level.
    #[inline]
    fn candidates(level: u32, hash: u64) -> [usize; 2] {
        let buckets = Self::LEVEL0_BUCKETS << level;
        let start = buckets - Self::LEVEL0_BUCKETS;
        let mask = buckets - 1;
        [
            start + (hash as usize & mask),
            start + ((hash >> 32) as usize & mask),
        ]
    }

    #[inline]
    fn bucket(&self, bucket: usize) -> Option<&'a [AtomicU64; BUCKET]> {
        self.keys.as_chunks::<BUCKET>().0.get(bucket)
    }

    fn record(&self, slot: Slot) -> Option<&'a [AtomicU64; live::WORDS]> {
        self.records
            .as_chunks::<{ live::WORDS }>()
            .0
            .get(slot.0 as usize)
    }

    /// The place in its first bucket that an address goes to while there is much room.
    #[inline]
    fn favourite(hash: u64) -> usize {
        (hash >> 29) as usize % BUCKET
    }

    /// Reserves a slot of one level, in the emptier one of the two candidate buckets if it can, and
    /// says how many were free there.
    ///
    /// Where the favourite place of an address and the one opposite are both free, it goes there: of
    /// a table that is half full or less most of what goes in and out reads one line of keys, and
    /// one word of it.
    #[inline]
    fn claim(&self, level: u32, hash: u64) -> Option<(Slot, u32)> {
        let [first, _] = Self::candidates(level, hash);
        let keys = self.bucket(first)?;
        let favourite = Self::favourite(hash);
        let is_free = |place: usize| keys[place % BUCKET].load(Ordering::Relaxed) == 0;
        if is_free(favourite)
            && is_free(favourite + BUCKET / 2)
            && let Some(slot) = reserve(first, keys, favourite)
        {
            return Some((slot, BUCKET as u32));
        }
        self.claim_in_emptier(level, hash)
    }

    #[inline(never)]
    fn claim_in_emptier(&self, level: u32, hash: u64) -> Option<(Slot, u32)> {
        let free_of = |bucket: usize| {
            let keys = self.bucket(bucket)?;
            let mut free = 0_u8;
            for (place, key) in keys.iter().enumerate() {
                free |= u8::from(key.load(Ordering::Relaxed) == 0) << place;
            }
            Some((bucket, keys, free))
        };
        let take = |(bucket, keys, mut free): (usize, &[AtomicU64; BUCKET], u8)| {
            while free != 0 {
                let slot = reserve(bucket, keys, free.trailing_zeros() as usize);
                if slot.is_some() {
                    return slot;
                }
                free &= free - 1;
            }
            None
        };
        let count = |free: u8| u32::from(ONES[usize::from(free)]);
        let [first, second] = Self::candidates(level, hash);
        let (first, second) = (free_of(first)?, free_of(second)?);
        let (better, other) = if count(first.2) >= count(second.2) {
            (first, second)
        } else {
            (second, first)
        };
        let slot = take(better).or_else(|| take(other))?;
        Some((slot, count(better.2)))
    }

    /// Slots of the table with the level after `levels`, if there is room for it.
    fn slots_with_next(&self, levels: u32) -> Option<usize> {
        let doubled = 2_usize.checked_pow(levels + 1)?;
        let slots = LEVEL0.checked_mul(doubled - 1)?;
        let fits = slots <= self.keys.len().min(self.records.len() / live::WORDS)
            && u32::try_from(slots).is_ok();
        fits.then_some(slots)
    }

    /// Makes a piece of the level after `levels` ready. A level is as large as all before it: to
    /// have memory for all of it at once would stall the thread that opens it by milliseconds.
    fn prepare(&self, levels: u32) {
        let Some(end) = self.slots_with_next(levels) else {
            return;
        };
        let start = LEVEL0 * ((1 << levels) - 1);
        let prepared = self.prepared.load(Ordering::Relaxed);
        if prepared >= end as u64 {
            return;
        }
        if prepared < start as u64 {
            self.prepared.fetch_max(start as u64, Ordering::Relaxed);
        }
        let from = self.prepared.fetch_add(PIECE as u64, Ordering::Relaxed) as usize;
        let upto = from.saturating_add(PIECE).min(end);
        // What cannot be had now is asked for again when the level is opened.
        let _ = self.commit.commit(region::LIVE_KEYS, upto)
            && self.commit.commit(region::LIVE, upto * live::WORDS);
    }

    /// Opens the level after `levels`, unless another thread has. False when there is no room.
    fn open(&self, levels: u32) -> bool {
        let Some(slots) = self.slots_with_next(levels) else {
            return false;
        };
        if !self.commit.commit(region::LIVE_KEYS, slots)
            || !self.commit.commit(region::LIVE, slots * live::WORDS)
        {
            return false;
        }
        // On failure another thread opened it: there is room in any case.
        let _ = self.levels.compare_exchange(
            u64::from(levels),
            u64::from(levels) + 1,
            Ordering::Release,
            Ordering::Relaxed,
        );
        true
    }

    /// Writes the record of a slot that was reserved, between two changes of its generation.
    fn write(&self, slot: Slot, record: &LiveRecord) -> Option<()> {
        let words = self.record(slot)?;
        let site = u64::from(record.site);
        let before = words[live::SITE].load(Ordering::Relaxed) & !u64::from(u32::MAX);
        let written = before | (state::WRITTEN * GENERATION);
        words[live::SITE].store(written | site, Ordering::Relaxed);
        // A reader that sees any of what follows also sees the odd generation.
        fence(Ordering::Release);
        words[live::BYTES].store(record.bytes, Ordering::Relaxed);
        words[live::TICKS].store(record.ticks, Ordering::Relaxed);
        preemption_point();
        words[live::SERIAL].store(record.serial, Ordering::Relaxed);
        words[live::LINKS].store(record.links(), Ordering::Relaxed);
        words[live::WEIGHT].store(record.weight_word(), Ordering::Relaxed);
        words[live::BORN_TICKS].store(record.born_ticks, Ordering::Relaxed);
        words[live::FIRST_SERIAL].store(record.first_serial, Ordering::Relaxed);
        words[live::SITE].store(written.wrapping_add(GENERATION) | site, Ordering::Release);
        Some(())
    }
}
