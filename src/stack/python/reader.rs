//! Following the frames of a thread, part by part.

use super::layout::{Head, Layout};
use super::{Interpreter, MOST, PythonFrame, TAG, TYPE, known, mix, text};
use crate::stack::walk::Stop;
use core::ops::Range;
use mapgrow_format::layout::script;

/// A frame of machine code that runs functions written in Python.
#[derive(Clone, Copy)]
pub(in crate::stack) struct Evaluation {
    /// Slots of the return addresses into it and out of it: its own part of the stack is between.
    pub(in crate::stack) inner: u64,
    pub(in crate::stack) outer: u64,
    /// The return address out of it.
    pub(in crate::stack) returns_to: u64,
    /// From where it keeps what [`learn`](super::learn) has learnt of, to `outer`.
    pub(in crate::stack) distance: u64,
}

/// How a list of frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stack) enum End {
    /// There are no more.
    Complete,
    /// The machine code that was walked runs no more.
    Walked,
    /// Too many.
    Cut,
    /// It belongs to other machine code, or to none.
    Elsewhere,
}

/// Reads the functions that a thread runs, part by part.
pub(in crate::stack) struct Reader<R, K> {
    interpreter: &'static Interpreter,
    layout: &'static Layout,
    /// The part of the stack that was walked.
    stack: Range<u64>,
    read: R,
    /// Whether a frame that the thread's state alone led to is a function's.
    is_frame: K,
    /// File of the last frame, and what it reads as.
    file: (u64, text::Digest),
    importing: Importing,
}

impl<R: FnMut(u64) -> Result<u64, Stop>, K: FnMut(u64) -> bool> Reader<R, K> {
    /// `None` where nothing is known of an interpreter.
    pub(in crate::stack) fn new(stack: Range<u64>, read: R, is_frame: K) -> Option<Self> {
        let (interpreter, layout) = known()?;
        let nothing = text::Digest {
            hash: 0,
            imports: false,
        };
        Some(Self {
            interpreter,
            layout,
            stack,
            read,
            is_frame,
            file: (0, nothing),
            importing: Importing::MayBe,
        })
    }

    /// Whether the state says that functions are run by machine code of this stack.
    pub(in crate::stack) fn runs(&mut self, state: u64) -> Result<bool, Stop> {
        Ok(match self.layout.head {
            Head::OnStack(holder, _) => {
                let place = (self.read)(state.wrapping_add(holder))?;
                self.stack.contains(&place)
            }
            Head::InState(innermost) => {
                let frame = (self.read)(state.wrapping_add(innermost))?;
                // (A thread that runs nothing may have a frame of the interpreter's own.)
                frame != 0 && !self.stack.contains(&frame) && (self.is_frame)(frame)
            }
        })
    }

    /// Calls `each` with the functions that run by the machine code of these frames, innermost first,
    /// and the number of the frame. Returns how many of the frames did run Python code, and how the walk ended.
    pub(in crate::stack) fn follow(
        &mut self,
        state: u64,
        evaluations: impl Iterator<Item = Evaluation>,
        mut each: impl FnMut(usize, PythonFrame) -> Result<(), Stop>,
    ) -> (usize, Result<End, Stop>) {
        let mut sure = 0;
        let end = self.follow_parts(state, evaluations, &mut sure, &mut each);
        (sure, end)
    }

    fn follow_parts(
        &mut self,
        state: u64,
        evaluations: impl Iterator<Item = Evaluation>,
        sure: &mut usize,
        each: &mut impl FnMut(usize, PythonFrame) -> Result<(), Stop>,
    ) -> Result<End, Stop> {
        let on_stack = matches!(self.layout.head, Head::OnStack(..));
        let mut next = match self.layout.head {
            Head::OnStack(holder, _) => self.word(state, holder)?,
            Head::InState(innermost) => self.word(state, innermost)?,
        };
        for (number, evaluation) in evaluations.enumerate() {
            let place = evaluation.outer.wrapping_sub(evaluation.distance);
            if let Head::OnStack(_, innermost) = self.layout.head {
                if number == 0 && next != place {
                    return Ok(End::Elsewhere);
                }
                next = self.word(place, innermost)?;
            } else if next == 0 {
                return Ok(End::Complete);
            }
            let ended = match self.part(next, &evaluation, on_stack, |frame| each(number, frame))? {
                Part::Ended(at) => at,
                Part::Cut => return Ok(End::Cut),
                Part::Elsewhere => return Ok(End::Elsewhere),
            };
            if self.importing == Importing::Left {
                *sure = number + 1;
                return Ok(End::Complete);
            }
            if !on_stack {
                if ended != place {
                    return Ok(End::Elsewhere);
                }
                next = self.word(ended, self.layout.previous)?;
            }
            *sure = number + 1;
        }
        Ok(if !on_stack && next == 0 {
            End::Complete
        } else {
            End::Walked
        })
    }

    /// The functions that one frame of machine code runs, from this one outwards.
    fn part(
        &mut self,
        mut frame: u64,
        evaluation: &Evaluation,
        sure: bool,
        mut each: impl FnMut(PythonFrame) -> Result<(), Stop>,
    ) -> Result<Part, Stop> {
        for _ in 0..2 * MOST {
            if frame == 0 || (evaluation.inner..evaluation.outer).contains(&frame) {
                return Ok(Part::Ended(frame));
            }
            if self.stack.contains(&frame) || !sure && !(self.is_frame)(frame) {
                return Ok(Part::Elsewhere);
            }
            let Some(code) = self.code(frame)? else {
                return Ok(Part::Elsewhere);
            };
            let found = self.function(frame, code)?;
            if self.importing == Importing::Left {
                return Ok(Part::Ended(0));
            }
            each(found)?;
            if let Some((word, bit)) = self.layout.last
                && self.word(frame, word)? >> bit & 1 == 1
            {
                return Ok(Part::Ended(0));
            }
            frame = self.word(frame, self.layout.previous)?;
        }
        Ok(Part::Cut)
    }

    /// The code of a frame; `None` when it is no function's.
    fn code(&mut self, frame: u64) -> Result<Option<u64>, Stop> {
        let code = self.word(frame, self.layout.code)? & !TAG;
        let is_code = code != 0 && self.word(code, TYPE)? == self.interpreter.code_type as u64;
        Ok(is_code.then_some(code))
    }

    pub(super) fn function(&mut self, frame: u64, code: u64) -> Result<PythonFrame, Stop> {
        let instruction = self.word(frame, self.layout.instruction)?;
        let place = instruction.wrapping_sub(code.wrapping_add(self.layout.instructions));
        let first_line = self.word(code, self.layout.first_line & !7)?;
        let file = self.word(code, self.layout.file)?;
        if self.file.0 != file {
            self.file = (file, text::digest(self.layout, file, &mut self.read)?);
        }
        let name = self.word(code, self.layout.name)?;
        let name = text::digest(self.layout, name, &mut self.read)?;
        let file = self.file.1;
        self.importing = self.importing.next(file.imports);
        let words = [place, first_line, file.hash, name.hash];
        Ok(PythonFrame {
            key: words.into_iter().fold(0x51, mix) | script::MARK,
            code,
            place,
        })
    }

    fn word(&mut self, object: u64, offset: u64) -> Result<u64, Stop> {
        (self.read)(object.wrapping_add(offset))
    }
}

/// How the functions that one frame of machine code runs ended.
enum Part {
    /// It ends at this frame, which is not a function's; 0: it is not known where.
    Ended(u64),
    Cut,
    Elsewhere,
}

/// Whether it is the interpreter's import that allocates. Then its callers are left out of the
/// stack: each import has a stack of its own, and a large program makes more imports than there is
/// room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Importing {
    /// Not known yet.
    MayBe,
    /// It is.
    Is,
    /// It was, up to here.
    Left,
    /// It is not.
    No,
}

impl Importing {
    fn next(self, imports: bool) -> Importing {
        match (self, imports) {
            (Self::MayBe | Self::Is, true) => Self::Is,
            (Self::MayBe, false) => Self::No,
            (Self::Is, false) => Self::Left,
            (state, _) => state,
        }
    }
}
