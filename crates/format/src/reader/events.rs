//! The records of rings: events and marks.

use super::records::Words;
use crate::layout::packed::EventWhat;
use crate::layout::{event, mark};

/// An entry of an event ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEvent {
    /// Number of the event in its ring.
    pub number: u64,
    /// When it ended, ticks.
    pub ticks: u64,
    /// Number of the old block, 0 when there is none.
    pub old_serial: u64,
    /// Number of the new block, 0 when there is none.
    pub new_serial: u64,
    /// Bytes of the old block.
    pub old_bytes: u64,
    /// Bytes of the new block.
    pub new_bytes: u64,
    /// Edge or site, depending on the kind.
    pub what: u32,
    /// Thread slot.
    pub thread: u16,
    /// One of `layout::event::KIND_*`.
    pub kind: u64,
    /// `layout::event::FLAG_*`.
    pub flags: u64,
    /// Pause, ticks.
    pub pause: u64,
}

/// The number in a sequence word; `None` while the slot is empty or being written.
fn complete_number(sequence: u64) -> Option<u64> {
    (sequence >> 63 == 0).then(|| sequence.checked_sub(1))?
}

impl BlockEvent {
    pub(super) fn read(words: &Words<'_>, slot: u64, capacity: u64) -> Option<Self> {
        let number = complete_number(words.get(event::SEQ))?;
        if number.checked_rem(capacity)? != slot {
            return None;
        }
        let what = EventWhat::unpack(words.get(event::WHAT));
        Some(Self {
            number,
            ticks: words.get(event::TICKS),
            old_serial: words.get(event::OLD_SERIAL),
            new_serial: words.get(event::NEW_SERIAL),
            old_bytes: words.get(event::OLD_BYTES),
            new_bytes: words.get(event::NEW_BYTES),
            what: what.subject,
            thread: what.thread,
            kind: u64::from(what.kind),
            flags: u64::from(what.flags),
            pause: words.get(event::PAUSE),
        })
    }
}

/// A mark set by the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Number of the mark.
    pub number: u64,
    /// When, ticks.
    pub ticks: u64,
    /// Thread slot.
    pub thread: u16,
    /// Its label.
    pub label: String,
}

impl Mark {
    pub(super) fn read(words: &Words<'_>, slot: u64, capacity: u64) -> Option<Self> {
        let number = complete_number(words.get(mark::SEQ))?;
        if number.checked_rem(capacity)? != slot {
            return None;
        }
        Some(Self {
            number,
            ticks: words.get(mark::TICKS),
            thread: words.get(mark::THREAD) as u16,
            label: words.text(mark::LABEL, mark::LABEL_WORDS),
        })
    }
}
