//! The frames of CPython.
//!
//! One function of the interpreter runs all code that is written in Python, so a stack of machine
//! code says nothing of it. What does is a list of frames that the interpreter keeps, from the
//! state of the thread that runs it. (`Include/internal/pycore_frame.h` and `cpython/code.h` of
//! each version have the layouts below; `python.rs` of the preload tests compares what is read with
//! what the interpreter's own `traceback` says.)
//!
//! **Why they may be read.** The interpreter tells which state the calling thread has *now*, which
//! is none unless the thread holds the lock of the interpreter that it belongs to. The frames of
//! that state are those of calls that the thread is in, so nobody else changes or frees them, nor
//! the code that they run. That they lie where the version says is looked at once, through the
//! kernel, which refuses what is not there.
//!
//! **Why the memo holds.** Which words are read follows from the thread's state and from words read
//! before, as in the walk of machine code; the state itself is taken as a word. So the proof in the
//! [module above](super) covers them.

mod lines;
mod text;

use super::walk::{Stop, read};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use mapgrow_format::layout::header;
use mapgrow_format::layout::script::{self, MARK};
use mapgrow_system::memory::{Memory, ProcessMemory};

/// Functions in Python that are kept of a stack, the innermost ones.
pub(super) const MOST: usize = 96;
/// Frames that are followed to see whether they are where they should be.
const LOOKED_AT: usize = 64;
/// Where an object has its type.
const TYPE: u64 = 8;
/// Bits of a reference in a frame that are no part of an address (from 3.14 on).
const TAG: u64 = 3;

/// The interpreter in this process, by what it exports.
#[derive(Clone, Copy, Debug)]
pub struct Interpreter {
    /// `Py_Version`.
    pub version: u32,
    /// `_PyThreadState_UncheckedGet`, or what took its place: the state that runs.
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

/// Where a version keeps what is read: offsets in bytes.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// From the thread's state to the pointer to what holds the pointer to the innermost frame,
    /// where that is not the state itself. It lies in the frame of the machine code that runs that
    /// function. In later versions so does the first frame outwards that is no function's.
    holder: Option<u64>,
    /// To the pointer to the innermost frame, in that.
    innermost: u64,
    /// Of a frame: its code, where in the code it is, and the frame that called it.
    code: u64,
    instruction: u64,
    previous: u64,
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
            holder: Some(56),
            innermost: 8,
            code: 32,
            instruction: 56,
            previous: 48,
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
            innermost: 0,
            code: 0,
            previous: 8,
            first_line: 68,
            instructions: 192,
            ascii: 40,
            other: 56,
            own_known: false,
            ..V3_11
        };
        const V3_13: Layout = Layout {
            holder: None,
            innermost: 72,
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
/// One was found; whether its frames are where they should be was not looked at yet.
const MET: u32 = 2;
/// They are.
const TRUSTED: u32 = 3;
/// They are not, or nobody could look.
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

/// Whether there is an interpreter: whether the state of a thread is a word of its walks.
#[inline]
pub(super) fn present() -> bool {
    STATUS.load(Ordering::Relaxed) >= MET
}

/// The state of the calling thread, if it runs code in Python now whose frames can be read; else 0.
#[inline]
pub(super) fn thread_state() -> u64 {
    match STATUS.load(Ordering::Relaxed) {
        MET | TRUSTED => running_state(),
        _ => 0,
    }
}

#[cold]
#[inline(never)]
fn running_state() -> u64 {
    let Some((interpreter, Some(layout))) = met() else {
        return 0;
    };
    // SAFETY: whoever made it known vouches for the functions, which take nothing and read a
    // variable each.
    let state = unsafe { (interpreter.running)() };
    // SAFETY: as above.
    if state.is_null() || layout.own_known && unsafe { (interpreter.own)() } != state {
        return 0;
    }
    let state = state.addr() as u64;
    if STATUS.load(Ordering::Relaxed) != TRUSTED && !look(interpreter, layout, state) {
        return 0;
    }
    state
}

/// Looks whether the frames are where this version keeps them. False too when it cannot be told
/// yet.
#[cold]
#[inline(never)]
fn look(interpreter: &Interpreter, layout: &Layout, state: u64) -> bool {
    if crate::sandbox::entered() {
        return false;
    }
    let memory = ProcessMemory::of(std::process::id());
    let careful = |address: u64| {
        let mut word = [0; 8];
        memory
            .read(address, &mut word)
            .then(|| u64::from_le_bytes(word))
            .ok_or(Stop::Unsupported)
    };
    let mut functions = 0;
    let chain = layout.frames(interpreter, state, careful, LOOKED_AT, |frame| {
        functions += 1;
        let fits = [
            (layout.file, interpreter.text_type),
            (layout.name, interpreter.text_type),
        ]
        .into_iter()
        .chain([(layout.lines, interpreter.bytes_type)])
        .all(|(offset, kind)| {
            let object = careful(frame.code + offset);
            object.and_then(|object| careful(object + TYPE)) == Ok(kind as u64)
        });
        // Code that was loaded is at most this large.
        let place = frame
            .instruction
            .wrapping_sub(frame.code + layout.instructions);
        if fits && (place as i64) >= -2 && place as i64 <= 1 << 24 {
            Ok(())
        } else {
            Err(Stop::Unsupported)
        }
    });
    let status = match chain.end {
        // Nothing runs yet.
        Ok(()) if functions == 0 => return false,
        Ok(()) | Err(Stop::Limit) => TRUSTED,
        Err(_) => REFUSED,
    };
    let _ = STATUS.compare_exchange(MET, status, Ordering::Relaxed, Ordering::Relaxed);
    status == TRUSTED
}

/// A frame that runs a function written in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PythonFrame {
    /// Its code.
    code: u64,
    /// The code's table of lines: other code that was made in the same place has another.
    lines: u64,
    /// Address of the instruction.
    instruction: u64,
}

impl PythonFrame {
    /// What stacks have for it.
    pub(super) fn key(&self) -> u64 {
        let mut sum = 0x51;
        for word in [self.code, self.lines, self.instruction] {
            sum = (sum ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            sum ^= sum >> 32;
        }
        sum | MARK
    }
}

impl Layout {
    /// Follows the frames of a thread outwards, at most `most`.
    fn frames(
        &self,
        interpreter: &Interpreter,
        state: u64,
        mut read: impl FnMut(u64) -> Result<u64, Stop>,
        most: usize,
        mut each: impl FnMut(PythonFrame) -> Result<(), Stop>,
    ) -> Chain {
        let mut run_by = 0;
        let mut follow = || {
            let holder = match self.holder {
                Some(offset) => {
                    run_by = read(state.wrapping_add(offset))?;
                    run_by
                }
                None => state,
            };
            if holder == 0 {
                return Ok(());
            }
            let mut importing = Importing::MayBe;
            let mut frame = read(holder.wrapping_add(self.innermost))?;
            for _ in 0..most {
                if frame == 0 || importing == Importing::Left && run_by != 0 {
                    return Ok(());
                }
                let code = read(frame.wrapping_add(self.code))? & !TAG;
                // The interpreter puts frames of its own between those of functions, which have
                // something else in this place.
                if code == 0 || read(code.wrapping_add(TYPE))? != interpreter.code_type as u64 {
                    if run_by == 0 {
                        run_by = frame;
                    }
                } else {
                    if matches!(importing, Importing::MayBe | Importing::Is) {
                        let file = read(code.wrapping_add(self.file))?;
                        let imports = read(file.wrapping_add(self.ascii))? == FROZEN;
                        importing = importing.next(imports);
                    }
                    if importing != Importing::Left {
                        each(PythonFrame {
                            code,
                            lines: read(code.wrapping_add(self.lines))?,
                            instruction: read(frame.wrapping_add(self.instruction))?,
                        })?;
                    }
                }
                frame = read(frame.wrapping_add(self.previous))?;
            }
            Err(Stop::Limit)
        };
        let end = follow();
        Chain { run_by, end }
    }
}

/// How the files of modules begin that the interpreter carries: those that import the others.
const FROZEN: u64 = u64::from_le_bytes(*b"<frozen ");

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

/// What a thread's frames told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// An address within the frame of machine code that runs the innermost function; 0: not known.
    pub(super) run_by: u64,
    /// Whether the frames were followed to the last.
    pub(super) end: Result<(), Stop>,
}

/// Follows the frames of a state outwards, reading by `read`.
pub(super) fn frames(
    state: u64,
    read: impl FnMut(u64) -> Result<u64, Stop>,
    each: impl FnMut(PythonFrame) -> Result<(), Stop>,
) -> Chain {
    match met() {
        Some((interpreter, Some(layout))) if state != 0 => {
            layout.frames(interpreter, state, read, 2 * MOST, each)
        }
        _ => Chain {
            run_by: 0,
            end: Ok(()),
        },
    }
}

/// What there is to say of a frame.
pub(crate) struct Told<'t> {
    /// Line, counted from 1; 0: it has none.
    pub(crate) line: u32,
    /// Source file; where it is very long, its end.
    pub(crate) file: &'t [u8],
    /// Function, as the file.
    pub(crate) function: &'t [u8],
}

/// A frame of the calling thread, to be told of.
pub(crate) struct Telling {
    frame: PythonFrame,
    layout: &'static Layout,
    interpreter: &'static Interpreter,
}

/// Calls `each` with the key of each frame of the calling thread that runs a function written in
/// Python, innermost first.
#[cold]
pub(crate) fn each_frame(mut each: impl FnMut(u64, &Telling)) {
    let state = thread_state();
    let Some((interpreter, Some(layout))) = met() else {
        return;
    };
    if state == 0 {
        return;
    }
    // SAFETY: frames of the thread's own state, which were found to lie where they should: see
    // "Why they may be read".
    let read = |address| Ok(unsafe { read(address) });
    layout.frames(interpreter, state, read, 2 * MOST, |frame| {
        let telling = Telling {
            frame,
            layout,
            interpreter,
        };
        each(frame.key(), &telling);
        Ok(())
    });
}

impl Telling {
    /// Works out what there is to say. Apart from its caller: the texts take room on the stack.
    #[cold]
    #[inline(never)]
    pub(crate) fn tell(&self, say: &mut dyn FnMut(&Told<'_>)) {
        let PythonFrame {
            code, instruction, ..
        } = self.frame;
        let layout = self.layout;
        // SAFETY: the code that a frame of this thread runs, which keeps its texts and its table
        // alive; that they are such was looked at in others, and is looked at in these.
        unsafe {
            let field = |offset: u64| read(code.wrapping_add(offset));
            let file = text::text(
                self.interpreter,
                layout,
                field(layout.file),
                script::FILE_WORDS * 8,
            );
            let function = text::text(
                self.interpreter,
                layout,
                field(layout.name),
                script::FUNCTION_WORDS * 8,
            );
            let table = text::bytes(self.interpreter, field(layout.lines));
            let first = read(code.wrapping_add(layout.first_line) & !7);
            let first_line = (first >> (layout.first_line % 8 * 8)) as u32;
            let place = instruction.wrapping_sub(code.wrapping_add(layout.instructions));
            say(&Told {
                line: lines::line(table, first_line, place as i64).unwrap_or(0),
                file: file.as_bytes(),
                function: function.as_bytes(),
            });
        }
    }
}
