//! How a block inherits the history of the one whose place it took.
//!
//! The thread that allocated a block finds out, when the old one is freed, that the one followed
//! the other. By then the new block may belong to another thread, which frees it at any moment, and
//! its address and slot may serve a third block. So this change names the block by its serial,
//! which no other block ever has, and is made in one piece with the proof that the block is there:
//!
//! ```text
//! written --> here --------------remove------------> gone
//!             ^  |                                    ^
//!          inherits --remove--> (written) --emptied--/
//! ```
//!
//! The heir is marked (`here` to `inherits`) by a compare-and-swap of the generation that was seen
//! together with its serial. Every removal moves the generation on, so the swap succeeds only
//! while that block is there. Nobody waits for anybody: an owner that removes a block which is just
//! inheriting takes it as it was before, and leaves the slot reserved. The thread that writes to it
//! learns from its second swap that it came too late, and empties the slot. Until then no other
//! block can get it.
//!
//! A generation has 30 bits beside the state: a thread would have to be stopped between a load and
//! its swap for exactly that many lives of one slot to mistake one life for another.

use super::record::{Heritage, LiveRecord};
use super::{LiveTable, Slot};
use crate::pool::Commit;
use crate::sync::{AtomicU64, Ordering, compare_exchange, fence, preemption_point};
use mapgrow_format::layout::live;

/// Unit of the generation in the word that it shares with the site.
pub(super) const GENERATION: u64 = 1 << 32;

/// States of a slot, the low two bits of its generation. The odd ones say that the record is being
/// written.
pub(super) mod state {
    /// A block is there.
    pub(crate) const HERE: u64 = 0;
    /// A block is there, and its heritage is being written.
    pub(crate) const INHERITS: u64 = 1;
    /// No block is there. (Nor is one in a slot that was never used, whose generation is 0.)
    pub(crate) const GONE: u64 = 2;
    /// The record is being written before its key; or the block went while it inherited.
    pub(crate) const WRITTEN: u64 = 3;

    /// The state in a word that also holds a generation.
    pub(crate) fn of(first: u64) -> u64 {
        (first / super::GENERATION) & 3
    }
}

impl<'a, C: Commit, const LEVEL0: usize> LiveTable<'a, C, LEVEL0> {
    /// Whether block `serial` is in `slot`. It may go at any moment unless the caller owns it.
    #[inline]
    pub(crate) fn holds(&self, slot: Slot, serial: u64) -> bool {
        self.generation_of(slot, serial).is_some()
    }

    /// Has block `serial`, which the calling thread inserted and which inherited nothing yet,
    /// take over from the block that it replaced. False when it is no longer there: then nothing
    /// is changed.
    pub(crate) fn inherit(&self, slot: Slot, serial: u64, heritage: &Heritage) -> bool {
        let Some((words, first)) = self.generation_of(slot, serial) else {
            return false;
        };
        preemption_point();
        let inherits = first.wrapping_add(state::INHERITS * GENERATION);
        let marked = compare_exchange(
            &words[live::SITE],
            first,
            inherits,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        if marked.is_err() {
            return false;
        }
        // A reader that sees any of what follows also sees the odd generation.
        fence(Ordering::Release);
        let mut heir = LiveRecord::decode(words, first);
        heir.inherit(heritage);
        words[live::LINKS].store(heir.links(), Ordering::Relaxed);
        preemption_point();
        words[live::WEIGHT].store(heir.weight_word(), Ordering::Relaxed);
        words[live::BORN_TICKS].store(heir.born_ticks, Ordering::Relaxed);
        words[live::FIRST_SERIAL].store(heir.first_serial, Ordering::Relaxed);
        let done = compare_exchange(
            &words[live::SITE],
            inherits,
            first.wrapping_add((state::WRITTEN + 1) * GENERATION),
            Ordering::Release,
            Ordering::Acquire,
        );
        if done.is_ok() {
            return true;
        }
        preemption_point();
        // The owner took the block out meanwhile, without what was written here.
        let gone = inherits.wrapping_add((state::GONE + state::WRITTEN) * GENERATION);
        words[live::SITE].store(gone, Ordering::Relaxed);
        if let Some(key) = self.keys.get(slot.0 as usize) {
            key.store(0, Ordering::Release);
        }
        false
    }

    /// The record of `slot` and its first word, if the block there is `serial` and is not being
    /// written to: as long as that word stays the same, the block is still there.
    #[inline]
    fn generation_of(
        &self,
        slot: Slot,
        serial: u64,
    ) -> Option<(&'a [AtomicU64; live::WORDS], u64)> {
        let words = self.record(slot)?;
        let first = words[live::SITE].load(Ordering::Acquire);
        let same = state::of(first) == state::HERE
            && words[live::SERIAL].load(Ordering::Relaxed) == serial;
        same.then_some((words, first))
    }
}
