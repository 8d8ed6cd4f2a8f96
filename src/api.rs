//! What a program can ask of its own recording.

use crate::dumps::{self, DumpError};
#[cfg(feature = "report")]
use crate::inprocess;
use crate::life::{State, existing_recording};
use crate::readings;
use crate::start;
use crate::thread::{self, Busy};
use mapgrow_format::layout::header;
#[cfg(feature = "report")]
use mapgrow_report::{Options, Report};
use mapgrow_system::sys::ErrnoGuard;

/// The figures of this process as they are now, with names: the model that the command prints.
/// `None` while nothing was recorded, or when recording is off.
///
/// Takes milliseconds (it reads the program's debug information), and allocates; what it
/// allocates is not recorded.
///
/// ```
/// # use mapgrow::MapGrow;
/// #[global_allocator]
/// static ALLOC: MapGrow = MapGrow::new();
///
/// let map: std::collections::HashMap<u64, u64> = (0..10_000).map(|n| (n, n)).collect();
/// let report = mapgrow::snapshot().expect("recording is on");
/// assert!(report.totals.live_bytes > 10_000 * 16);
/// # drop(map);
/// ```
#[cfg(feature = "report")]
#[must_use]
pub fn snapshot() -> Option<Report> {
    inprocess::report(&Options {
        alive: Some(true),
        ..Options::default()
    })
}

/// Writes a dump to where `MAPGROW_OUT` says; its path. Takes neither locks nor memory from the
/// heap, except for the path that is returned.
///
/// # Errors
/// When nothing was recorded yet, when another dump is being written (it will be followed by
/// one more), or when the file cannot be made.
///
/// ```no_run
/// use mapgrow::DumpError;
///
/// match mapgrow::dump() {
///     Ok(path) => println!("written: {}", path.display()),
///     // Somebody else's will do.
///     Err(DumpError::Busy) => {}
///     Err(error) => eprintln!("no dump: {error}"),
/// }
/// ```
pub fn dump() -> Result<std::path::PathBuf, DumpError> {
    use std::os::unix::ffi::OsStringExt;
    let mut path = Vec::new();
    let written = {
        let _busy = Busy::report();
        let (state, recording) = State::get()
            .zip(existing_recording())
            .ok_or(DumpError::Nothing)?;
        let _errno = ErrnoGuard::save();
        readings::read_tables(recording, readings::Patience::Waits);
        dumps::dump(recording, &state.settings, header::REASON_API, |written| {
            path.extend_from_slice(written);
        })
    };
    written?;
    Ok(std::ffi::OsString::from_vec(path).into())
}

/// Sets a mark on the timeline: "requests started", "cache warmed up". At most 104 bytes of the
/// label are kept. Does nothing where nothing is to be recorded.
pub fn mark(label: &str) {
    let Some(mut busy) = Busy::report() else {
        return;
    };
    // A mark may be the first thing there is to record.
    let Some((state, recording)) =
        State::get().and_then(|state| Some((state, start::recording(state)?)))
    else {
        return;
    };
    // SAFETY: this thread's token, borrowed for the time of the use.
    let slot =
        unsafe { thread::cold(&mut busy, recording, &state.settings) }.map_or(0, |cold| cold.slot);
    recording
        .marks
        .publish(mapgrow_system::clock::ticks(), slot, label);
}
