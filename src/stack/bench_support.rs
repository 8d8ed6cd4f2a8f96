//! What `benches/capture.rs` needs to get at stack capture. Not part of the public face.

use super::{ALIGN, EntryFrames, Outcome, Registers, SIZE, ThreadStacks};
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};

/// A thread's stacks in leaked memory of their own.
pub struct Stacks {
    stacks: &'static mut ThreadStacks,
    entry: EntryFrames,
}

impl Default for Stacks {
    fn default() -> Self {
        Self::new()
    }
}

impl Stacks {
    /// Empty.
    pub fn new() -> Stacks {
        let layout = Layout::from_size_align(SIZE, ALIGN).expect("a size known to be valid");
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: zeroed, of that size and alignment, and never given to anybody else.
        let stacks = unsafe { ThreadStacks::from_zeroed(memory) };
        Stacks {
            stacks,
            entry: EntryFrames::new(),
        }
    }

    /// Captures. Returns how many frames there are, and whether the stack was known.
    #[inline(never)]
    pub fn capture(&mut self) -> (usize, bool) {
        let here = Registers::here();
        // SAFETY: the registers are those of this function.
        let capture = unsafe { self.stacks.capture(&here, &self.entry) };
        let known = matches!(capture.outcome, Outcome::Hit | Outcome::Checked);
        (capture.returns().len(), known)
    }

    /// Forgets the stacks; the rules, too, if asked to.
    pub fn forget(&mut self, rules: bool) {
        if rules {
            self.stacks.forget();
        } else {
            self.stacks.memo.clear();
        }
    }
}
