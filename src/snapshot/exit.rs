//! What happens when the program ends.

use super::DumpError;
use crate::config::{AtExit, PATH_MAX};
use crate::measure;
use crate::process::{self, State};
use crate::recording::Recording;
use crate::recording::layout::header;
use crate::sys::{self, Text};
use crate::thread::{self, Busy};

/// `.fini_array` rather than `atexit`: it needs no allocation and no lock to register, and runs
/// after the program's own handlers.
#[used]
#[unsafe(link_section = ".fini_array")]
pub(super) static AT_EXIT: extern "C" fn() = at_exit;

fn dump(recording: &Recording, state: &State) -> Result<Text<PATH_MAX>, DumpError> {
    measure::measure(recording);
    super::dump(recording, &state.settings, header::REASON_EXIT)
}

extern "C" fn at_exit() {
    let Some(state) = State::get() else { return };
    let Some(recording) = process::existing_recording() else {
        return;
    };
    // What the report allocates is not the program's.
    let mut busy = Busy::report();
    if let Some(busy) = &mut busy {
        // SAFETY: this thread's token, borrowed for the time of the call.
        if let Some(cold) = unsafe { thread::cold(busy, recording, &state.settings) } {
            cold.flush(recording);
        }
    }
    recording.finish();
    if !recording.has_blocks() {
        recording.unlink();
        return;
    }
    match state.settings.at_exit {
        AtExit::None => {}
        AtExit::Report => crate::inprocess::print_report(recording),
        AtExit::Dump => match dump(recording, state) {
            Ok(_) => {
                let target = super::path::target(&state.settings, b"", 0, 0);
                if target.in_default_directory {
                    super::path::prune(&target.directory());
                }
            }
            Err(_) => sys::complain(&[
                b"the dump could not be written (",
                super::path::target(&state.settings, b"%e", 0, 0)
                    .path()
                    .as_bytes(),
                b"); set MAPGROW_OUT to a writable place",
            ]),
        },
    }
    recording.unlink();
}
