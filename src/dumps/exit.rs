//! What happens when the program ends.

use core::sync::atomic::Ordering;

use super::DumpError;
use crate::config::AtExit;
use crate::life::{State, existing_recording};
use crate::own_stack::with_own_stack;
use crate::readings::{self, Patience};
use crate::recording::Recording;
use crate::sandbox;
use crate::thread::{self, Busy};
use mapgrow_format::layout::header;
use mapgrow_system::sys;

/// `.fini_array` rather than `atexit`: it needs no allocation and no lock to register, and runs
/// after the program's own handlers.
#[used]
#[unsafe(link_section = ".fini_array")]
pub(super) static AT_EXIT: extern "C" fn() = at_exit;

fn dump(recording: &Recording, state: &State, ending: Ending) -> Result<(), DumpError> {
    // In a signal handler, too: the process ends, and what its maps hold cannot be asked any more.
    let patience = match ending {
        Ending::Orderly if !sys::on_signal_stack() => Some(Patience::Waits),
        Ending::Orderly => Some(Patience::Hurries),
        Ending::Sudden => Some(Patience::Hurries),
        Ending::Replaced => None,
    };
    if let Some(patience) = patience {
        let _ = with_own_stack(|| readings::read_tables(recording, patience));
    }
    super::dump(recording, &state.settings, header::REASON_EXIT, |_| ())
}

/// An interpreter is about to take down a table of the program's, since it ends: of what it takes down
/// first, a dump is written. One at the end of the process would find nothing left.
#[cfg(feature = "preload")]
#[cold]
#[inline(never)]
pub(crate) fn before_take_down(recording: &Recording, state: &State) {
    let wanted = state.settings.at_exit == AtExit::Dump;
    if !wanted || sandbox::entered() || !recording.is_of_this_process() {
        return;
    }
    let taken_down = &recording.taken_down;
    if taken_down.tried.swap(true, Ordering::AcqRel) {
        return;
    }
    let _errno = sys::ErrnoGuard::save();
    let (allocated, freed) = recording.sites.recorded_bytes();
    taken_down.allocated.store(allocated, Ordering::Relaxed);
    let held = allocated.saturating_sub(freed);
    taken_down.held.store(held, Ordering::Relaxed);
    if dump(recording, state, Ending::Orderly).is_ok() {
        taken_down.written.store(true, Ordering::Release);
    }
}

/// Whether the dump that was written when an interpreter began to end is that of the process: unless
/// there was more to the program, which then allocated a good part of what it had held.
#[cfg(feature = "preload")]
fn ended_with_interpreter(recording: &Recording) -> bool {
    const LEAST: u64 = 1 << 20;
    const SHARE: u64 = 10;
    let taken_down = &recording.taken_down;
    taken_down.written.load(Ordering::Acquire) && {
        let held = taken_down.held.load(Ordering::Relaxed);
        let before = taken_down.allocated.load(Ordering::Relaxed);
        let (allocated, _) = recording.sites.recorded_bytes();
        allocated.saturating_sub(before) <= LEAST.max(held / SHARE)
    }
}

extern "C" fn at_exit() {
    leave(Ending::Orderly);
}

/// How a process, or the program in it, comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// `exit`, or a return from `main`.
    Orderly,
    /// `_exit` and kin, perhaps in a signal handler: nothing may be allocated any more.
    Sudden,
    /// `exec`: another program takes this one's place, unless that fails.
    #[cfg_attr(not(feature = "preload"), allow(dead_code))]
    Replaced,
}

/// Leaves the recording as the settings say.
pub(crate) fn leave(ending: Ending) {
    let Some(state) = State::get() else { return };
    let Some(recording) = existing_recording() else {
        return;
    };
    // In a sandbox that the program has entered the calls that a dump takes may end it. What was
    // recorded lies in the recording's file.
    if sandbox::entered() || state.settings.at_exit == AtExit::None {
        return;
    }
    let once = if ending == Ending::Replaced {
        &recording.left_at_exec
    } else {
        &recording.left_at_exit
    };
    // A child of `vfork` ends here too, in its parent's memory.
    if !recording.is_of_this_process() || once.swap(true, Ordering::AcqRel) {
        return;
    }
    let _errno = sys::ErrnoGuard::save();
    // What a shell does between `fork` and `exec` is nobody's program: it leaves nothing.
    if ending == Ending::Replaced && recording.load(header::PARENT_ID) != 0 {
        recording.unlink();
        return;
    }
    #[cfg(feature = "preload")]
    if ended_with_interpreter(recording) {
        recording.unlink();
        return;
    }
    // What the report allocates is not the program's.
    let mut busy = Busy::report();
    if let Some(busy) = &mut busy {
        // SAFETY: this thread's token, borrowed for the time of the call.
        if let Some(cold) = unsafe { thread::cold(busy, recording, &state.settings) } {
            cold.flush(recording);
        }
    }
    if ending != Ending::Replaced {
        recording.finish();
    }
    if !recording.has_blocks() {
        recording.unlink();
        return;
    }
    let kept = match state.settings.at_exit {
        AtExit::None => true,
        AtExit::Report => {
            if ending == Ending::Orderly && !sys::on_signal_stack() {
                #[cfg(feature = "report")]
                crate::inprocess::print_report(recording);
                #[cfg(not(feature = "report"))]
                sys::complain(&[
                    b"this program was built without mapgrow's feature `report`, which \
                      MAPGROW_AT_EXIT=report needs",
                ]);
            }
            false
        }
        // A recording of which there is no dump can still be read.
        AtExit::Dump => dump(recording, state, ending).is_err(),
    };
    if !kept {
        recording.unlink();
    }
}
