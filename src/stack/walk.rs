//! Walking a stack by the rules, and writing down every word that the walk depends on.

use super::arch;
use super::cache::RuleCache;
use super::rules::{Base, Kind, SavedBp};
#[cfg(feature = "preload")]
use super::scripted::Script;
use super::{EntryFrames, MAX_RETURNS, Registers, Return};

/// Words that a walk of machine code may read: two for each frame (return address, saved frame
/// pointer), those of the allocator's own frames included, and some to spare.
const MACHINE_WORDS: usize = 320;
/// Words for what an interpreter runs: about a dozen for each function.
const SCRIPT_WORDS: usize = if cfg!(feature = "preload") { 1280 } else { 0 };
/// Words that a walk may read in all.
pub(super) const MAX_WORDS: usize = MACHINE_WORDS + SCRIPT_WORDS;
/// No stack lies below: the kernel never maps the first 64 KiB.
const LOWEST_ADDRESS: u64 = 0x1_0000;
/// No stack lies above.
const HIGHEST_ADDRESS: u64 = 1 << 47;

/// A word of the stack that a walk has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Word {
    pub(super) address: u64,
    pub(super) value: u64,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stop {
    /// At the outermost frame: the stack is complete.
    Outermost = 0,
    /// At a bound of ours.
    Limit = 1,
    /// No unwind table covers the next pc.
    NoInfo = 2,
    /// The table says something that is not handled, or that cannot be true.
    Unsupported = 3,
}

/// The result of a walk, in per-thread memory. All-zero is the empty stack.
pub(super) struct Scratch {
    /// What the walk read, in this order.
    words: [Word; MAX_WORDS],
    word_count: usize,
    /// How many there may be now.
    word_limit: usize,
    /// The stack beyond the allocator's own frames.
    returns: [Return; MAX_RETURNS],
    return_count: usize,
    /// Return addresses met, the allocator's own included.
    pub(super) met: usize,
    /// The innermost return address of all, be it the allocator's own.
    pub(super) first: Return,
    pub(super) stop: Stop,
    /// Start of the function that the first of `returns` lies in; 0 when unknown.
    pub(super) caller_function_start: u64,
    /// The registers that the walk starts from. The frame pointer's place here serves as the
    /// address of the register: reading it is a word like any other.
    pub(super) start: Registers,
    /// What the thread runs in an interpreter.
    #[cfg(feature = "preload")]
    pub(super) script: Script,
}

/// Reads a word of the stack.
///
/// # Safety
/// `address` must be aligned and readable.
#[inline(always)]
pub(super) unsafe fn read(address: u64) -> u64 {
    // SAFETY: `address` is aligned and readable (this contract). Volatile: other frames own the
    // word.
    unsafe { core::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile() }
}

/// Whether a walk may look at `address`: a frame that claims otherwise is not one.
fn plausible(address: u64) -> bool {
    address.is_multiple_of(8) && (LOWEST_ADDRESS..HIGHEST_ADDRESS).contains(&address)
}

/// Adds a signed offset.
fn offset(base: u64, by: impl Into<i64>) -> u64 {
    base.wrapping_add_signed(by.into())
}

impl Scratch {
    /// What the walk read, in this order.
    pub(super) fn words(&self) -> &[Word] {
        self.words.get(..self.word_count).unwrap_or(&[])
    }

    /// The stack beyond the allocator's own frames, innermost first.
    pub(super) fn returns(&self) -> &[Return] {
        self.returns.get(..self.return_count).unwrap_or(&[])
    }

    /// From here on what an interpreter runs is read.
    #[cfg(feature = "preload")]
    pub(super) fn allow_all_words(&mut self) {
        self.word_limit = MAX_WORDS;
    }

    /// Keeps the words that were read first.
    #[cfg(feature = "preload")]
    pub(super) fn keep_words(&mut self, count: usize) {
        self.word_count = self.word_count.min(count);
    }

    /// Keeps the innermost returns.
    #[cfg(feature = "preload")]
    pub(super) fn cut_returns(&mut self, count: usize) {
        self.return_count = self.return_count.min(count);
    }

    /// Takes a frame of the walk for what an interpreter may run.
    fn meet(&mut self, start: u64, frame: Return) {
        #[cfg(feature = "preload")]
        self.script.meet(start, frame, self.return_count);
        #[cfg(not(feature = "preload"))]
        let _ = (start, frame);
    }

    /// Whether machine code was met that may run functions of a script.
    fn is_evaluated(&self) -> bool {
        #[cfg(feature = "preload")]
        return self.script.is_evaluated();
        #[cfg(not(feature = "preload"))]
        false
    }

    /// Whether the stack leads through functions of a script.
    pub(super) fn is_scripted(&self) -> bool {
        #[cfg(feature = "preload")]
        return self.script.is_scripted();
        #[cfg(not(feature = "preload"))]
        false
    }

    /// Whether a script may be found that was not.
    pub(super) fn is_doubtful(&self) -> bool {
        #[cfg(feature = "preload")]
        return self.script.is_doubtful();
        #[cfg(not(feature = "preload"))]
        false
    }

    /// Makes the stack empty.
    pub(super) fn reset(&mut self) {
        self.word_count = 0;
        self.word_limit = MACHINE_WORDS;
        #[cfg(feature = "preload")]
        self.script.reset();
        self.return_count = 0;
        self.met = 0;
        self.first = Return { slot: 0, pc: 0 };
        self.stop = Stop::Outermost;
        self.caller_function_start = 0;
    }

    /// Reads and writes down a word. `None`: it cannot be one of a stack, or there is no room.
    ///
    /// # Safety
    /// An address that the unwind tables led to from a frame of the calling thread.
    pub(super) unsafe fn read(&mut self, address: u64) -> Result<u64, Stop> {
        if !plausible(address) {
            return Err(Stop::Unsupported);
        }
        let limit = self.word_limit;
        let Some(word) = self
            .words
            .get_mut(..limit)
            .and_then(|words| words.get_mut(self.word_count))
        else {
            return Err(Stop::Limit);
        };
        // SAFETY: `plausible` has checked the alignment; that it is readable follows from the
        // unwind tables being right (this contract).
        let value = unsafe { read(address) };
        *word = Word { address, value };
        self.word_count += 1;
        Ok(value)
    }

    /// Appends a frame beyond the allocator's own, if there is room.
    pub(super) fn push(&mut self, frame: Return) -> Result<(), Stop> {
        let Some(place) = self.returns.get_mut(self.return_count) else {
            return Err(Stop::Limit);
        };
        *place = frame;
        self.return_count += 1;
        Ok(())
    }

    /// Walks the stack from `self.start`, trimming leading frames of functions in `entry`.
    ///
    /// # Safety
    /// The registers must have been captured in a frame of the calling thread that is still
    /// active.
    pub(super) unsafe fn walk(&mut self, rules: &mut RuleCache, entry: &EntryFrames) {
        // SAFETY: `start` holds registers of a frame of this thread that is active until this
        // returns.
        unsafe { self.walk_once(rules, entry) };
        #[cfg(feature = "preload")]
        // SAFETY: `start` holds registers of a frame of this thread that is active until this
        // returns.
        if unsafe { self.learn_script(rules) } {
            // SAFETY: `start` holds registers of a frame of this thread that is active until this
            // returns.
            unsafe { self.walk_once(rules, entry) };
        }
    }

    /// # Safety
    /// As for [`Scratch::walk`].
    unsafe fn walk_once(&mut self, rules: &mut RuleCache, entry: &EntryFrames) {
        self.reset();
        let (mut leading, mut unkept) = (true, false);
        // SAFETY: `start` holds registers of a frame of this thread that is active until this
        // returns.
        unsafe {
            self.walk_frames(rules, |scratch, frame, function_start| {
                if leading && entry.contains(function_start) {
                    return Ok(());
                }
                if leading {
                    leading = false;
                    scratch.caller_function_start = function_start;
                }
                scratch.meet(function_start, frame);
                match scratch.push(frame) {
                    // The functions that it runs will take the place of some.
                    Err(Stop::Limit) if scratch.is_evaluated() => {
                        unkept = true;
                        Ok(())
                    }
                    pushed => pushed,
                }
            });
        }
        // SAFETY: the state is the calling thread's: it was asked when the walk began.
        #[cfg(feature = "preload")]
        unsafe {
            self.read_script();
        }
        if unkept && !self.is_scripted() {
            self.stop = Stop::Limit;
        }
    }

    /// Walks the stack from `self.start`, after a [`reset`](Self::reset), and calls `each` with every return address and the
    /// start of the function that it lies in (0: unknown), until it says why the walk ends.
    ///
    /// # Safety
    /// As for [`Scratch::walk`].
    pub(super) unsafe fn walk_frames(
        &mut self,
        rules: &mut RuleCache,
        mut each: impl FnMut(&mut Scratch, Return, u64) -> Result<(), Stop>,
    ) {
        rules.begin_walk();
        let mut frame = Frame {
            pc: self.start.pc,
            sp: self.start.sp,
            bp_address: (&raw const self.start.bp).expose_provenance() as u64,
            exact: true,
            slot: 0,
        };
        self.stop = loop {
            // SAFETY: the pc comes from the registers or from a return address on the stack.
            let rule = unsafe { rules.rule(frame.pc.wrapping_sub(u64::from(!frame.exact))) };
            if frame.slot != 0 {
                let start = match rule.kind {
                    Kind::NoInfo => 0,
                    _ => frame
                        .lookup_address()
                        .wrapping_sub(u64::from(rule.into_function)),
                };
                let frame = Return {
                    slot: frame.slot,
                    pc: frame.pc,
                };
                if let Err(stop) = each(self, frame, start) {
                    break stop;
                }
            }
            match rule.kind {
                Kind::Caller => {}
                Kind::Outermost => break Stop::Outermost,
                Kind::NoInfo => break Stop::NoInfo,
                Kind::Unsupported => break Stop::Unsupported,
            }
            // SAFETY: `frame` is active on this thread, and `rule` was looked up for its pc.
            frame = match unsafe { self.step(&frame, &rule) } {
                Ok(caller) => caller,
                Err(stop) => break stop,
            };
            if frame.pc == 0 {
                break Stop::Outermost;
            }
            if self.met == 0 {
                self.first = Return {
                    slot: frame.slot,
                    pc: frame.pc,
                };
            }
            self.met += 1;
        };
    }

    /// From a frame to its caller. Reads only what is needed: the frame pointer register is
    /// carried along as the address of the word that holds it, and read when a rule asks for it.
    ///
    /// # Safety
    /// `frame` must be one of the calling thread, and `rule` the one for its pc.
    #[inline(always)]
    unsafe fn step(&mut self, frame: &Frame, rule: &super::rules::Rule) -> Result<Caller, Stop> {
        let needs_bp = rule.cfa_base == Base::Bp
            || rule.ra_base == Base::Bp
            || (rule.bp == SavedBp::At && rule.bp_base == Base::Bp);
        let bp = if !needs_bp {
            0
        } else if frame.bp_address == 0 {
            return Err(Stop::Unsupported);
        } else {
            // SAFETY: the address of the start register, or one that a rule gave.
            unsafe { self.read(frame.bp_address) }?
        };
        let base = |base: Base, cfa: u64| match base {
            Base::Sp => frame.sp,
            Base::Bp => bp,
            Base::Cfa => cfa,
        };
        let mut cfa = offset(base(rule.cfa_base, 0), rule.cfa_offset);
        if rule.cfa_deref {
            // SAFETY: a rule of this frame says that the CFA is stored there.
            cfa = offset(unsafe { self.read(cfa) }?, rule.cfa_add);
        }
        // SAFETY: a rule of this frame says that the return address is stored there.
        let pc = unsafe { self.read(offset(base(rule.ra_base, cfa), rule.ra_offset)) }?;
        let bp_address = match rule.bp {
            SavedBp::Same => frame.bp_address,
            SavedBp::At => offset(base(rule.bp_base, cfa), rule.bp_offset),
            SavedBp::Lost => 0,
        };
        if !plausible(cfa) {
            return Err(Stop::Unsupported);
        }
        Ok(Frame {
            pc,
            sp: cfa,
            bp_address,
            exact: rule.signal_frame,
            slot: cfa.wrapping_sub(8),
        })
    }
}

/// A frame of the walk.
struct Frame {
    pc: u64,
    sp: u64,
    /// Where the value is that the frame pointer register has in this frame; 0: lost.
    bp_address: u64,
    /// `pc` is where the frame is, not where it will be returned to.
    exact: bool,
    /// The callee's CFA - 8; 0 for the frame that the walk starts in.
    slot: u64,
}

type Caller = Frame;

impl Frame {
    /// The address to look up: inside the call instruction, which may be a function's last.
    fn lookup_address(&self) -> u64 {
        self.pc.wrapping_sub(u64::from(!self.exact))
    }
}

/// Function starts of the walk's successive frames, the one it starts in first.
///
/// # Safety
/// As for [`Scratch::walk`].
pub(super) unsafe fn function_starts(
    scratch: &mut Scratch,
    rules: &mut RuleCache,
    out: &mut [u64],
) -> usize {
    if !arch::OWN_UNWINDER {
        return 0;
    }
    let Some(first) = out.first_mut() else {
        return 0;
    };
    scratch.reset();
    rules.begin_walk();
    let pc = scratch.start.pc;
    // SAFETY: the pc is where the calling thread was when it captured its registers.
    let rule = unsafe { rules.rule(pc) };
    *first = match rule.kind {
        Kind::NoInfo => 0,
        _ => pc.wrapping_sub(u64::from(rule.into_function)),
    };
    let mut count = 1;
    // SAFETY: `start` holds registers of a frame of this thread that is active until this returns.
    unsafe {
        scratch.walk_frames(rules, |_, _, start| {
            let place = out.get_mut(count).ok_or(Stop::Limit)?;
            *place = start;
            count += 1;
            Ok(())
        });
    }
    count
}
