//! Dumps: the recording as a file, on request.
//!
//! A dump is the committed part of each region, packed, behind a copy of the header whose region
//! table says where they lie. Writing one takes `open`, `write` and `rename` alone, so it can be
//! done in a signal handler, at exit, and by the API, through the same code.

mod exit;
pub(crate) mod path;
mod signal;
#[cfg(not(any(feature = "preload", miri)))]
mod sudden;

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cfg(feature = "preload")]
pub(crate) use exit::{Ending, leave};
pub(crate) use signal::take_signal;

use crate::config::{PATH_MAX, Settings};
use crate::recording::Recording;
use mapgrow_format::layout::{header, region};
use mapgrow_system::clock;
use mapgrow_system::headroom::{self, Scratch};
use mapgrow_system::sys::{Descriptor, Text};

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

/// The names that a dump takes: kept here rather than on the stack, because a signal handler may
/// have no more than a few hundred bytes of that left.
struct Names {
    program: Text<{ header::EXE_WORDS * 8 + 1 }>,
    path: Text<PATH_MAX>,
    directory: Text<PATH_MAX>,
    headroom: Scratch,
}

struct NamesCell(UnsafeCell<Names>);

// SAFETY: the names are reached through a `Writer` alone, of which there is one at a time.
unsafe impl Sync for NamesCell {}

static NAMES: NamesCell = NamesCell(UnsafeCell::new(Names {
    program: Text::new(),
    path: Text::new(),
    directory: Text::new(),
    headroom: Scratch::new(),
}));

/// The right to write a dump: `WRITING` is set for as long as it lives.
struct Writer(());

impl Writer {
    /// `None` while somebody else writes.
    fn begin() -> Option<Self> {
        // Not `then_some`: one that is made and dropped would let the next one in.
        (!WRITING.swap(true, Ordering::Acquire)).then(|| Self(()))
    }

    fn names(&mut self) -> &mut Names {
        // SAFETY: there is one writer at a time, and it is borrowed for as long as the names are.
        unsafe { &mut *NAMES.0.get() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        WRITING.store(false, Ordering::Release);
    }
}

/// Writes a dump and hands its path to `published`. `reason` is one of `header::REASON_*`. Uses
/// less than a kilobyte of stack.
pub(crate) fn dump(
    recording: &Recording,
    settings: &Settings,
    reason: u64,
    published: impl FnOnce(&[u8]),
) -> Result<(), DumpError> {
    let Some(mut writer) = Writer::begin() else {
        AGAIN.store(true, Ordering::Release);
        return Err(DumpError::Busy);
    };
    let result = write(recording, settings, reason, writer.names());
    if result.is_ok() {
        published(writer.names().path.as_bytes());
    }
    drop(writer);
    // A request that came meanwhile may have come after its figures were copied.
    while AGAIN.load(Ordering::Acquire) {
        let Some(mut writer) = Writer::begin() else {
            break;
        };
        if AGAIN.swap(false, Ordering::AcqRel) {
            let _ = write(recording, settings, reason, writer.names());
        }
    }
    result
}

fn write(
    recording: &Recording,
    settings: &Settings,
    reason: u64,
    names: &mut Names,
) -> Result<(), DumpError> {
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed) + 1;
    program_name(recording, &mut names.program);
    let named = !settings.out.as_bytes().is_empty();
    let mut result = Err(DumpError::Create);
    for place in 0..if named { 1 } else { path::PLACES } {
        result = write_at(recording, settings, reason, names, (sequence, place));
        if result != Err(DumpError::Create) {
            break;
        }
    }
    result
}

/// Writes a dump of a number to one of the places for dumps.
fn write_at(
    recording: &Recording,
    settings: &Settings,
    reason: u64,
    names: &mut Names,
    (sequence, place): (u64, usize),
) -> Result<(), DumpError> {
    let program = names.program.as_bytes();
    let named = !settings.out.as_bytes().is_empty();
    path::expand(&mut names.path, settings, program, sequence, place, 0);
    let directory =
        path::open_directory(&names.path, named, &mut names.directory).ok_or(DumpError::Create)?;
    let temporary = path::temporary_name();
    let temporary = temporary.as_c_str().ok_or(DumpError::Create)?;
    let file = directory
        .create(temporary, libc::O_WRONLY)
        .ok_or(DumpError::Create)?;
    let written = write_regions(recording, &file, sequence, reason, &mut names.headroom);
    drop(file);
    let another = |path: &mut Text<PATH_MAX>, attempt| {
        path::expand(path, settings, program, sequence, place, attempt);
    };
    let result = if !written {
        Err(DumpError::Write)
    } else if !path::publish(&directory, temporary, &mut names.path, another) {
        Err(DumpError::Name)
    } else {
        Ok(())
    };
    if result.is_err() {
        directory.remove(temporary);
    }
    result
}

fn write_regions(
    recording: &Recording,
    file: &Descriptor,
    sequence: u64,
    reason: u64,
    scratch: &mut Scratch,
) -> bool {
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
    for (word, value) in headroom::read(None, scratch).encode() {
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

/// Puts the last component of the executable's path into `name`, for file names.
fn program_name(recording: &Recording, name: &mut Text<{ header::EXE_WORDS * 8 + 1 }>) {
    name.truncate(0);
    let words = recording.header().iter();
    for word in words.skip(header::EXE).take(header::EXE_WORDS) {
        for byte in word.load(Ordering::Relaxed).to_le_bytes() {
            match byte {
                0 => {}
                b'/' => name.truncate(0),
                _ => {
                    name.push(&[byte]);
                }
            }
        }
    }
    if name.as_bytes().is_empty() {
        name.push(b"program");
    }
}
