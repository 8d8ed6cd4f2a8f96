//! What happens when the program ends.

use core::sync::atomic::{AtomicU64, Ordering};

use super::DumpError;
use crate::config::AtExit;
use crate::measure;
use crate::process::{self, State};
use crate::recording::Recording;
use crate::thread::{self, Busy};
use mapgrow_format::layout::header;
use mapgrow_system::sys::{self, Text};

/// `.fini_array` rather than `atexit`: it needs no allocation and no lock to register, and runs
/// after the program's own handlers.
#[used]
#[unsafe(link_section = ".fini_array")]
pub(super) static AT_EXIT: extern "C" fn() = at_exit;

fn dump(recording: &Recording, state: &State, ending: Ending) -> Result<(), DumpError> {
    // Not for a signal handler, where a sudden end may happen.
    if ending == Ending::Orderly {
        measure::measure(recording);
    }
    super::dump(recording, &state.settings, header::REASON_EXIT, |_| ())
}

/// Says that the dump at exit could not be written, and where.
#[cold]
#[inline(never)]
fn complain_of_dump(state: &State) {
    let mut path = Text::new();
    super::path::expand(&mut path, &state.settings, b"%e", 0, 0, 0);
    sys::complain(&[
        b"the dump could not be written (",
        path.as_bytes(),
        b"); set MAPGROW_OUT to a writable place",
    ]);
}

extern "C" fn at_exit() {
    // A handler that calls `exit` may do so on a few kilobytes of stack.
    leave(if sys::on_signal_stack() {
        Ending::Sudden
    } else {
        Ending::Orderly
    });
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

/// The recording that was left, once the program has ended: it is dumped only once.
static LEFT: AtomicU64 = AtomicU64::new(0);
/// The same for `exec`, which may fail and be tried again.
static REPLACED: AtomicU64 = AtomicU64::new(0);

/// Leaves the recording as the settings say.
pub(crate) fn leave(ending: Ending) {
    let Some(state) = State::get() else { return };
    let Some(recording) = process::existing_recording() else {
        return;
    };
    let once = if ending == Ending::Replaced {
        &REPLACED
    } else {
        &LEFT
    };
    // A child of `vfork` ends here too, in its parent's memory.
    if !recording.is_of_this_process()
        || once.swap(recording.id(), Ordering::AcqRel) == recording.id()
    {
        return;
    }
    let _errno = sys::ErrnoGuard::save();
    // What a shell does between `fork` and `exec` is nobody's program: it leaves nothing.
    if ending == Ending::Replaced && recording.load(header::PARENT_ID) != 0 {
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
    match state.settings.at_exit {
        AtExit::None => {}
        AtExit::Report if ending != Ending::Orderly => {}
        #[cfg(feature = "report")]
        AtExit::Report => crate::inprocess::print_report(recording),
        #[cfg(not(feature = "report"))]
        AtExit::Report => sys::complain(&[
            b"this program was built without mapgrow's feature `report`, which MAPGROW_AT_EXIT=report needs",
        ]),
        AtExit::Dump => match dump(recording, state, ending) {
            Ok(()) => {
                if state.settings.out.as_bytes().is_empty() && ending == Ending::Orderly {
                    super::path::prune(&state.settings);
                }
            }
            // Another thread writes it.
            Err(DumpError::Busy) => {}
            Err(_) => complain_of_dump(state),
        },
    }
    recording.unlink();
}
