//! Random programs that know their own stack.
//!
//! Every frame adds to a description of the path that led to it: which kind of frame, which call
//! site, which size. The stack is a function of the path, so whenever a path comes again its
//! stack must be the one that it had before, whatever lay on the same piece of memory meanwhile.

use super::frames::{
    aligned_frame, argument, call_closure, coroutine_stacks, in_coroutine, in_signal_handler,
    other_use_frame, prepare_signals, realigned_frame, variable_frame,
};
use super::{EntryFrames, MAX_RETURNS, Outcome, Owned, Registers, referee};
use corosensei::stack::DefaultStack;
use std::arch::asm;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;

struct Program {
    stacks: Owned,
    entry: EntryFrames,
    random: u64,
    captures: u64,
    hits: u64,
    checked: u64,
    mismatches: u64,
    /// Hash of the stack seen for each path.
    truth: HashMap<u64, u64>,
    coroutine_stacks: Vec<DefaultStack>,
    /// A handler is running. A second signal, taken in a coroutine that the first handler runs,
    /// would begin at the top of the signal stack again and overwrite it.
    in_handler: bool,
}

impl Program {
    fn new(seed: u64, check_all: bool) -> Program {
        let mut stacks = Owned::new();
        stacks.check_all = check_all;
        Program {
            stacks,
            entry: EntryFrames::new(),
            random: seed | 1,
            captures: 0,
            hits: 0,
            checked: 0,
            mismatches: 0,
            truth: HashMap::new(),
            coroutine_stacks: coroutine_stacks(2),
            in_handler: false,
        }
    }

    /// A random number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % bound
    }

    /// Captures, and compares with what this path's stack was before, and now and then with
    /// what the system says.
    #[inline(never)]
    fn capture(&mut self, path: u64) {
        let here = Registers::here();
        self.captures += 1;
        let ask_system = self.captures.is_multiple_of(256);
        let mut expected = if ask_system {
            referee::returns(&here)
        } else {
            Vec::new()
        };
        // SAFETY: the registers are those of this function.
        let capture = unsafe { self.stacks.capture(&here, &self.entry) };
        match capture.outcome {
            Outcome::Hit => self.hits += 1,
            Outcome::Checked => self.checked += 1,
            Outcome::Mismatch => self.mismatches += 1,
            Outcome::Miss => {}
            other => panic!("{other:?}"),
        }
        let mut hasher = DefaultHasher::new();
        for frame in capture.returns() {
            (frame.slot, frame.pc).hash(&mut hasher);
        }
        let hash = hasher.finish();
        assert_eq!(
            *self.truth.entry(path).or_insert(hash),
            hash,
            "another stack than before"
        );
        let kept = std::mem::replace(capture.site, hash as u32);
        assert!(
            kept == 0 || kept == hash as u32,
            "the payload of another stack"
        );
        if ask_system {
            expected.truncate(MAX_RETURNS);
            referee::assert_same(capture.returns(), &expected);
        }
    }

    /// Adds frames at random, capturing on the way.
    #[inline(never)]
    fn descend(&mut self, depth: u32, path: u64) {
        if depth == 0 {
            for _ in 0..=self.below(3) {
                self.capture(path);
            }
            return;
        }
        // Few choices at each level, so that paths come again.
        let choice = match self.below(400) {
            0 if !self.in_handler => 20,
            1 if depth > 1 => 21,
            n => n % 8,
        };
        let step = |detail: u64| {
            let mut hasher = DefaultHasher::new();
            (path, depth, choice, detail).hash(&mut hasher);
            hasher.finish()
        };
        let next = depth - 1;
        // SAFETY: the assembly has no effect, it keeps equal calls apart; the callbacks get the
        // argument that they expect.
        unsafe {
            match choice {
                0 => {
                    asm!("nop");
                    self.descend(next, step(0));
                    asm!("nop");
                }
                1 => {
                    asm!("nop", "nop");
                    self.descend(next, step(0));
                    asm!("nop", "nop");
                }
                2 => {
                    asm!("nop", "nop", "nop");
                    self.descend(next, step(0));
                    self.descend(next, step(1));
                }
                3 => aligned_frame(&mut || self.descend(next, step(0))),
                4 => {
                    let room = self.below(3) * 16;
                    let mut inner: &mut dyn FnMut() = &mut || self.descend(next, step(room));
                    variable_frame(call_closure, argument(&mut inner), room as usize);
                }
                5 => {
                    let mut inner: &mut dyn FnMut() = &mut || self.descend(next, step(0));
                    realigned_frame(call_closure, argument(&mut inner));
                }
                6 => {
                    let mut inner: &mut dyn FnMut() = &mut || self.descend(next, step(0));
                    other_use_frame(call_closure, argument(&mut inner));
                }
                20 => {
                    self.in_handler = true;
                    in_signal_handler(&mut || self.descend(next, step(0)));
                    self.in_handler = false;
                }
                21 => match self.coroutine_stacks.pop() {
                    Some(stack) => {
                        let on = self.coroutine_stacks.len() as u64;
                        let stack = in_coroutine(stack, &mut || self.descend(next, step(on)));
                        self.coroutine_stacks.push(stack);
                    }
                    None => self.capture(step(99)),
                },
                _ => self.capture(path),
            }
        }
        black_box(());
    }

    #[inline(never)]
    fn run(&mut self, captures: u64) {
        prepare_signals();
        while self.captures < captures {
            let depth = 1 + self.below(9) as u32;
            self.descend(depth, 0);
            if self.below(64) == 0 {
                assert!(self.stacks.memo.is_consistent());
            }
        }
        println!(
            "{} captures, {} stacks, {} hits, {} checked, {} mismatches",
            self.captures,
            self.truth.len(),
            self.hits,
            self.checked,
            self.mismatches
        );
        assert_eq!(self.mismatches, 0);
    }
}

/// Captures to make: `MAPGROW_STRESS` for a long run.
fn size() -> u64 {
    let wanted = std::env::var("MAPGROW_STRESS")
        .ok()
        .and_then(|text| text.parse().ok());
    wanted.unwrap_or(if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    })
}

#[test]
fn random_programs_with_every_hit_checked() {
    Program::new(0x5EED, true).run(size());
}

#[test]
fn random_programs_on_several_threads() {
    let threads: Vec<_> = (1..5)
        .map(|seed| std::thread::spawn(move || Program::new(seed * 77, false).run(size() / 4)))
        .collect();
    for thread in threads {
        thread.join().expect("a thread's assertions");
    }
}
