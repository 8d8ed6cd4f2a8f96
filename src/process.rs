//! The recorder's state for this process: settings resolved once, and the recording, which is
//! created with the first block worth recording and started afresh in a child of `fork`.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use once_cell::race::OnceRef;

use crate::config::{AtExit, Defaults, Mode, Settings};
use crate::own_stack::with_own_stack;
use crate::recording::{Origin, Recording, private_pages};
use crate::run;
use crate::sandbox;
use crate::snapshot;
use crate::stack::{EntryFrames, Registers, ThreadStacks};
use crate::thread::HOT;
use mapgrow_format::layout::header;
use mapgrow_system::clock::Moment;

/// What is decided once for the life of the process, and inherited by its forks.
pub(crate) struct State {
    pub(crate) settings: Settings,
    /// The allocator's own frames, left out of every stack.
    pub(crate) entry_frames: EntryFrames,
    backend: u64,
    signal: i32,
    /// When the process began, as near as its first allocation comes to that.
    began: Moment,
    /// The process that this is said of: a child of `fork` has a copy.
    pid: u32,
}

/// Racing initialisers each build one and the first wins; nobody waits.
static STATE: OnceRef<'static, State> = OnceRef::new();
static RECORDING: AtomicPtr<Recording> = AtomicPtr::new(ptr::null_mut());
/// A word that the kernel zeroes in a child of `fork` (`MADV_WIPEONFORK`); 1 in its owner.
static FORK_WORD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
/// Set when no recording can or shall be made; nothing is tried again.
static UNRECORDED: AtomicBool = AtomicBool::new(false);

impl State {
    /// The state, once something was allocated.
    #[inline]
    pub(crate) fn get() -> Option<&'static State> {
        STATE.get()
    }

    /// When the process began.
    #[cfg(feature = "preload")]
    pub(crate) fn began(&self) -> Moment {
        self.began
    }

    /// Whether the calling thread may be unwinding, as far as this can be told: Rust says so, of
    /// other programs it is not known.
    #[inline]
    pub(crate) fn may_be_unwinding(&self) -> bool {
        self.backend == header::BACKEND_PROGRAM || std::thread::panicking()
    }

    /// The state, set up on first use. `None` when there is no memory for it.
    #[inline]
    pub(crate) fn get_or_init(defaults: &Defaults, backend: u64) -> Option<&'static State> {
        match STATE.get() {
            Some(state) => Some(state),
            None => initialise(defaults, backend),
        }
    }
}

#[cold]
#[inline(never)]
fn initialise(defaults: &Defaults, backend: u64) -> Option<&'static State> {
    let _errno = mapgrow_system::sys::ErrnoGuard::save();
    with_own_stack(|| initialise_here(defaults, backend)).flatten()
}

fn initialise_here(defaults: &Defaults, backend: u64) -> Option<&'static State> {
    mapgrow_system::sys::remember_stderr();
    let began = Moment::now();
    let settings = Settings::resolve(defaults);
    let recording = settings.mode != Mode::Off;
    let entry_frames = match recording {
        false => EntryFrames::new(),
        true if settings.sizes_known => calibrate(),
        true => own_object(),
    };
    let signal = if recording {
        if settings.at_term && settings.at_exit == AtExit::Dump {
            snapshot::take_term();
        }
        snapshot::take_signal(settings.signal)
    } else {
        0
    };
    if !recording {
        UNRECORDED.store(true, Ordering::Release);
    }
    run::tell(&settings, run::STARTED);
    let place = private_pages(core::mem::size_of::<State>())?.cast::<State>();
    // SAFETY: fresh pages of sufficient size, page aligned, known to nobody else.
    let state: &'static State = unsafe {
        place.write(State {
            settings,
            entry_frames,
            backend,
            signal,
            began,
            pid: std::process::id(),
        });
        &*place
    };
    let _ = STATE.set(state);
    STATE.get()
}

/// The recording, created if there is none yet. `None` when nothing is to be recorded.
#[inline]
pub(crate) fn recording(state: &State) -> Option<&'static Recording> {
    match existing_recording() {
        Some(recording) => Some(recording),
        None => new_recording(state),
    }
}

/// Whether there will never be a recording of this process.
pub(crate) fn is_unrecorded() -> bool {
    UNRECORDED.load(Ordering::Acquire) && existing_recording().is_none()
}

/// The recording of this process, if there is one already.
#[inline]
pub(crate) fn existing_recording() -> Option<&'static Recording> {
    // The word first: once it says so, the recording is no longer the parent's.
    // SAFETY: `FORK_WORD` is null or a word that is never unmapped.
    let own = unsafe { FORK_WORD.load(Ordering::Acquire).as_ref() }
        .is_some_and(|word| word.load(Ordering::Acquire) == fork_state::OWNER);
    if !own {
        return None;
    }
    let recording = RECORDING.load(Ordering::Acquire);
    // SAFETY: `RECORDING` is null or a recording that is never unmapped in the process that made
    // it, which the word says is this one.
    unsafe { recording.as_ref() }
}

/// Frees of blocks as large as recorded ones while nothing is recorded: a child of `fork` frees
/// what it inherited before it allocates anything. The process in bits 32..64, for a child has a
/// copy; their number in bits 0..32.
static EARLY_FREES: AtomicU64 = AtomicU64::new(0);

/// Counts a free of a block that is not known because nothing is recorded yet.
pub(crate) fn count_early_free() {
    if sandbox::entered() {
        return;
    }
    let own = u64::from(std::process::id()) << 32;
    let _ = EARLY_FREES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counted| {
        let before = if counted >> 32 == own >> 32 {
            counted
        } else {
            own
        };
        // A full count stays.
        (before as u32 != u32::MAX).then(|| before + 1)
    });
}

/// Those of this process, which are counted elsewhere from now on.
fn take_early_frees() -> u64 {
    let counted = EARLY_FREES.swap(0, Ordering::Relaxed);
    if counted >> 32 == u64::from(std::process::id()) {
        counted & u64::from(u32::MAX)
    } else {
        0
    }
}

#[cold]
#[inline(never)]
fn new_recording(state: &State) -> Option<&'static Recording> {
    if sandbox::entered() {
        return None;
    }
    let _errno = mapgrow_system::sys::ErrnoGuard::save();
    if is_forked() && !after_fork(state) {
        // Another thread is at it.
        return None;
    }
    if UNRECORDED.load(Ordering::Acquire) {
        return None;
    }
    let parent_id = PARENT_ID.load(Ordering::Acquire);
    // A child of `fork` may have its parent's id, in another namespace.
    let began = if parent_id == 0 && state.pid == std::process::id() {
        state.began
    } else {
        Moment::now()
    };
    let make = || {
        let forks_seen = fork_word()?;
        let origin = Origin {
            began,
            parent_id,
            backend: state.backend,
            signal: state.signal,
            forks_seen,
        };
        Recording::create(&state.settings, &origin)
    };
    let Some(made) = with_own_stack(make).flatten() else {
        UNRECORDED.store(true, Ordering::Release);
        // Another thread may have been luckier.
        let made = existing_recording();
        if made.is_none() {
            run::tell(&state.settings, run::UNRECORDED);
        }
        return made;
    };
    let published =
        RECORDING.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire);
    if published.is_err() {
        // Another thread was first.
        // SAFETY: `made` was created above and never shown to anybody.
        unsafe { Recording::discard(made) };
    }
    let recording = existing_recording()?;
    recording.count(header::FREES_UNKNOWN, take_early_frees());
    if recording.load(header::STATE) & header::STATE_PRIVATE != 0 {
        run::tell(&state.settings, run::PRIVATE);
    }
    Some(recording)
}

/// Values of the fork word.
mod fork_state {
    /// In a child of `fork`, whose kernel wiped the word.
    pub(super) const FORKED: u64 = 0;
    /// The word is in its owner.
    pub(super) const OWNER: u64 = 1;
    /// A thread of the child makes its own beginning.
    pub(super) const BEGINNING: u64 = 2;
}

/// Recording of the process that this one was forked from; 0: none.
static PARENT_ID: AtomicU64 = AtomicU64::new(0);

/// Whether this is a child of `fork` that has not made its own beginning.
fn is_forked() -> bool {
    // SAFETY: as in `existing_recording`.
    unsafe { FORK_WORD.load(Ordering::Acquire).as_ref() }
        .is_some_and(|word| word.load(Ordering::Acquire) != fork_state::OWNER)
}

/// Makes this process' own beginning in a child of `fork`, where the parent's recording is not
/// mapped. The child may have several threads by now: false for all but the first one here.
fn after_fork(state: &State) -> bool {
    // SAFETY: as in `existing_recording`.
    let Some(word) = (unsafe { FORK_WORD.load(Ordering::Acquire).as_ref() }) else {
        return false;
    };
    let first = word.compare_exchange(
        fork_state::FORKED,
        fork_state::BEGINNING,
        Ordering::AcqRel,
        Ordering::Acquire,
    );
    if first.is_err() {
        return false;
    }
    // SAFETY: the struct (not the mapping it describes) lies in private pages, of which the
    // child has its copy.
    let parent = unsafe { RECORDING.load(Ordering::Acquire).as_ref() };
    PARENT_ID.store(parent.map_or(0, Recording::id), Ordering::Release);
    RECORDING.store(ptr::null_mut(), Ordering::Release);
    // The filter stays: by it the frees of inherited blocks are noticed.
    snapshot::reset_after_fork();
    crate::measure::reset_after_fork();
    if !state.settings.follow_fork {
        UNRECORDED.store(true, Ordering::Release);
    }
    // Last: from here on the other threads take part.
    word.store(fork_state::OWNER, Ordering::Release);
    true
}

/// Whether the kernel wipes the fork word (since 4.14, and not in every sandbox).
static WIPED: AtomicBool = AtomicBool::new(true);

/// Maps the fork word; whether a child of `fork` will find it wiped. `None`: there is no memory.
fn fork_word() -> Option<bool> {
    if !FORK_WORD.load(Ordering::Acquire).is_null() {
        return Some(WIPED.load(Ordering::Acquire));
    }
    let page = private_pages(core::mem::size_of::<AtomicU64>())?;
    // SAFETY: the page is ours.
    if unsafe { libc::madvise(page.cast(), 4096, libc::MADV_WIPEONFORK) } != 0 {
        WIPED.store(false, Ordering::Release);
    }
    let word = page.cast::<AtomicU64>();
    // SAFETY: fresh zeroed page.
    unsafe { (*word).store(fork_state::OWNER, Ordering::Release) };
    // A thread that loses this race leaves one page behind.
    let _ = FORK_WORD.compare_exchange(ptr::null_mut(), word, Ordering::AcqRel, Ordering::Acquire);
    Some(WIPED.load(Ordering::Acquire))
}

/// The block that the allocator hands out during calibration, when nothing may be allocated.
static CALIBRATION_BLOCK: AtomicU64 = AtomicU64::new(0);

/// Whether the calling thread is calibrating: the allocator then returns
/// [`calibration_block`] and frees nothing.
#[inline]
pub(crate) fn calibrating() -> bool {
    HOT.with(|hot| !hot.lesson.get().is_null())
}

/// See [`calibrating`].
pub(crate) fn calibration_block() -> *mut u8 {
    CALIBRATION_BLOCK.as_ptr().cast()
}

/// What a calibration works with.
pub(crate) struct Lesson {
    frames: EntryFrames,
    stacks: &'static mut ThreadStacks,
}

/// Adds the functions between `from`, inside the recorder, and the calibrating function to the
/// ones being learnt.
pub(crate) fn learn(from: &Registers) {
    const DEPTH: usize = 16;
    HOT.with(|hot| {
        // SAFETY: not null only while `calibrate` lends its value on this same thread.
        let Some(lesson) = (unsafe { hot.lesson.get().as_mut() }) else {
            return;
        };
        let mut starts = [0; DEPTH];
        // SAFETY: `from` was read in a function that has not returned.
        let count = unsafe { lesson.stacks.function_starts(from, &mut starts) };
        let own = calibrate as fn() -> EntryFrames as usize as u64;
        let starts = starts.get(..count).unwrap_or(&[]);
        if let Some(end) = starts.iter().position(|&start| start == own) {
            for &start in starts.iter().take(end) {
                lesson.frames.insert(start);
            }
        }
    });
}

/// The functions between a caller of `malloc` and the recorder in the preload library: all that
/// it consists of.
fn own_object() -> EntryFrames {
    let mut frames = EntryFrames::new();
    let here = own_object as fn() -> EntryFrames as usize as u64;
    if let Some(object) = crate::stack::find_object(here) {
        frames.insert_object(&object);
    }
    frames
}

/// Finds out which functions lie between a caller of the allocator and the recorder in this
/// build (the language's shims, what the optimiser left of our own), by going that way once with
/// every entry point. No names are needed, so it works in stripped programs too.
#[inline(never)]
fn calibrate() -> EntryFrames {
    use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
    let Some(pages) = private_pages(crate::stack::SIZE) else {
        return EntryFrames::new();
    };
    // SAFETY: fresh zeroed pages, page aligned, for this function alone.
    let stacks = unsafe { ThreadStacks::from_zeroed(pages) };
    let mut lesson = Lesson {
        frames: EntryFrames::new(),
        stacks,
    };
    let before = HOT.with(|hot| hot.lesson.replace(&raw mut lesson));
    let layout = Layout::new::<u64>();
    let ours = calibration_block();
    let give_back = |block: *mut u8| {
        if !block.is_null() && block != ours {
            // The recorder is not the global allocator of this program.
            // SAFETY: `block` was just allocated with this layout.
            unsafe { dealloc(block, layout) };
        }
    };
    // SAFETY: the layout is not zero-sized; `ours` is only reallocated or freed by an allocator
    // that handed it out.
    unsafe {
        let block = core::hint::black_box(alloc(layout));
        if block == ours {
            let _ = core::hint::black_box(realloc(ours, layout, 16));
            dealloc(core::hint::black_box(ours), layout);
        }
        give_back(block);
        give_back(core::hint::black_box(alloc_zeroed(layout)));
    }
    HOT.with(|hot| hot.lesson.set(before));
    let frames = core::hint::black_box(&mut lesson).frames;
    // SAFETY: mapped above, and used by nobody any more.
    unsafe { libc::munmap(pages.cast(), crate::stack::SIZE) };
    frames
}
