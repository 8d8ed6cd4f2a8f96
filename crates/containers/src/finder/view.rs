//! What the proofs read: memory, with what was read of late kept at hand.
//!
//! A table lies close to others, and each is looked at in several small pieces. Whole lines of
//! memory are read instead, and kept until the next piece of memory is searched: what is at hand
//! is a few milliseconds old. Whoever has to know what is there now says [`View::fresh`] first.

use std::cell::{Cell, RefCell};

use mapgrow_system::memory::Memory;

use super::Searched;

/// Bytes of a line, and of its parts, which can be read or not as a whole.
const LINE: u64 = 16 << 10;
const PART: u64 = 4096;
/// Lines at hand.
const LINES: usize = 512;
/// Longer pieces are not kept.
const LONGEST: usize = 32 << 10;
/// What it takes to read memory anew, in bytes of what is at hand.
const ANEW: u64 = 512;

/// Memory that is searched, and what is at hand of it.
pub(super) struct View<'a> {
    memory: &'a dyn Searched,
    lines: RefCell<Lines>,
    fresh: Cell<bool>,
    /// Bytes that may be read yet.
    left: Cell<u64>,
    gave_up: Cell<bool>,
}

struct Lines {
    /// Where each line is from, and which of its parts could be read.
    held: Vec<(u64, u8)>,
    bytes: Vec<u8>,
}

impl<'a> View<'a> {
    pub(super) fn new(memory: &'a dyn Searched) -> Self {
        Self {
            memory,
            lines: RefCell::new(Lines {
                held: vec![(u64::MAX, 0); LINES],
                bytes: vec![0; LINES * LINE as usize],
            }),
            fresh: Cell::new(false),
            left: Cell::new(u64::MAX),
            gave_up: Cell::new(false),
        }
    }

    /// The same, of which only so many bytes may be read: nothing more can be read then.
    pub(super) fn with_effort(memory: &'a dyn Searched, bytes: u64) -> Self {
        let view = Self::new(memory);
        view.left.set(bytes);
        view
    }

    /// Whether something was not read because it would have been too much.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up.get()
    }

    /// Takes `bytes` of what may be read, if they are left.
    #[inline]
    pub(super) fn affords(&self, bytes: u64) -> bool {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        if left.is_none() {
            self.gave_up.set(true);
        }
        left.is_some()
    }

    fn affords_to_read(&self, bytes: usize) -> bool {
        let anew = if self.fresh.get() { ANEW } else { 8 };
        self.affords(anew + bytes as u64)
    }

    /// What is searched.
    pub(super) fn searched(&self) -> &'a dyn Searched {
        self.memory
    }

    /// Whether everything is read anew from now on.
    pub(super) fn fresh(&self, fresh: bool) {
        self.fresh.set(fresh);
    }

    /// Forgets what is at hand.
    pub(super) fn forget(&self) {
        self.lines.borrow_mut().held.fill((u64::MAX, 0));
    }

    /// The word at `address`.
    #[inline]
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let from = address % LINE;
        if !self.fresh.get() && from % PART <= PART - 8 {
            if !self.affords(8) {
                return None;
            }
            let mut lines = self.lines.borrow_mut();
            let (parts, bytes) = lines.line(self.memory, address / LINE)?;
            let word = bytes.get(from as usize..from as usize + 8)?;
            let readable = parts & (1 << (from / PART)) != 0;
            return readable.then_some(u64::from_le_bytes(word.try_into().ok()?));
        }
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)
            .then_some(u64::from_le_bytes(bytes))
    }

    /// The words from `address` on.
    pub(super) fn words<const N: usize>(&self, address: u64) -> Option<[u64; N]> {
        let mut words = [0; N];
        let mut bytes = [0; 128];
        let bytes = bytes.get_mut(..N * 8)?;
        if !self.read(address, bytes) {
            return None;
        }
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Some(words)
    }
}

impl Lines {
    /// Line `line`, after it was read if need be, and which of its parts are there.
    #[inline]
    fn line(&mut self, memory: &dyn Searched, line: u64) -> Option<(u8, &[u8])> {
        let slot = (line as usize) % LINES;
        let start = slot * LINE as usize;
        let held = self.held.get_mut(slot)?;
        let bytes = self.bytes.get_mut(start..start + LINE as usize)?;
        if held.0 != line {
            *held = (line, fill(memory, line, bytes));
        }
        Some((held.1, bytes))
    }

    /// Copies what line `line` has from `from` on.
    fn copy(&mut self, memory: &dyn Searched, line: u64, from: u64, into: &mut [u8]) -> bool {
        let last = (from + into.len() as u64).saturating_sub(1) / PART;
        let Some((parts, bytes)) = self.line(memory, line) else {
            return false;
        };
        let readable = (from / PART..=last).all(|part| parts & (1 << part) != 0);
        let from = from as usize;
        match bytes.get(from..from + into.len()) {
            Some(bytes) if readable => {
                into.copy_from_slice(bytes);
                true
            }
            _ => false,
        }
    }
}

/// Reads a line, and says which of its parts could be read.
#[cold]
fn fill(memory: &dyn Searched, line: u64, bytes: &mut [u8]) -> u8 {
    if memory.read(line * LINE, bytes) {
        return u8::MAX;
    }
    let mut parts = 0;
    for (index, part) in bytes.chunks_exact_mut(PART as usize).enumerate() {
        if memory.read(line * LINE + index as u64 * PART, part) {
            parts |= 1 << index;
        }
    }
    parts
}

impl Memory for View<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        if !self.affords_to_read(into.len()) {
            return false;
        }
        if self.fresh.get() || into.len() > LONGEST {
            return self.memory.read(address, into);
        }
        let mut lines = self.lines.borrow_mut();
        let mut at = address;
        let mut rest = into;
        while !rest.is_empty() {
            let (line, from) = (at / LINE, at % LINE);
            let length = rest.len().min((LINE - from) as usize);
            let (piece, behind) = rest.split_at_mut(length);
            if !lines.copy(self.memory, line, from, piece) {
                return false;
            }
            let Some(next) = at.checked_add(length as u64) else {
                return false;
            };
            at = next;
            rest = behind;
        }
        true
    }

    fn read_many(&self, addresses: &[u64], each: usize, into: &mut [u8]) -> bool {
        if self.fresh.get() {
            return self.affords_to_read(into.len())
                && self.memory.read_many(addresses, each, into);
        }
        each > 0
            && into.len() == addresses.len() * each
            && (addresses.iter().zip(into.chunks_exact_mut(each)))
                .all(|(&address, piece)| self.read(address, piece))
    }
}
