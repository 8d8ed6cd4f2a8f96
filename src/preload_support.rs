//! The recorder as the preload library drives it: behind the malloc family, whose callers do not
//! say how large a block is that they free, and over an allocator that the library finds.

use core::ffi::c_void;

use crate::config::Defaults;
pub use crate::dumps::DumpError;
use crate::dumps::{self, Ending};
use crate::hook;
use crate::life::{State, existing_recording};
pub use crate::record::Entry;
use crate::record::{self, AllocationPlan, Moved, Session, driver};
use crate::stack;
pub use crate::stack::python::{Interpreter, meet as meet_interpreter};
use crate::thread::Busy;
use mapgrow_format::layout::header;
use mapgrow_system::clock;
use mapgrow_system::sys::{self, ErrnoGuard};

static DEFAULTS: Defaults = Defaults::sizes_unknown();

/// Alignment under which blocks of plain `malloc` are known: less than any table's, so that small
/// ones do not count as table-shaped. (All blocks are aligned to 16, so it says nothing.)
pub const MALLOC_ALIGN: usize = 8;

/// No allocator can give more than this; a request for it is not worth counting.
const LARGEST: usize = 1 << 47;

/// Whether a block can be allocated without a record.
#[inline(always)]
#[must_use]
pub fn allocation_is_fast(bytes: usize, align: usize) -> bool {
    hook::allocation_is_fast(bytes, align)
}

/// Whether a block can be freed without a look at the records. False for a thread that was
/// never in [`allocate`], [`free`] or [`reallocate`], nor in what asks for the allocator as they do
/// ([`mark`], [`prepare_for_sandbox`]).
#[inline(always)]
#[must_use]
pub fn free_is_fast(address: usize) -> bool {
    hook::free_of_unknown_size_is_fast(address)
}

/// Makes every free and reallocation of blocks in these bytes leave the fast path, for good.
pub fn keep_off_fast_path(address: usize, bytes: usize) {
    hook::FILTER.add_range(address, bytes);
}

/// Whether a block can be reallocated without a record before or after.
#[inline(always)]
#[must_use]
pub fn reallocation_is_fast(address: usize, bytes: usize) -> bool {
    hook::realloc_is_fast(address, 0, bytes, MALLOC_ALIGN)
}

/// Whether the C library has come to know the program's environment. Before that (the loader
/// allocates) the settings cannot be read, and nothing is recorded.
fn environment_is_there() -> bool {
    unsafe extern "C" {
        static environ: *const *const core::ffi::c_char;
    }
    // SAFETY: one word, which programs change by assignment.
    unsafe { !(&raw const environ).read_volatile().is_null() }
}

fn begin() -> Option<Session> {
    if State::get().is_none() && !environment_is_there() {
        return None;
    }
    Session::begin(&DEFAULTS, header::BACKEND_PROGRAM)
}

/// Allocates by `forward`, which returns the block or null, and records the block if it is one to
/// record.
pub fn allocate(
    entry: Entry,
    bytes: usize,
    align: usize,
    forward: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    if bytes >= LARGEST {
        return forward();
    }
    driver::allocate(begin, entry, (bytes, align), forward)
}

/// What is known of a block that is about to be allocated.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// What is to be recorded of it, if anything.
    plan: Option<AllocationPlan>,
    bytes: usize,
    /// Bytes that the thread has allocated with it.
    so_far: u64,
}

/// The first half of [`allocate`], where whoever allocates may do anything before it gives the
/// block, or never come back. `None` where nothing is recorded.
#[must_use]
pub fn plan(entry: Entry, bytes: usize, align: usize) -> Option<Planned> {
    if bytes >= LARGEST {
        return None;
    }
    // (No Rust code asks in this way, so inside the recorder it is the program's allocator itself.)
    let mut session = begin()?;
    let plan = session.plan_allocation(entry, bytes, align);
    Some(Planned {
        plan,
        bytes,
        so_far: session.allocated_so_far()?,
    })
}

/// The other half: records the block. False when whoever allocated it went on to [`allocate`],
/// where it was counted: one that is counted twice would be recorded twice as often.
pub fn record(planned: &Planned, address: usize) -> bool {
    let Some(mut session) = begin() else {
        return true;
    };
    let twice = planned.so_far.wrapping_add(planned.bytes as u64);
    if planned.bytes > 0 && session.allocated_so_far() == Some(twice) {
        return false;
    }
    if let Some(plan) = &planned.plan
        && !record::recorded_since(address, plan)
    {
        session.allocated(plan, address);
    }
    true
}

/// Size and alignment of a block: as they are recorded, else what the allocator says.
fn held(address: usize, usable: impl FnOnce() -> usize) -> (usize, usize) {
    record::recorded(address).unwrap_or_else(|| (usable(), MALLOC_ALIGN))
}

/// Frees by `forward`, after whatever is recorded of the block was taken out. `usable` says how
/// many bytes the block holds at least.
pub fn free(address: usize, usable: impl FnOnce() -> usize, forward: impl FnOnce()) {
    if hook::was_only_near(address, 0) {
        return forward();
    }
    driver::free(begin, address, (0, 1), || held(address, usable), forward);
}

/// Reallocates by `forward`, which returns the block, or null when it stays what it was. `usable`
/// tells how many bytes the live block at an address holds at least.
pub fn reallocate(
    address: usize,
    bytes: usize,
    usable: impl Fn(usize) -> usize,
    forward: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    if bytes >= LARGEST {
        return forward();
    }
    let is_mapped = |address, bytes| bytes >= LEAST_MAPPED && is_mapped(address, usable(address));
    let held = || held(address, || usable(address));
    driver::reallocate(begin(), address, bytes, held, |recorded| {
        let was_mapped =
            recorded.is_some_and(|old| !crate::sandbox::entered() && is_mapped(address, old));
        let faults = if was_mapped { sys::thread_faults() } else { 0 };
        let block = forward();
        let moved = match Moved::by_address(address, block.addr()) {
            // The kernel moved the pages (`mremap`): no byte was copied, and there never were two.
            // Where it will not, for they are not all alike, the C library copies, and each page
            // that it writes to is a fault.
            Moved::Copied(to)
                if was_mapped && is_mapped(to, bytes) && sys::thread_faults() == faults =>
            {
                Moved::InPlace(to)
            }
            moved => moved,
        };
        (block, moved)
    })
}

/// Smaller blocks are not mapped one by one, unless somebody asks for it (`mallopt`).
const LEAST_MAPPED: usize = 64 << 10;

/// Whether glibc has mapped pages for this block alone: it begins behind a header of 16 bytes at
/// the beginning of a page, and ends with a page (glibc's malloc.c, "chunksize" of mapped chunks).
/// A block among others has both by chance one time in 65,536.
fn is_mapped(address: usize, usable: usize) -> bool {
    const HEADER: usize = 16;
    /// Larger ones are multiples of it.
    const SMALLEST_PAGE: usize = 4096;
    address % SMALLEST_PAGE == HEADER && (usable + HEADER).is_multiple_of(SMALLEST_PAGE)
}

/// Where the mapping of the loaded object begins that an address lies in: the object's header, or
/// in a program with gaps between its segments that of the segment. `None` too where the C library
/// does not tell without a lock (before glibc 2.35).
#[must_use]
pub fn object_start(address: usize) -> Option<usize> {
    let mapping = stack::mapping(address as u64)?;
    usize::try_from(mapping.start).ok()
}

/// To be called when the library is loaded.
pub fn at_start() {
    sys::remember_stderr();
}

/// What a program shuts itself into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// A filter of system calls.
    Filter,
    /// Nothing but `read`, `write` and `exit`, and no time-stamp counter.
    Strict,
    /// The time-stamp counter may not be read.
    NoCounter,
}

/// To be called before a program does so: what must be asked of the system is asked now. Like
/// [`allocate`], only where the program's allocator was found: the thread may be on the fast path
/// afterwards.
pub fn prepare_for_sandbox(sandbox: Sandbox) {
    let _errno = ErrnoGuard::save();
    if let Some(mut session) = begin()
        && sandbox != Sandbox::NoCounter
    {
        session.prepare_for_sandbox();
    }
}

/// A program is about to do so, or to fail in it. Nothing that it forbids is done from here on, for
/// a signal handler may allocate before the program's call is back.
#[derive(Debug)]
pub struct Entering {
    sandbox: Sandbox,
    clock: Option<clock::Before>,
}

impl Entering {
    /// To be called right before.
    #[must_use]
    pub fn begin(sandbox: Sandbox) -> Self {
        let _errno = ErrnoGuard::save();
        if let Some(state) = State::get() {
            clock::prepare(state.began);
        }
        let clock = give_up_clock(sandbox);
        Self { sandbox, clock }
    }

    /// To be called once the program has done so.
    pub fn succeeded(self) {
        // The first time may have been told meanwhile.
        give_up_clock(self.sandbox);
        if self.sandbox != Sandbox::NoCounter {
            mapgrow_system::sandbox::enter();
        }
        if self.sandbox == Sandbox::Strict {
            set_recording(false);
        }
    }

    /// It has not.
    pub fn failed(self) {
        if let Some(before) = self.clock {
            clock::put_back(before);
        }
    }
}

fn give_up_clock(sandbox: Sandbox) -> Option<clock::Before> {
    match sandbox {
        Sandbox::Filter => None,
        Sandbox::Strict => Some(clock::stop()),
        Sandbox::NoCounter => Some(clock::forbid_counter()),
    }
}

/// To be called when the process ends by `_exit` or `quick_exit`, which run no destructors. Safe
/// in a signal handler.
pub fn before_exit() {
    dumps::leave(Ending::Sudden);
}

/// To be called before another program takes the place of this one, which may fail. Safe in a
/// signal handler, and in a child of `vfork`.
pub fn before_exec() {
    dumps::leave(Ending::Replaced);
}

/// Writes a dump and hands its path on. Safe in a signal handler.
///
/// # Errors
/// When there is nothing to write or no file for it.
pub fn dump(path: impl FnOnce(&[u8])) -> Result<(), DumpError> {
    let _busy = Busy::report();
    let (state, recording) = State::get()
        .zip(existing_recording())
        .ok_or(DumpError::Nothing)?;
    let _errno = ErrnoGuard::save();
    dumps::dump(recording, &state.settings, header::REASON_API, path)
}

/// Whether blocks are being recorded.
#[must_use]
pub fn is_recording() -> bool {
    existing_recording().is_some_and(|recording| !recording.paused())
}

/// Sets a mark, as [`crate::mark`] does, though it may be the first thing that the program does. Like
/// [`allocate`], only where the program's allocator was found: the thread may be on the fast path
/// afterwards.
pub fn mark(label: &str) {
    drop(begin());
    crate::api::mark(label);
}

/// Pauses recording or resumes it, as the command does from outside.
pub fn set_recording(on: bool) {
    if let Some(recording) = existing_recording() {
        recording.pause(!on);
    }
}
