//! The frames of CPython.
//!
//! One function of the interpreter runs all code that is written in Python, so a stack of machine
//! code says nothing of it. What does is a list of frames that the interpreter keeps for each
//! thread. (`Include/internal/pycore_frame.h` and `cpython/code.h` of each version have the layouts
//! below; `python.rs` of the preload tests compares what is read with what the interpreter's own
//! `traceback` says.)
//!
//! **Why they may be read.** The interpreter tells which state the calling thread has *now*, which
//! is none unless the thread holds the lock of the interpreter that it belongs to. But the list may
//! be out of date for a moment all the same: greenlets exchange the stack of machine code under it,
//! and `longjmp` leaves it behind. So each part of it is taken from the frame of machine code that
//! runs it, which the walk has found to be active: there, at a known distance from the frame's end,
//! the interpreter keeps the head of the list (`_PyCFrame`, to 3.12) or the frame that ends this part
//! of it (3.12 on). Nothing else on the stack is read. The frames of a part are those of calls that
//! this machine code is in, so nobody frees them, nor the code that they run. (From 3.13 on a part
//! begins where the thread's state, or the frame that ends the part before, says; it counts if it leads
//! to the frame that ends it, and each of its frames is looked at through the kernel when it is met for
//! the first time.) The distance is learnt once for each function that runs code, from frames that were read
//! through the kernel, which refuses what is not there.
//!
//! **Why the memo holds.** Which words are read follows from the words of the walk, from the thread's
//! state, which is taken as a word, from words read before, and from what was learnt: a memo made
//! before that is forgotten ([`epoch`]). So the proof in the [module above](super) covers them.

mod learning;
mod lines;
mod text;

use super::walk::{Stop, read};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use mapgrow_format::layout::header;
use mapgrow_format::layout::script;

pub(super) use learning::{distance, is_frame, learn, may_learn};

/// Functions in Python that are kept of a stack, the innermost ones.
pub(super) const MOST: usize = 96;
/// Where an object has its type.
const TYPE: u64 = 8;
/// Bits of a reference in a frame that are no part of an address (from 3.14 on).
const TAG: u64 = 3;

/// The interpreter in this process, by what it exports.
#[derive(Clone, Copy, Debug)]
pub struct Interpreter {
    /// `Py_Version`.
    pub version: u32,
    /// `PyThreadState_GetUnchecked`, or `_PyThreadState_UncheckedGet` before 3.13: the state that
    /// runs.
    pub running: unsafe extern "C" fn() -> *const c_void,
    /// `PyGILState_GetThisThreadState`: the calling thread's state, be it that which runs or not.
    pub own: unsafe extern "C" fn() -> *const c_void,
    /// `PyCode_Type`.
    pub code_type: usize,
    /// `PyUnicode_Type`.
    pub text_type: usize,
    /// `PyBytes_Type`.
    pub bytes_type: usize,
}

/// Where the list of frames begins.
#[derive(Clone, Copy, Debug)]
enum Head {
    /// In a frame of machine code, for each part of the list. The thread's state has a pointer to the
    /// innermost one's at the first offset; the pointer to its innermost frame is at the second.
    OnStack(u64, u64),
    /// In the thread's state, at this offset; and in the frame that ends a part, as `previous`.
    InState(u64),
}

/// Where a version keeps what is read: offsets in bytes.
#[derive(Clone, Copy, Debug)]
struct Layout {
    head: Head,
    /// Of a frame: its code, where in the code it is, and the frame that called it.
    code: u64,
    instruction: u64,
    previous: u64,
    /// Word and bit that say that a frame is the last one of its part, where no other frame is
    /// there to end it.
    last: Option<(u64, u32)>,
    /// Of code: first line, file, qualified name, table of lines, and the instructions.
    first_line: u64,
    file: u64,
    name: u64,
    lines: u64,
    instructions: u64,
    /// Of a text: its characters, if all of them are ASCII, and if not.
    ascii: u64,
    other: u64,
    /// The calling thread's state is known apart from that which runs.
    own_known: bool,
}

impl Layout {
    fn of(version: u32) -> Option<Layout> {
        const V3_11: Layout = Layout {
            head: Head::OnStack(56, 8),
            code: 32,
            instruction: 56,
            previous: 48,
            // `is_entry`, a byte behind an `int`.
            last: Some((64, 32)),
            first_line: 72,
            file: 112,
            name: 128,
            lines: 136,
            instructions: 184,
            ascii: 48,
            other: 72,
            own_known: true,
        };
        const V3_12: Layout = Layout {
            head: Head::OnStack(56, 0),
            code: 0,
            previous: 8,
            last: None,
            first_line: 68,
            instructions: 192,
            ascii: 40,
            other: 56,
            own_known: false,
            ..V3_11
        };
        const V3_13: Layout = Layout {
            head: Head::InState(72),
            instructions: 200,
            ..V3_12
        };
        const V3_14: Layout = Layout {
            instructions: 208,
            ..V3_13
        };
        match version >> 16 {
            0x030b => Some(V3_11),
            0x030c => Some(V3_12),
            0x030d => Some(V3_13),
            0x030e | 0x030f => Some(V3_14),
            _ => None,
        }
    }
}

/// No interpreter was found.
const ABSENT: u32 = 0;
/// One is being written down.
const MEETING: u32 = 1;
/// One was found; where its frames are is to be learnt.
const MET: u32 = 2;
/// It was learnt for a function at least.
const TRUSTED: u32 = 3;
/// They are not where they should be, or nobody could look.
const REFUSED: u32 = 4;
/// Its version is not known.
const UNKNOWN: u32 = 5;

struct Place(UnsafeCell<MaybeUninit<(Interpreter, Option<Layout>)>>);

// SAFETY: it is written once, by whoever made `STATUS` `MEETING`, and read only when `STATUS` says
// that it was.
unsafe impl Sync for Place {}

static PLACE: Place = Place(UnsafeCell::new(MaybeUninit::uninit()));
static STATUS: AtomicU32 = AtomicU32::new(ABSENT);

/// Makes an interpreter known; the first one counts.
///
/// # Safety
/// What `found` says of the interpreter must be true, as long as the process lives.
pub unsafe fn meet(found: &Interpreter) {
    if STATUS
        .compare_exchange(ABSENT, MEETING, Ordering::Relaxed, Ordering::Relaxed)
        .is_err()
    {
        return;
    }
    let layout = Layout::of(found.version);
    // SAFETY: `MEETING` is ours, and nobody reads before the next line.
    unsafe { (*PLACE.0.get()).write((*found, layout)) };
    let status = if layout.is_some() { MET } else { UNKNOWN };
    STATUS.store(status, Ordering::Release);
}

fn met() -> Option<&'static (Interpreter, Option<Layout>)> {
    // SAFETY: from `MET` on it is written, and never again.
    (STATUS.load(Ordering::Acquire) >= MET).then(|| unsafe { (*PLACE.0.get()).assume_init_ref() })
}

fn known() -> Option<(&'static Interpreter, &'static Layout)> {
    let (interpreter, layout) = met()?;
    Some((interpreter, layout.as_ref()?))
}

/// What the header says of the interpreter: `header::INTERPRETER`.
pub(crate) fn told() -> u64 {
    let Some((interpreter, _)) = met() else {
        return 0;
    };
    let status = match STATUS.load(Ordering::Relaxed) {
        TRUSTED => header::INTERPRETER_READ,
        UNKNOWN => header::INTERPRETER_UNKNOWN,
        REFUSED => header::INTERPRETER_REFUSED,
        _ => return 0,
    };
    status | u64::from(interpreter.version) << 32
}

/// Whether the state of a thread is a word of its walks. Changes with the [`epoch`] only.
#[inline]
pub(super) fn present() -> bool {
    matches!(STATUS.load(Ordering::Relaxed), MET | TRUSTED)
}

/// What the walks of a moment have in common: it is another one when more is known.
#[inline]
pub(super) fn epoch() -> u32 {
    STATUS.load(Ordering::Relaxed) + (learning::functions() << 8)
}

/// The state of the calling thread, if it runs code in Python now whose frames can be read; else 0.
#[inline]
pub(super) fn thread_state() -> u64 {
    if present() { running_state() } else { 0 }
}

#[cold]
#[inline(never)]
fn running_state() -> u64 {
    let Some((interpreter, layout)) = known() else {
        return 0;
    };
    // SAFETY: whoever made it known vouches for the functions, which take nothing and read a
    // variable each.
    let state = unsafe { (interpreter.running)() };
    // SAFETY: as above.
    if state.is_null() || layout.own_known && unsafe { (interpreter.own)() } != state {
        return 0;
    }
    state.addr() as u64
}

fn mix(sum: u64, word: u64) -> u64 {
    let sum = (sum ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    sum ^ sum >> 32
}

/// A frame that runs a function written in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PythonFrame {
    /// What stacks have for it. It follows from what the code says of itself, not from where it
    /// lies: other code may be made in the same place.
    pub(crate) key: u64,
    code: u64,
    /// Bytes from the first instruction to the present one.
    place: u64,
}

/// A frame of machine code that runs functions written in Python.
#[derive(Clone, Copy)]
pub(super) struct Evaluation {
    /// Slots of the return addresses into it and out of it: its own part of the stack is between.
    pub(super) inner: u64,
    pub(super) outer: u64,
    /// The return address out of it.
    pub(super) returns_to: u64,
    /// From where it keeps what [`learn`] has learnt of, to `outer`.
    pub(super) distance: u64,
}

/// How a list of frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
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
pub(super) struct Reader<R, K> {
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
    pub(super) fn new(stack: Range<u64>, read: R, is_frame: K) -> Option<Self> {
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
    pub(super) fn runs(&mut self, state: u64) -> Result<bool, Stop> {
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
    /// and the number of the frame. How many of the frames ran what they seemed to, and how it ended.
    pub(super) fn follow(
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

    fn function(&mut self, frame: u64, code: u64) -> Result<PythonFrame, Stop> {
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
    /// At this frame, which is none of a function's; 0: where it is not known.
    Ended(u64),
    Cut,
    Elsewhere,
}

/// Whether it is the interpreter's import that allocates. Then nobody is kept of who asked for it:
/// each import of a program has another stack, and that of a large one more than there is room for.
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

impl PythonFrame {
    /// Line of the frame, counted from 1; 0 when it has none.
    ///
    /// # Safety
    /// The calling thread is still in the frame, as in what follows.
    pub(crate) unsafe fn line(&self) -> u32 {
        let Some((interpreter, layout)) = known() else {
            return 0;
        };
        // SAFETY: the code of a frame that is active, which keeps its table alive.
        unsafe {
            let table = text::bytes(interpreter, read(self.code.wrapping_add(layout.lines)));
            let first = read(self.code.wrapping_add(layout.first_line & !7));
            let first = (first >> (layout.first_line % 8 * 8)) as u32;
            lines::line(table, first, self.place as i64).unwrap_or(0)
        }
    }

    /// Gives the source file as UTF-8, the end of it where it is very long.
    ///
    /// # Safety
    /// As for [`line`](Self::line).
    pub(crate) unsafe fn file(&self, take: impl FnMut(u8)) {
        if let Some((_, layout)) = known() {
            // SAFETY: passed on to the caller.
            unsafe { self.text(layout.file, script::FILE_WORDS * 8, take) };
        }
    }

    /// Gives the function's qualified name, as the file.
    ///
    /// # Safety
    /// As for [`line`](Self::line).
    pub(crate) unsafe fn function(&self, take: impl FnMut(u8)) {
        if let Some((_, layout)) = known() {
            // SAFETY: passed on to the caller.
            unsafe { self.text(layout.name, script::FUNCTION_WORDS * 8, take) };
        }
    }

    /// # Safety
    /// As for [`line`](Self::line).
    unsafe fn text(&self, offset: u64, most: usize, take: impl FnMut(u8)) {
        if let Some((interpreter, layout)) = known() {
            // SAFETY: the code of a frame that is active, which keeps its texts alive.
            unsafe {
                let object = read(self.code.wrapping_add(offset));
                text::text(interpreter, layout, object, most, take);
            }
        }
    }
}
