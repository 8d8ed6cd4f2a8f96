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

mod layout;
mod learning;
mod lines;
mod reader;
mod text;

use super::walk::read;
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use mapgrow_format::layout::header;
use mapgrow_format::layout::script;

use layout::Layout;
pub(super) use learning::{distance, is_frame, learn, may_learn};
pub(super) use reader::{End, Evaluation, Reader};

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
    /// `Py_IsFinalizing`, or `_Py_IsFinalizing` before 3.13: not 0 once the interpreter takes down all
    /// that the program has.
    pub ending: Option<unsafe extern "C" fn() -> c_int>,
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

/// Whether the calling thread is taking down all that the program has: at the interpreter's end, after
/// the program's own last functions. (That it ends is said for the rest of the process; but once it has
/// ended, and in other threads, none of its threads' states runs.)
#[inline]
pub(crate) fn takes_down() -> bool {
    let ending = met().and_then(|(interpreter, _)| interpreter.ending);
    // SAFETY: whoever made it known vouches for the function, which takes nothing and reads a variable.
    ending.is_some_and(|ending| unsafe { ending() } != 0) && running_state() != 0
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
    // SAFETY: `own` takes nothing, returns a pointer, and is vouched for by `meet`.
    if state.is_null() || layout.own_known && unsafe { (interpreter.own)() } != state {
        return 0;
    }
    state.addr() as u64
}

fn mix(sum: u64, word: u64) -> u64 {
    super::cache::mix(sum ^ word)
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
            // SAFETY: this thread is still in the frame (this contract), so its code lives.
            unsafe { self.text(layout.file, script::FILE_WORDS * 8, take) };
        }
    }

    /// Gives the function's qualified name, as the file.
    ///
    /// # Safety
    /// As for [`line`](Self::line).
    pub(crate) unsafe fn function(&self, take: impl FnMut(u8)) {
        if let Some((_, layout)) = known() {
            // SAFETY: this thread is still in the frame (this contract), so its code lives.
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
