//! Call stacks, captured from inside an allocator: no allocation, no lock, no panic, safe in a
//! signal handler, and exact.
//!
//! A stack that was seen before is not unwound again, it is *verified*: [`ThreadStacks::capture`]
//! compares the words of the stack that the unwind of the last time depended on. That takes about
//! a nanosecond for each frame. A stack that was not seen is walked by the rules of `.eh_frame`,
//! which are cached by pc. What the rules cannot do is left to the system's unwinder
//! ([`fallback`]).
//!
//! # Why a verified stack is the present one
//!
//! Take the walk as a function. Its state is (pc, sp, a, exact), where a is the *address* at
//! which the frame pointer's value lies: at first the place where the captured register was
//! stored. In each step it looks up the rule for the pc, and computes from sp, and from words
//! that it reads, the caller's CFA, pc, and a. It reads the word at `a` only when a rule computes
//! something from the frame pointer.
//!
//! So everything the walk does (which address it reads next, when it stops, what it returns)
//! is a function of the start (pc, sp), of the values it has read so far, and of the unwind
//! tables. Let an entry of the memo hold the start, and in their order the (address, value) pairs
//! that a walk has read. *If the start is the same, and the words at those addresses have these
//! values now, a walk now would return the same stack*: by induction over the words. If the first
//! k values agree, then the present walk is in the same state as the old one when it reads its
//! next word, so it reads from the same address; hence that address is valid to read (the walk
//! itself would read it), and comparing it takes the induction one word further. When all agree
//! the present walk, being in the same state, stops as the old one did.
//!
//! Nothing is assumed of the frames in between: not that their size is constant (`alloca`,
//! realigned frames), nor that they lie on one stack (coroutines, signal stacks). A stale return
//! address that survives in padding is never looked at, because its address does not follow from
//! the words before it. And a saved frame pointer that no CFA depends on is no word of the walk,
//! for the walk does not read it: a program that uses the register for something else does not
//! invalidate its stacks.
//!
//! What *is* assumed: that nobody writes to these words between the capture of the registers and
//! the end of the comparison (they belong to frames of the same thread that are active, below
//! which it is running), and that the unwind tables are the same. The second can be broken by
//! `dlclose` and a `dlopen` that puts other code in the same place, with the same words on the
//! stack. [`ThreadStacks::forget`] is for whoever notices; besides, one hit in
//! [`CHECK_INTERVAL`] is walked all the same, with rules that are validated against the loader,
//! and a difference is reported as [`Outcome::Mismatch`].
//!
//! # What a return is
//!
//! [`Return::pc`] is the address to which the callee will return, save in a frame that a signal
//! interrupted, where it is the interrupted instruction. [`Return::slot`] is the callee's CFA - 8:
//! on x86_64 the address of the stack word that holds the pc, except for trampolines that keep it
//! elsewhere. Two captures of one thread with equal slot and pc of a frame, and of all outside
//! it, are inside the same activation of the callee's caller, or a later one that looks the same.

mod arch;
#[doc(hidden)]
pub mod bench_support;
mod cache;
mod entry;
mod fallback;
mod loader;
mod memo;
#[cfg(feature = "preload")]
pub(crate) mod python;
mod rules;
#[cfg(feature = "preload")]
mod scripted;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use entry::EntryFrames;
pub(crate) use loader::{Object, available, build_id, find_object, mapping};

use cache::RuleCache;
use memo::{Memo, Probe};
use walk::{Scratch, Stop};

/// Frames kept of a stack, the innermost ones.
pub(crate) const MAX_RETURNS: usize = 128;
/// One verified stack in so many is walked all the same.
pub(crate) const CHECK_INTERVAL: u32 = 1024;

/// The registers that a walk starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    pub(crate) bp: u64,
}

impl Registers {
    /// Those of the function in which this is inlined.
    #[inline(always)]
    pub(crate) fn here() -> Registers {
        arch::registers()
    }
}

/// A frame of a stack: where its callee will return to. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Return {
    /// The callee's CFA - 8.
    pub(crate) slot: u64,
    /// The address returned to.
    pub(crate) pc: u64,
}

/// What a walk depends on beside the words that it reads: what is trimmed, and what is known of an
/// interpreter. Another value with every change.
#[inline]
fn known_by(entry: &EntryFrames) -> u64 {
    #[cfg(feature = "preload")]
    return entry.fingerprint ^ u64::from(python::epoch()) << 1;
    #[cfg(not(feature = "preload"))]
    entry.fingerprint
}

/// How a stack was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Verified: it is a stack seen before.
    Hit,
    /// Walked: it was not known.
    Miss,
    /// Verified, walked all the same, and both agree.
    Checked,
    /// Verified, walked all the same, and both disagree. The walk's stack is returned, and all
    /// that was known is forgotten.
    Mismatch,
    /// The system's unwinder had to help. Not kept.
    Fallback,
    /// This C library offers no safe way to find unwind tables: there are no stacks.
    Unavailable,
}

/// The frames of a stack beyond the allocator's own, innermost first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack<'a> {
    pub(crate) returns: &'a [Return],
    /// Its number among those that the thread knows, which no other stack ever has; 0 if it is not
    /// known.
    pub(crate) number: u64,
}

/// A captured stack.
pub(crate) struct Capture<'a> {
    returns: &'a [Return],
    number: u64,
    /// The stack goes on beyond the last frame: it is too deep, or the tables end.
    pub(crate) truncated: bool,
    /// Start of the function that the first of the frames lies in; 0 when unknown.
    pub(crate) caller_function_start: u64,
    /// How the stack was obtained.
    pub(crate) outcome: Outcome,
    /// What the walk found of a script; nothing where there was no walk.
    #[cfg(feature = "preload")]
    script: Option<&'a scripted::Script>,
    /// The caller's to use: kept with the stack as long as it is known, 0 for a new one. (Not
    /// every new stack is kept, so it may be new again.)
    pub(crate) site: &'a mut u32,
}

impl<'a> Capture<'a> {
    /// The frames beyond the allocator's own, innermost first.
    #[inline]
    pub(crate) fn returns(&self) -> &'a [Return] {
        self.returns
    }

    /// The functions in Python that the stack leads through, innermost first, when it is new or has
    /// no `site` yet.
    #[cfg(feature = "preload")]
    pub(crate) fn script_functions(&self) -> impl Iterator<Item = &python::PythonFrame> {
        self.script
            .into_iter()
            .flat_map(scripted::Script::functions)
    }

    /// The same with the stack's number.
    #[inline]
    pub(crate) fn stack(&self) -> Stack<'a> {
        Stack {
            returns: self.returns,
            number: self.number,
        }
    }
}

impl Scratch {
    /// Whether the stack goes on beyond its last frame.
    fn truncated(&self) -> bool {
        self.stop != Stop::Outermost
    }
}

/// A thread's stacks and rules. All-zero is the empty one: it is made to lie in memory fresh
/// from the kernel, of which only the pages in use are ever touched.
pub(crate) struct ThreadStacks {
    scratch: Scratch,
    /// [`known_by`] of the functions that the memo's stacks were trimmed by.
    trimmed_by: u64,
    /// Hits until one is checked.
    until_check: u32,
    /// Check every hit.
    check_all: bool,
    /// Payloads of stacks that are not kept.
    site: u32,
    memo: Memo,
    rules: RuleCache,
    /// What the system's unwinder runs on: the program's own stack may have no room for it.
    unwinder: fallback::UnwinderStack,
}

/// Bytes of a [`ThreadStacks`].
pub(crate) const SIZE: usize = size_of::<ThreadStacks>();
/// Its alignment.
pub(crate) const ALIGN: usize = align_of::<ThreadStacks>();

impl ThreadStacks {
    /// Takes zeroed memory for a thread's stacks.
    ///
    /// # Safety
    /// `memory` must be valid for [`SIZE`] bytes, aligned to [`ALIGN`], and either all-zero or
    /// used for this before; it must stay where it is, and nobody else may use it for `'a`.
    pub(crate) unsafe fn from_zeroed<'a>(memory: *mut u8) -> &'a mut ThreadStacks {
        // SAFETY: the memory is large and aligned enough, stays, and is used by nobody else (this
        // contract). Every field is valid when zero (integers, arrays of such, and enums whose
        // first variant is 0).
        unsafe { &mut *memory.cast::<ThreadStacks>() }
    }

    /// Forgets every stack and every rule.
    #[cold]
    pub(crate) fn forget(&mut self) {
        self.memo.clear();
        self.rules.clear();
        #[cfg(feature = "preload")]
        self.scratch.script.forget();
    }

    /// Captures the stack outside the frame in which `start` was captured, without leading
    /// frames that lie in functions of `entry`.
    ///
    /// # Safety
    /// `start` must come from [`Registers::here`] in a function of the calling thread that has
    /// not returned. `self` must belong to this thread, and not be in use further out on its
    /// stack (a signal handler that interrupted a capture).
    #[inline]
    pub(crate) unsafe fn capture(&mut self, start: &Registers, entry: &EntryFrames) -> Capture<'_> {
        // SAFETY: `start` was read in a frame of this thread that has not returned, and `self` is
        // this thread's and idle (this contract).
        unsafe { self.capture_for(false, start, entry) }
    }

    /// The same for a block that gets a site: where it has none yet, the capture knows the functions of
    /// a script that the stack leads through.
    ///
    /// # Safety
    /// As for [`ThreadStacks::capture`].
    #[inline]
    pub(crate) unsafe fn capture_for_site(
        &mut self,
        start: &Registers,
        entry: &EntryFrames,
    ) -> Capture<'_> {
        // SAFETY: `start` was read in a frame of this thread that has not returned, and `self` is
        // this thread's and idle (this contract).
        unsafe { self.capture_for(true, start, entry) }
    }

    /// # Safety
    /// As for [`ThreadStacks::capture`].
    #[inline(always)]
    unsafe fn capture_for(
        &mut self,
        site: bool,
        start: &Registers,
        entry: &EntryFrames,
    ) -> Capture<'_> {
        self.scratch.start = *start;
        #[cfg(feature = "preload")]
        {
            self.scratch.script.thread_state = python::thread_state();
        }
        if known_by(entry) == self.trimmed_by {
            // SAFETY: `scratch.start` holds registers of an active frame, at the address that the
            // entries know; `scratch` never moves.
            let probe = unsafe { self.memo.probe(&self.scratch.start) };
            match probe {
                Probe::Hit(number)
                    if self.until_check != 0 && !(site && self.memo.is_untold(number)) =>
                {
                    self.until_check -= 1;
                    return self.known(number, Outcome::Hit);
                }
                // SAFETY: `scratch.start` holds registers of a frame of this thread that has not
                // returned.
                other => return unsafe { self.capture_slowly(entry, other) },
            }
        }
        // SAFETY: `start` was read in a frame of this thread that has not returned, and `self` is
        // this thread's and idle (this contract).
        unsafe { self.capture_trimmed_anew(entry) }
    }

    /// The site of the present stack, if it is known and need not be walked this time.
    ///
    /// # Safety
    /// As for [`ThreadStacks::capture`].
    #[inline(always)]
    pub(crate) unsafe fn known_site(
        &mut self,
        start: &Registers,
        entry: &EntryFrames,
    ) -> Option<u32> {
        self.scratch.start = *start;
        if known_by(entry) != self.trimmed_by || self.until_check == 0 {
            return None;
        }
        // SAFETY: the registers are those of an active frame, where the entries know them.
        let Probe::Hit(number) = (unsafe { self.memo.probe(&self.scratch.start) }) else {
            return None;
        };
        let site = self.memo.site(number)?;
        self.until_check -= 1;
        Some(site)
    }

    /// Captures when other functions than before are to be trimmed.
    ///
    /// # Safety
    /// As for [`ThreadStacks::capture`], which has stored the registers.
    #[cold]
    #[inline(never)]
    unsafe fn capture_trimmed_anew(&mut self, entry: &EntryFrames) -> Capture<'_> {
        self.memo.clear();
        self.trimmed_by = known_by(entry);
        // SAFETY: `scratch.start` holds registers of a frame of this thread that has not returned.
        unsafe { self.capture_slowly(entry, Probe::NOTHING) }
    }

    /// A stack of the memo.
    #[inline(always)]
    fn known(&mut self, number: usize, outcome: Outcome) -> Capture<'_> {
        match self.memo.entry(number) {
            Some((returns, entry)) => Capture {
                returns,
                number: entry.serial,
                truncated: entry.truncated,
                caller_function_start: entry.caller_function_start,
                outcome,
                #[cfg(feature = "preload")]
                script: Some(&self.scratch.script).filter(|_| outcome != Outcome::Hit),
                site: &mut entry.site,
            },
            None => Capture {
                returns: &[],
                number: 0,
                truncated: true,
                caller_function_start: 0,
                outcome: Outcome::Unavailable,
                #[cfg(feature = "preload")]
                script: None,
                site: &mut self.site,
            },
        }
    }

    /// The stack in `scratch`, which is not kept.
    fn unkept(&mut self, outcome: Outcome) -> Capture<'_> {
        self.site = 0;
        Capture {
            returns: self.scratch.returns(),
            number: 0,
            truncated: self.scratch.truncated(),
            caller_function_start: self.scratch.caller_function_start,
            outcome,
            #[cfg(feature = "preload")]
            script: Some(&self.scratch.script),
            site: &mut self.site,
        }
    }

    /// # Safety
    /// As for [`ThreadStacks::capture`], from which `self.scratch.start` and `probe` come.
    #[cold]
    #[inline(never)]
    unsafe fn capture_slowly(&mut self, entry: &EntryFrames, probe: Probe) -> Capture<'_> {
        if !available() {
            self.scratch.reset();
            self.scratch.stop = Stop::NoInfo;
            return self.unkept(Outcome::Unavailable);
        }
        let scratch = &mut self.scratch;
        let rules = &mut self.rules;
        if !arch::OWN_UNWINDER {
            // SAFETY: `scratch.start` holds registers of a frame of this thread that has not
            // returned.
            unsafe { fallback::walk(scratch, rules, entry) };
            return self.unkept(Outcome::Fallback);
        }
        // SAFETY: `scratch.start` holds registers of a frame of this thread that has not returned.
        unsafe { scratch.walk(rules, entry) };
        if let Probe::Hit(number) = probe {
            self.until_check = if self.check_all {
                0
            } else {
                CHECK_INTERVAL - 1
            };
            if self.memo.agrees(number, &self.scratch) {
                return self.known(number, Outcome::Checked);
            }
            self.forget();
            // SAFETY: the walk just made started from these registers, whose frame is still active.
            return match unsafe { self.memo.insert(&self.scratch, Probe::NOTHING) } {
                Some(number) => self.known(number, Outcome::Mismatch),
                None => self.unkept(Outcome::Mismatch),
            };
        }
        let stuck = matches!(scratch.stop, Stop::NoInfo | Stop::Unsupported);
        // SAFETY: `scratch.start` holds registers of a frame of this thread that has not returned.
        if stuck && unsafe { fallback::extend(scratch, rules, entry, &mut self.unwinder) } {
            return self.unkept(Outcome::Fallback);
        }
        if self.scratch.is_doubtful() {
            return self.unkept(Outcome::Miss);
        }
        // SAFETY: the walk just made started from these registers, whose frame is still active.
        match unsafe { self.memo.insert(&self.scratch, probe) } {
            Some(number) => self.known(number, Outcome::Miss),
            None => self.unkept(Outcome::Miss),
        }
    }

    /// Starts of the functions of successive frames, from the one in which `start` was captured
    /// outwards; 0 for one that is not known. Returns how many it wrote.
    ///
    /// With a function in the chain whose start is known, this tells which functions lie between
    /// the capture and an allocator's caller: those to put into [`EntryFrames`].
    ///
    /// # Safety
    /// As for [`ThreadStacks::capture`].
    #[cold]
    pub(crate) unsafe fn function_starts(&mut self, start: &Registers, out: &mut [u64]) -> usize {
        if !available() {
            return 0;
        }
        self.scratch.start = *start;
        // SAFETY: `scratch.start` holds registers of a frame of this thread that has not returned.
        unsafe { walk::function_starts(&mut self.scratch, &mut self.rules, out) }
    }
}
