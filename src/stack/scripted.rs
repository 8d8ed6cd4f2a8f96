//! The part of a stack that an interpreter runs.

use super::Return;
use super::cache::RuleCache;
use super::python::{self, End, Evaluation, PythonFrame, Reader};
use super::walk::{Scratch, Stop};
use core::cell::RefCell;
use core::ops::Range;

/// Frames of machine code that run functions in Python and are kept, the innermost ones.
const EVALUATIONS: usize = 64;

/// Frames of functions that a thread remembers: most calls use memory that calls before them did.
const FRAMES: usize = 256;

/// What a thread runs in an interpreter, in per-thread memory. All-zero is nothing.
pub(super) struct Script {
    /// The thread's state in the interpreter, 0 when it runs nothing. A word of the walk, as the
    /// frame pointer.
    pub(super) thread_state: u64,
    evaluations: [Evaluation; EVALUATIONS],
    evaluation_count: usize,
    /// Where the first of them is in the stack: returns up to the one into it.
    first_return: usize,
    /// Function that the walk met last, and the slot of the return address into its frame.
    last: (u64, u64),
    functions: [Function; python::MOST],
    function_count: usize,
    /// The state runs something, and it was not found.
    doubt: bool,
    /// Frames of functions that were looked at, each in the place that its address says.
    frames: [u64; FRAMES],
}

#[derive(Clone, Copy)]
struct Function {
    frame: PythonFrame,
    /// Number of the frame of machine code that runs it.
    evaluation: usize,
}

impl Script {
    /// Forgets which frames were looked at.
    pub(super) fn forget(&mut self) {
        self.frames = [0; FRAMES];
    }

    /// Forgets what the last walk found.
    pub(super) fn reset(&mut self) {
        self.evaluation_count = 0;
        self.function_count = 0;
        self.first_return = 0;
        self.last = (0, 0);
        self.doubt = false;
    }

    /// Whether machine code was met that may run functions in Python.
    pub(super) fn is_evaluated(&self) -> bool {
        self.evaluation_count > 0
    }

    /// Whether the last walk found functions in Python.
    pub(super) fn is_scripted(&self) -> bool {
        self.function_count > 0
    }

    /// Whether the frame at an address is a function's: looked at when it is met first.
    fn is_frame(&mut self, address: u64) -> bool {
        let Some(known) = self.frames.get_mut((address >> 3) as usize % FRAMES) else {
            return false;
        };
        if *known != address && python::is_frame(address) {
            *known = address;
        }
        *known == address
    }

    /// Whether something runs that was not found, and may be found yet.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubt && python::may_learn()
    }

    fn evaluation(&self, at: usize) -> Option<Evaluation> {
        let met = self.evaluations.get(..self.evaluation_count)?;
        met.get(at).copied()
    }

    /// The functions in Python that the last walk found, innermost first.
    pub(super) fn functions(&self) -> impl Iterator<Item = &PythonFrame> {
        let functions = self.functions.iter().take(self.function_count);
        functions.map(|function| &function.frame)
    }

    /// Takes a frame of the walk, and the start of its function. `returns` is how many there were up
    /// to the frame before.
    pub(super) fn meet(&mut self, start: u64, frame: Return, returns: usize) {
        let (inner_start, inner) = core::mem::replace(&mut self.last, (start, frame.slot));
        if inner == 0 {
            return;
        }
        let Some(distance) = python::distance(inner_start) else {
            return;
        };
        if self.evaluation_count == 0 {
            self.first_return = returns;
        }
        if let Some(place) = self.evaluations.get_mut(self.evaluation_count) {
            *place = Evaluation {
                inner,
                outer: frame.slot,
                returns_to: frame.pc,
                distance,
            };
            self.evaluation_count += 1;
        }
    }
}

impl Scratch {
    /// The part of the stack that was walked.
    fn walked(&self) -> Range<u64> {
        self.start.sp..self.script.last.1
    }

    /// Reads what the thread runs in an interpreter: the last words of a walk. Puts it in the place
    /// of everything beyond the machine code that runs the innermost function.
    ///
    /// # Safety
    /// `script.thread_state` is what [`python::thread_state`] says.
    pub(super) unsafe fn read_script(&mut self) {
        if !python::present() {
            return;
        }
        self.allow_all_words();
        let state = &raw const self.script.thread_state;
        // SAFETY: a word of this structure.
        let state = unsafe { self.read(state.expose_provenance() as u64) };
        let Some(state) = state.ok().filter(|&state| state != 0) else {
            return;
        };
        let words = self.words().len();
        let this = RefCell::new(&mut *self);
        let walked = this.borrow().walked();
        // SAFETY: words of the calling thread's state, and of what it led to from machine code that
        // is active: see the module on why they may be read.
        let read = |address| unsafe { this.borrow_mut().read(address) };
        let is_frame = |address| this.borrow_mut().script.is_frame(address);
        let Some(mut reader) = Reader::new(walked, read, is_frame) else {
            return;
        };
        let runs = reader.runs(state);
        let (sure, end) = match runs {
            Ok(true) => {
                let evaluation = |at| this.borrow().script.evaluation(at);
                let evaluations = (0..EVALUATIONS).map_while(evaluation);
                reader.follow(state, evaluations, |evaluation, frame| {
                    let script = &mut this.borrow_mut().script;
                    let place = script.functions.get_mut(script.function_count);
                    *place.ok_or(Stop::Limit)? = Function { frame, evaluation };
                    script.function_count += 1;
                    Ok(())
                })
            }
            Ok(false) => return,
            Err(stop) => (0, Err(stop)),
        };
        // What machine code seemed to run and did not is no function of this stack.
        if end == Ok(End::Elsewhere) || end == Err(Stop::Unsupported) {
            let known = |function: &&Function| function.evaluation < sure;
            let functions = self
                .script
                .functions
                .iter()
                .take(self.script.function_count);
            self.script.function_count = functions.take_while(known).count();
        }
        if self.script.function_count == 0 {
            self.script.doubt = true;
            // What was read may be gone when it is compared.
            self.keep_words(words);
        }
        if self.script.function_count > 0 {
            let walked_all = end == Ok(End::Walked) && self.stop == Stop::Outermost;
            self.put_script(end == Ok(End::Complete) || walked_all);
        }
    }

    /// Puts the functions in Python in the place of all returns beyond the innermost machine code
    /// that runs them, and behind them the return out of the last that does.
    fn put_script(&mut self, complete: bool) {
        self.cut_returns(self.script.first_return);
        let count = self.script.function_count;
        let mut stop = Stop::Outermost;
        let mut outside = 0;
        // Frames are told apart by how many functions the same machine code runs outside of them.
        // Their places in the stack are those of no machine code, within the frame that runs them.
        for index in 0..count {
            let Some(&Function { frame, evaluation }) = self.script.functions.get(index) else {
                break;
            };
            let same = |function: &&Function| function.evaluation == evaluation;
            if index == 0 || outside == 0 {
                let functions = self.script.functions.get(index..count).unwrap_or(&[]);
                outside = functions.iter().take_while(same).count();
            }
            outside -= 1;
            let Some(&within) = self.script.evaluations.get(evaluation) else {
                break;
            };
            let slot = within.outer.saturating_sub(1 + outside as u64);
            let frame = Return {
                slot: slot.max(within.inner + 1),
                pc: frame.key,
            };
            if self.push(frame).is_err() {
                stop = Stop::Limit;
            }
        }
        let last = self.script.functions.get(count.wrapping_sub(1));
        let last = last.and_then(|last| self.script.evaluations.get(last.evaluation));
        if let Some(last) = last {
            let outer = Return {
                slot: last.outer,
                pc: last.returns_to,
            };
            if self.push(outer).is_err() {
                stop = Stop::Limit;
            }
        }
        self.stop = if complete { stop } else { Stop::Limit };
    }

    /// Looks where an interpreter keeps what it runs, if the last walk did not find it.
    ///
    /// # Safety
    /// As for [`Scratch::walk`], after one.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn learn_script(&mut self, rules: &mut RuleCache) -> bool {
        if !self.script.doubt || !python::may_learn() {
            return false;
        }
        let (state, walked) = (self.script.thread_state, self.walked());
        python::learn(state, walked, |place| {
            let mut last = (0, 0);
            let mut found = None;
            self.reset();
            // SAFETY: `start` holds registers of a frame of this thread that is active until this
            // returns.
            unsafe {
                self.walk_frames(rules, |_, frame, start| {
                    let (inner_start, inner) = core::mem::replace(&mut last, (start, frame.slot));
                    if (inner..frame.slot).contains(&place) && inner != 0 {
                        found = Some((inner_start, frame.slot));
                        return Err(Stop::Limit);
                    }
                    Ok(())
                });
            }
            found
        });
        true
    }
}
