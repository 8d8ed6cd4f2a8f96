//! What happened when: rings of events and marks, and the series that each site keeps.
//!
//! A ring hands out numbers by one `fetch_add` on its head; number n lies in slot n modulo the
//! capacity. A writer owns a slot from the moment it has swapped a busy mark into the slot's
//! sequence word until it stores n + 1 there. Writers that are a whole round apart can meet at a
//! slot: the one that finds it busy, or taken by a later number, drops its own event, so two never
//! write the same slot at once. A reader sees such a loss as a sequence word that is not n + 1.

pub(crate) mod series;

use crate::pool::{Commit, word};
use crate::sync::{AtomicU64, Ordering, compare_exchange, fence, fetch_add, prefetch};
use core::sync::atomic::AtomicUsize;
use mapgrow_format::layout::packed::EventWhat;
use mapgrow_format::layout::{event, header, mark, region};

/// Sequence word of a slot that is being written, beside the number + 1.
const BUSY: u64 = 1 << 63;

/// A ring of records of `WORDS` words, the first of which is the sequence word.
pub(crate) struct Ring<'a, C, const WORDS: usize> {
    head: &'a AtomicU64,
    slots: &'a [[AtomicU64; WORDS]],
    region: usize,
    commit: &'a C,
    /// Slots that are known to be backed by memory, which they stay. Only saves work.
    usable: AtomicUsize,
}

impl<'a, C: Commit, const WORDS: usize> Ring<'a, C, WORDS> {
    pub(crate) fn new(
        head: &'a AtomicU64,
        words: &'a [AtomicU64],
        region: usize,
        commit: &'a C,
    ) -> Self {
        Self {
            head,
            slots: words.as_chunks().0,
            region,
            commit,
            usable: AtomicUsize::new(0),
        }
    }

    /// Numbers handed out so far.
    #[cfg(any(test, feature = "report"))]
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Takes the next number and has `write` fill its slot; word 0 is the ring's own. `None` when
    /// the slot could not be had; the number then stays without a record.
    pub(crate) fn publish(&self, write: impl FnOnce(&[AtomicU64; WORDS])) -> Option<u64> {
        let number = fetch_add(self.head, 1);
        let (index, slot) = self.usable_slot(number)?;
        let sequence = slot.first()?;
        let seen = sequence.load(Ordering::Relaxed);
        if seen & BUSY != 0 || seen > number {
            return None;
        }
        // Acquire: this writer's stores come after those of the slot's last one.
        compare_exchange(
            sequence,
            seen,
            BUSY | (number + 1),
            Ordering::Acquire,
            Ordering::Relaxed,
        )
        .ok()?;
        // A reader that sees any of what follows also sees the busy mark.
        fence(Ordering::Release);
        write(slot);
        sequence.store(number + 1, Ordering::Release);
        // The ring is larger than the caches: without this the next event waits for its slot.
        if let Some(next) = self.slots.get(index + 1) {
            prefetch(next);
        }
        Some(number)
    }

    /// Lets `read` look at record `number`; `None` when it is not there (not complete, dropped,
    /// overwritten) or went while it was read.
    #[cfg(any(test, feature = "report"))]
    pub(crate) fn read<T>(
        &self,
        number: u64,
        read: impl FnOnce(&[AtomicU64; WORDS]) -> T,
    ) -> Option<T> {
        if number >= self.head.load(Ordering::Relaxed) {
            return None;
        }
        let (_, slot) = self.usable_slot(number)?;
        let sequence = slot.first()?;
        if sequence.load(Ordering::Acquire) != number + 1 {
            return None;
        }
        let value = read(slot);
        fence(Ordering::Acquire);
        (sequence.load(Ordering::Relaxed) == number + 1).then_some(value)
    }

    /// The slot of a number and its place, once it is backed by memory.
    #[inline]
    fn usable_slot(&self, number: u64) -> Option<(usize, &'a [AtomicU64; WORDS])> {
        let slots = self.slots.len() as u64;
        // A division takes longer than all the rest, and most rings are a power of two long.
        let index = if slots.is_power_of_two() {
            (number & (slots - 1)) as usize
        } else {
            number.checked_rem(slots)? as usize
        };
        if index >= self.usable.load(Ordering::Relaxed) {
            // Asked in later rounds, too: what could not be committed in the first one cannot be
            // touched in those either.
            if !self.commit.commit(self.region, (index + 1) * WORDS) {
                return None;
            }
            self.usable.fetch_max(index + 1, Ordering::Relaxed);
        }
        Some((index, self.slots.get(index)?))
    }
}

/// An event. `subject` is an edge or a site, as `kind` says; `kind` and `flags` are those of
/// [`event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Event {
    pub(crate) ticks: u64,
    pub(crate) old_serial: u64,
    pub(crate) new_serial: u64,
    pub(crate) old_bytes: u64,
    pub(crate) new_bytes: u64,
    pub(crate) subject: u32,
    pub(crate) thread: u16,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) pause_ticks: u64,
}

/// A ring of events: that of resizes or that of births.
pub(crate) struct EventRing<'a, C>(Ring<'a, C, { event::WORDS }>);

impl<'a, C: Commit> EventRing<'a, C> {
    /// The ring of what replaced what. `None` when the header is too short.
    pub(crate) fn resizes(
        header: &'a [AtomicU64],
        words: &'a [AtomicU64],
        commit: &'a C,
    ) -> Option<Self> {
        let head = word(header, header::RESIZE_HEAD)?;
        Some(Self(Ring::new(head, words, region::RESIZES, commit)))
    }

    /// The ring of tables allocated afresh and dropped. `None` when the header is too short.
    pub(crate) fn births(
        header: &'a [AtomicU64],
        words: &'a [AtomicU64],
        commit: &'a C,
    ) -> Option<Self> {
        let head = word(header, header::BIRTH_HEAD)?;
        Some(Self(Ring::new(head, words, region::BIRTHS, commit)))
    }

    /// Events ever published, those included that were dropped.
    #[cfg(any(test, feature = "report"))]
    pub(crate) fn head(&self) -> u64 {
        self.0.head()
    }

    /// Events that the ring holds.
    #[cfg(any(test, feature = "report"))]
    pub(crate) fn capacity(&self) -> u64 {
        self.0.slots.len() as u64
    }

    /// Publishes an event and gives its number. `None` when it was dropped; readers see that from
    /// the gap.
    #[inline]
    pub(crate) fn publish(&self, event: &Event) -> Option<u64> {
        // Packed where the parts are in registers: loading as one word what was just stored as
        // four would wait for the stores.
        let what = EventWhat {
            subject: event.subject,
            thread: event.thread,
            kind: event.kind,
            flags: event.flags,
        };
        let mut words = [0; event::WORDS];
        words[event::TICKS] = event.ticks;
        words[event::OLD_SERIAL] = event.old_serial;
        words[event::NEW_SERIAL] = event.new_serial;
        words[event::OLD_BYTES] = event.old_bytes;
        words[event::NEW_BYTES] = event.new_bytes;
        words[event::WHAT] = what.pack();
        words[event::PAUSE] = event.pause_ticks;
        self.publish_words(&words)
    }

    #[inline(never)]
    fn publish_words(&self, words: &[u64; event::WORDS]) -> Option<u64> {
        self.0.publish(|slot| {
            let store = |field: usize| slot[field].store(words[field], Ordering::Relaxed);
            store(event::TICKS);
            store(event::OLD_SERIAL);
            store(event::NEW_SERIAL);
            store(event::OLD_BYTES);
            store(event::NEW_BYTES);
            store(event::WHAT);
            store(event::PAUSE);
        })
    }

    /// Event `number`, if the ring still holds it.
    #[cfg(any(test, feature = "report"))]
    pub(crate) fn read(&self, number: u64) -> Option<Event> {
        self.0.read(number, |words| {
            let what = EventWhat::unpack(words[event::WHAT].load(Ordering::Relaxed));
            Event {
                ticks: words[event::TICKS].load(Ordering::Relaxed),
                old_serial: words[event::OLD_SERIAL].load(Ordering::Relaxed),
                new_serial: words[event::NEW_SERIAL].load(Ordering::Relaxed),
                old_bytes: words[event::OLD_BYTES].load(Ordering::Relaxed),
                new_bytes: words[event::NEW_BYTES].load(Ordering::Relaxed),
                subject: what.subject,
                thread: what.thread,
                kind: what.kind,
                flags: what.flags,
                pause_ticks: words[event::PAUSE].load(Ordering::Relaxed),
            }
        })
    }
}

/// The ring of marks.
pub(crate) struct MarkRing<'a, C>(Ring<'a, C, { mark::WORDS }>);

impl<'a, C: Commit> MarkRing<'a, C> {
    /// `None` when the header is too short.
    pub(crate) fn new(
        header: &'a [AtomicU64],
        words: &'a [AtomicU64],
        commit: &'a C,
    ) -> Option<Self> {
        let head = word(header, header::MARK_HEAD)?;
        Some(Self(Ring::new(head, words, region::MARKS, commit)))
    }

    /// Sets a mark and gives its number. The label is cut at the last whole character that fits.
    pub(crate) fn publish(&self, ticks: u64, thread: u16, label: &str) -> Option<u64> {
        let mut cut = label.len().min(mark::LABEL_WORDS * 8);
        while !label.is_char_boundary(cut) {
            cut -= 1;
        }
        let bytes = label.as_bytes().get(..cut)?;
        self.0.publish(|words| {
            words[mark::TICKS].store(ticks, Ordering::Relaxed);
            words[mark::THREAD].store(u64::from(thread), Ordering::Relaxed);
            let mut chunks = bytes.chunks(8);
            for word in words.iter().skip(mark::LABEL).take(mark::LABEL_WORDS) {
                let mut value = 0;
                for (place, &byte) in chunks.next().unwrap_or(&[]).iter().enumerate() {
                    value |= u64::from(byte) << (8 * place);
                }
                word.store(value, Ordering::Relaxed);
            }
        })
    }
}

#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, not(loom)))]
mod tests;
