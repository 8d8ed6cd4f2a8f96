//! Dumps: the recording as a file, on request.
//!
//! A dump is the committed part of each region, packed, behind a copy of the header whose region
//! table says where they lie. Writing one takes `open`, `write` and `rename` alone, so it can be
//! done in a signal handler, at exit, and by the API, through the same code.

mod exit;
pub(crate) mod path;
mod signal;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cfg(feature = "preload")]
pub(crate) use exit::{Ending, leave};
pub(crate) use signal::take_signal;

use crate::clock;
use crate::config::{PATH_MAX, Settings};
use crate::headroom::Headroom;
use crate::recording::Recording;
use crate::recording::layout::{header, region};
use crate::sys::{Descriptor, Text};

/// One dump at a time; a second request while one is written asks the writer to go again.
static WRITING: AtomicBool = AtomicBool::new(false);
static AGAIN: AtomicBool = AtomicBool::new(false);
static SEQUENCE: AtomicU64 = AtomicU64::new(0);
/// Copy of the header, too large for the stack of a signal handler. Guarded by `WRITING`.
static HEADER: [AtomicU64; header::WORDS] = [const { AtomicU64::new(0) }; header::WORDS];

/// Why a dump was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DumpError {
    /// Another dump is being written; it will be followed by one more.
    Busy,
    /// The file could not be created.
    Create,
    /// The file could not be written.
    Write,
    /// No name for it was free.
    Name,
}

/// Forgets a dump that another thread was writing when this process was forked.
pub(crate) fn reset_after_fork() {
    WRITING.store(false, Ordering::Release);
    AGAIN.store(false, Ordering::Release);
    SEQUENCE.store(0, Ordering::Release);
}

/// Writes a dump; its path. `reason` is one of `header::REASON_*`.
pub(crate) fn dump(
    recording: &Recording,
    settings: &Settings,
    reason: u64,
) -> Result<Text<PATH_MAX>, DumpError> {
    if WRITING.swap(true, Ordering::Acquire) {
        AGAIN.store(true, Ordering::Release);
        return Err(DumpError::Busy);
    }
    let mut result = write(recording, settings, reason);
    // A request that came meanwhile may have come after its figures were copied.
    while AGAIN.swap(false, Ordering::AcqRel) {
        result = write(recording, settings, reason);
    }
    WRITING.store(false, Ordering::Release);
    result
}

fn write(
    recording: &Recording,
    settings: &Settings,
    reason: u64,
) -> Result<Text<PATH_MAX>, DumpError> {
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed) + 1;
    let program = program_name(recording);
    let target = path::target(settings, program.as_bytes(), sequence, 0);
    if target.in_default_directory {
        path::make_directories(&target.directory());
    }
    let temporary = target.temporary();
    let temporary = temporary.as_c_str().ok_or(DumpError::Create)?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let file = Descriptor::open(temporary, flags, 0o600).ok_or(DumpError::Create)?;
    let written = write_regions(recording, &file, sequence, reason);
    drop(file);
    let published = if written {
        path::publish(temporary, settings, program.as_bytes(), sequence).ok_or(DumpError::Name)
    } else {
        Err(DumpError::Write)
    };
    if published.is_err() {
        // SAFETY: `temporary` is a C string.
        unsafe { libc::unlink(temporary.as_ptr()) };
    }
    published
}

fn write_regions(recording: &Recording, file: &Descriptor, sequence: u64, reason: u64) -> bool {
    recording.calibrate();
    for (copy, word) in HEADER.iter().zip(recording.header()) {
        copy.store(word.load(Ordering::Acquire), Ordering::Relaxed);
    }
    let set = |at: usize, value: u64| {
        if let Some(word) = HEADER.get(at) {
            word.store(value, Ordering::Relaxed);
        }
    };
    set(header::DUMP_REASON, reason);
    set(header::DUMP_TICKS, clock::ticks());
    set(header::DUMP_SEQ, sequence);
    for (word, value) in Headroom::of(None).encode() {
        set(word, value);
    }
    let mut offset = header::WORDS * 8;
    let mut pieces = [(core::ptr::null::<u8>(), 0usize); region::COUNT];
    for (kind, piece) in pieces.iter_mut().enumerate() {
        *piece = recording.committed(kind);
        let row = header::REGIONS + kind * header::REGION_WORDS;
        set(row + 1, offset as u64);
        set(row + 3, piece.1 as u64);
        offset += piece.1;
    }
    // SAFETY: the words are initialised, and `AtomicU64` has the layout of `u64`; only this
    // function, under `WRITING`, changes them.
    let bytes =
        unsafe { core::slice::from_raw_parts(HEADER.as_ptr().cast::<u8>(), header::WORDS * 8) };
    file.write_all(bytes)
        && pieces.iter().all(|&(start, length)| {
            // The regions change while they are copied: the kernel reads them, no Rust code does.
            file.write_raw(start, length)
        })
}

/// Last component of the executable's path, for file names.
fn program_name(recording: &Recording) -> Text<256> {
    let mut path = Text::<{ header::EXE_WORDS * 8 + 1 }>::new();
    for word in recording
        .header()
        .iter()
        .skip(header::EXE)
        .take(header::EXE_WORDS)
    {
        for byte in word.load(Ordering::Relaxed).to_le_bytes() {
            if byte != 0 {
                path.push(&[byte]);
            }
        }
    }
    let bytes = path.as_bytes();
    let start = bytes
        .iter()
        .rposition(|&b| b == b'/')
        .map_or(0, |at| at + 1);
    let mut name = Text::new();
    name.push(
        bytes
            .get(start..)
            .filter(|name| !name.is_empty())
            .unwrap_or(b"program"),
    );
    name
}
