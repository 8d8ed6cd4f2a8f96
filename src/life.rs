//! How far the recorder has come in this process, and its recording while there is one.
//!
//! ```text
//! Unborn --settings read--> Ready --a block to record--> Recording --fork: in the child--> Forked
//!   |                       |   ^                                                            |
//!   | MAPGROW=off   no room |   |                              a thread there has a block to |
//!   v                       v   |                                      record, or a mark     v
//!  Off <--------------------+   +-------------------------------------------------------- Beginning
//!   ^                                                                                        |
//!   +--MAPGROW_FOLLOW_FORK=0, or its parent was off------------------------------------------+
//! ```
//!
//! One word says all of it: the address of the recording, or one of a few small numbers. Nobody
//! waits for anybody. Threads that want a recording each make one while the process is `Ready`,
//! and the first to publish its own wins.
//!
//! From the first recording on the word lies in a page that the kernel fills with zeroes in a child
//! of `fork` (`MADV_WIPEONFORK`), where the parent's recording is not mapped: 0 is `Forked`.
//!
//! Two things are not phases. A recording is paused by a word in its header, which others write
//! too (`header::CONTROL`). And a process that ends keeps its recording to the end: that it was
//! dumped is noted in it (`Recording::left_at_exit`).

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use once_cell::race::OnceRef;

use crate::config::Settings;
use crate::recording::{Recording, private_pages};
use crate::stack::EntryFrames;
use mapgrow_format::layout::header;
use mapgrow_system::clock::Moment;

/// What is decided once for the life of the process, and inherited by its forks.
pub(crate) struct State {
    pub(crate) settings: Settings,
    /// The allocator's own frames, left out of every stack.
    pub(crate) entry_frames: EntryFrames,
    pub(crate) backend: u64,
    /// Signal that asks for a dump; 0: none was taken.
    pub(crate) signal: i32,
    /// When the process began, as near as its first allocation comes to that.
    pub(crate) began: Moment,
    /// Id of the process that set this up: a child of `fork` inherits a copy, and tells by it that
    /// `began` is its parent's.
    pub(crate) pid: u32,
}

/// Racing initialisers each build one and the first wins; nobody waits.
static STATE: OnceRef<'static, State> = OnceRef::new();

impl State {
    /// The state, once something was allocated.
    #[inline]
    pub(crate) fn get() -> Option<&'static State> {
        STATE.get()
    }

    /// Makes this the state, unless there is one.
    pub(crate) fn set(state: &'static State) {
        let _ = STATE.set(state);
    }

    /// Whether the calling thread may be unwinding. Rust can tell; in a program of another language
    /// nobody can, so there it always may.
    #[inline]
    pub(crate) fn may_be_unwinding(&self) -> bool {
        self.backend == header::BACKEND_PROGRAM || std::thread::panicking()
    }
}

/// How far the recorder has come. See the [module](self).
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    /// Nothing was allocated yet.
    Unborn,
    /// Nothing was recorded yet.
    Ready,
    /// What is to be recorded goes here.
    Recording(&'static Recording),
    /// A child of `fork` in which nothing has happened yet.
    Forked,
    /// A thread of such a child is resetting the recorder.
    Beginning,
    /// Nothing will be recorded.
    Off,
}

/// The word of a [`Life`] that says in which phase it is.
struct Word {
    /// The recording, or one of the numbers below.
    at: AtomicPtr<Recording>,
    /// Set where the kernel does not wipe the page in a child (before 4.14, in some sandboxes).
    stays: AtomicBool,
}

// Numbers of phases; no recording lies there.
const FORKED: *mut Recording = ptr::null_mut();
const BEGINNING: *mut Recording = ptr::without_provenance_mut(1);
const UNBORN: *mut Recording = ptr::without_provenance_mut(2);
const READY: *mut Recording = ptr::without_provenance_mut(3);
const OFF: *mut Recording = ptr::without_provenance_mut(4);
const LAST_NUMBER: usize = 4;

impl Word {
    const fn new(at: *mut Recording) -> Self {
        Self {
            at: AtomicPtr::new(at),
            stays: AtomicBool::new(false),
        }
    }

    /// Goes from one phase to another; false when it was not in the first.
    fn turn(&self, from: *mut Recording, to: *mut Recording) -> bool {
        self.at
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// The life of the recorder in a process.
pub(crate) struct Life {
    /// The word in use until a recording is wanted. A child of `fork` inherits it as it is.
    first: &'static Word,
    /// The word that holds now: `first`, or one in a page that children find wiped.
    word: AtomicPtr<Word>,
    /// Id of the recording that was published last, in this process or one it was forked from;
    /// 0: none.
    latest: AtomicU64,
}

static FIRST: Word = Word::new(UNBORN);
/// That of this process.
pub(crate) static LIFE: Life = Life::new(&FIRST);

/// The recording of this process, if there is one already.
#[inline]
pub(crate) fn existing_recording() -> Option<&'static Recording> {
    LIFE.recording()
}

impl Life {
    const fn new(first: &'static Word) -> Self {
        Self {
            first,
            word: AtomicPtr::new(ptr::from_ref(first).cast_mut()),
            latest: AtomicU64::new(0),
        }
    }

    #[inline]
    fn word(&self) -> &'static Word {
        // SAFETY: `first`, or the beginning of a page that is never unmapped; only atomics.
        unsafe { &*self.word.load(Ordering::Acquire) }
    }

    /// The recording, where there is one.
    #[inline]
    pub(crate) fn recording(&self) -> Option<&'static Recording> {
        let at = self.word().at.load(Ordering::Acquire);
        if at.addr() <= LAST_NUMBER {
            return None;
        }
        // SAFETY: only `publish` puts an address there, of a recording that is never unmapped in
        // the process that made it; in a child the word is wiped.
        Some(unsafe { &*at })
    }

    /// The phase.
    pub(crate) fn phase(&self) -> Phase {
        let at = self.word().at.load(Ordering::Acquire);
        match at {
            FORKED => Phase::Forked,
            BEGINNING => Phase::Beginning,
            UNBORN => Phase::Unborn,
            READY => Phase::Ready,
            OFF => Phase::Off,
            // SAFETY: as in `recording`.
            at => Phase::Recording(unsafe { &*at }),
        }
    }

    /// Unborn -> Ready, or Off.
    pub(crate) fn settings_are_read(&self, off: bool) {
        self.first.turn(UNBORN, if off { OFF } else { READY });
    }

    /// In the phase `Ready`: moves the word to a page that the kernel wipes in a child of `fork`.
    /// False when this kernel will not wipe it, `None` when there is no memory for the page.
    pub(crate) fn notice_forks(&self) -> Option<bool> {
        let word = self.word();
        if !ptr::eq(word, self.first) {
            return Some(!word.stays.load(Ordering::Relaxed));
        }
        let size = core::mem::size_of::<Word>();
        let page = private_pages(size)?.cast::<Word>();
        // SAFETY: the page is fresh and known to nobody else.
        unsafe {
            let wiped = libc::madvise(page.cast(), size, libc::MADV_WIPEONFORK) == 0;
            page.write(Word {
                at: AtomicPtr::new(READY),
                stays: AtomicBool::new(!wiped),
            });
        }
        let first = ptr::from_ref(self.first).cast_mut();
        let put = self
            .word
            .compare_exchange(first, page, Ordering::AcqRel, Ordering::Acquire);
        if put.is_err() {
            // Another thread was first.
            // SAFETY: the page was never shown to anybody.
            unsafe { libc::munmap(page.cast(), size) };
        } else if self.first.at.load(Ordering::Acquire) == OFF {
            // Another thread has given up meanwhile.
            self.word().turn(READY, OFF);
        }
        Some(!self.word().stays.load(Ordering::Relaxed))
    }

    /// Ready -> Recording. False when another thread was first, or it was turned off.
    ///
    /// # Safety
    /// `made` is a recording that is never unmapped if this is true.
    pub(crate) unsafe fn publish(&self, made: *mut Recording) -> bool {
        let won = self.word().turn(READY, made);
        if won {
            // SAFETY: it is never unmapped.
            let id = unsafe { (*made).id() };
            self.latest.store(id, Ordering::Release);
        }
        won
    }

    /// Ready -> Off: no further attempt is made, in this process or in its children.
    pub(crate) fn give_up(&self) {
        if self.word().turn(READY, OFF) {
            self.first.turn(READY, OFF);
        }
    }

    /// Forked -> Beginning: true for one thread of a child.
    pub(crate) fn begin_child(&self) -> bool {
        self.word().turn(FORKED, BEGINNING)
    }

    /// Beginning -> Ready, or Off. From here on the child's other threads take part.
    pub(crate) fn child_has_begun(&self, off: bool) {
        let off = off || self.first.at.load(Ordering::Acquire) == OFF;
        self.word().turn(BEGINNING, if off { OFF } else { READY });
    }

    /// Recording of the process that this one was forked from, until it has one of its own; 0: none.
    pub(crate) fn parent_id(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
