//! Dumps: the recording as a file, on request.
//!
//! A dump is the committed part of each region, packed, behind a copy of the header whose region
//! table says where they lie. Writing one takes system calls alone, so it can be done in a signal
//! handler, at exit, and by the API, through the same code.

mod exit;
pub(crate) mod path;
mod prune;
mod signal;
#[cfg(not(any(feature = "preload", miri)))]
mod sudden;

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cfg(feature = "preload")]
pub(crate) use exit::before_take_down;
pub(crate) use exit::{Ending, leave};
use path::Published;
pub(crate) use signal::{take_signal, take_term};

use crate::config::{PATH_MAX, Settings};
use crate::own_stack::with_own_stack;
use crate::recording::Recording;
use mapgrow_format::layout::packed::RegionRow;
use mapgrow_format::layout::{header, region};
use mapgrow_system::clock;
use mapgrow_system::headroom::{self, Scratch};
use mapgrow_system::sys::{self, Descriptor, Text};

/// One dump at a time; a second request while one is written asks the writer to go again.
static WRITING: AtomicBool = AtomicBool::new(false);
static AGAIN: AtomicBool = AtomicBool::new(false);
static SEQUENCE: AtomicU64 = AtomicU64::new(0);
/// Copy of the header, too large for the stack of a signal handler. Guarded by `WRITING`.
static HEADER: [AtomicU64; header::WORDS] = [const { AtomicU64::new(0) }; header::WORDS];

/// Why no dump was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DumpError {
    /// Nothing was recorded yet, or recording is off.
    Nothing,
    /// Another dump is being written; it will be followed by one more.
    Busy,
    /// The file could not be created.
    Create,
    /// The file could not be written.
    Write,
    /// No name for it was free.
    Name,
    /// It would be larger than the process may make a file (`RLIMIT_FSIZE`).
    TooLarge,
    /// There is no memory for the stack that writing takes.
    Memory,
}

impl DumpError {
    /// What is wrong, and what to do.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Nothing => "nothing was recorded yet",
            Self::Busy => "another dump is being written",
            Self::Create => "the dump could not be written; set MAPGROW_OUT to a writable place",
            Self::Write => {
                "the dump could not be written to its end; make room on the disk, or set \
                 MAPGROW_OUT to another place"
            }
            Self::Name => "no name for the dump was free; put %n into MAPGROW_OUT",
            Self::TooLarge => {
                "the dump would be larger than this process may make a file; raise the limit \
                 (ulimit -f)"
            }
            Self::Memory => "there is no memory to write the dump with",
        }
    }
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for DumpError {}

impl From<DumpError> for std::io::Error {
    fn from(error: DumpError) -> Self {
        Self::other(error)
    }
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

/// Writes a dump and hands its path to `published`. `reason` is one of `header::REASON_*`. All is
/// done on a stack of its own with signals blocked: a program's handler that jumped out of the
/// middle of it would leave `WRITING` set for good.
pub(crate) fn dump(
    recording: &Recording,
    settings: &Settings,
    reason: u64,
    published: impl FnOnce(&[u8]),
) -> Result<(), DumpError> {
    with_own_stack(|| dump_here(recording, settings, reason, published))
        .unwrap_or(Err(DumpError::Memory))
}

fn dump_here(
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
    match result {
        Ok(()) => published(writer.names().path.as_bytes()),
        // Who asked through the API is told by the result.
        Err(error) if reason != header::REASON_API => complain_once(recording, error, &mut writer),
        Err(_) => {}
    }
    if result.is_ok() && settings.out.as_bytes().is_empty() {
        prune::prune(settings, writer.names());
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

/// Says that a dump could not be written, where, and what there is instead; once for a process.
#[cold]
fn complain_once(recording: &Recording, error: DumpError, writer: &mut Writer) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    let (directory, name) = recording.file();
    let (kept, slash): (&[u8], &[u8]) = if name.is_empty() {
        (b"", b"")
    } else {
        (b"; what was recorded is in ", b"/")
    };
    sys::complain(&[
        error.sentence().as_bytes(),
        b" (",
        writer.names().path.as_bytes(),
        b")",
        kept,
        directory,
        slash,
        name,
    ]);
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
    // A longer file is not only refused: the kernel would send SIGXFSZ.
    let most = sys::limit(libc::RLIMIT_FSIZE).unwrap_or(u64::MAX);
    let parts = Parts::of(recording, most).ok_or(DumpError::TooLarge)?;
    let directory =
        path::open_directory(&names.path, named, &mut names.directory).ok_or(DumpError::Create)?;
    let another = |path: &mut Text<PATH_MAX>, attempt| {
        path::expand(path, settings, program, sequence, place, attempt);
    };
    // Where the file system can, the file has no name before it is whole: a process that is killed
    // meanwhile leaves none behind.
    if let Some(file) = directory.create_nameless() {
        if !parts.write(&file, recording, sequence, reason, &mut names.headroom) {
            return Err(DumpError::Write);
        }
        match path::publish(&mut names.path, another, |name| {
            directory.name_new(&file, name)
        }) {
            Published::Yes => return Ok(()),
            Published::NoneFree => return Err(DumpError::Name),
            Published::Refused => {}
        }
    }
    let temporary = path::temporary_name();
    let temporary = temporary.as_c_str().ok_or(DumpError::Create)?;
    let file = directory
        .create(temporary, libc::O_WRONLY)
        .ok_or(DumpError::Create)?;
    let written = parts.write(&file, recording, sequence, reason, &mut names.headroom);
    drop(file);
    let result = if !written {
        Err(DumpError::Write)
    } else {
        match path::publish(&mut names.path, another, |name| {
            directory.rename_new(temporary, name)
        }) {
            Published::Yes => Ok(()),
            Published::NoneFree | Published::Refused => Err(DumpError::Name),
        }
    };
    if result.is_err() {
        directory.remove(temporary);
    }
    result
}

/// The parts of a recording that a dump consists of, beside the header.
struct Parts {
    pieces: [(*const u8, usize); region::COUNT],
    /// Whether parts of the timeline, the only ones that may be left out, had to be.
    cut: bool,
}

impl Parts {
    /// All of them, or without the timeline if they would not fit into `most` bytes. `None` when
    /// not even these do.
    fn of(recording: &Recording, most: u64) -> Option<Self> {
        let mut parts = Self {
            pieces: core::array::from_fn(|kind| recording.committed(kind)),
            cut: false,
        };
        for left_out in [region::BIRTHS, region::RESIZES] {
            if parts.bytes() <= most {
                break;
            }
            parts.cut = true;
            if let Some(piece) = parts.pieces.get_mut(left_out) {
                piece.1 = 0;
            }
        }
        (parts.bytes() <= most).then_some(parts)
    }

    fn bytes(&self) -> u64 {
        let pieces = self.pieces.iter().map(|piece| piece.1).sum::<usize>();
        (header::WORDS * 8 + pieces) as u64
    }

    /// Writes header and parts; false when that fails.
    fn write(
        &self,
        file: &Descriptor,
        recording: &Recording,
        sequence: u64,
        reason: u64,
        scratch: &mut Scratch,
    ) -> bool {
        recording.note_clocks();
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
        let threads = headroom::threads(scratch);
        set(header::DUMP_THREADS, threads.unwrap_or(0));
        if self.cut {
            let limited_by = recording.load(header::LIMITED_BY);
            set(
                header::LIMITED_BY,
                limited_by | header::LIMIT_FILE_SIZE | header::LIMIT_TIMELINE,
            );
        }
        for (word, value) in headroom::read(None, scratch).encode() {
            set(word, value);
        }
        let mut offset = header::WORDS * 8;
        for (kind, piece) in self.pieces.iter().enumerate() {
            set(RegionRow::offset_word(kind), offset as u64);
            set(RegionRow::committed_word(kind), piece.1 as u64);
            offset += piece.1;
        }
        // SAFETY: the words are initialised, and `AtomicU64` has the layout of `u64`; only this
        // function, under `WRITING`, changes them.
        let bytes =
            unsafe { core::slice::from_raw_parts(HEADER.as_ptr().cast::<u8>(), header::WORDS * 8) };
        file.write_all(bytes)
            && self.pieces.iter().all(|&(start, length)| {
                // The regions change while they are copied: the kernel reads them, no Rust code
                // does.
                file.write_raw(start, length)
            })
    }
}

/// Room for a path of the header.
type PathText = Text<{ header::EXE_WORDS * 8 + 1 }>;

/// Puts what the program is called into `name`, for file names.
fn program_name(recording: &Recording, name: &mut PathText) {
    last_part(recording, header::COMMAND, header::COMMAND_WORDS, name);
    let started = mapgrow_format::program_name(b"", name.as_bytes());
    let mut kept = [0u8; 64];
    let length = started.len().min(kept.len());
    kept[..length].copy_from_slice(&started[..length]);
    name.truncate(0);
    name.push(&kept[..length]);
    if name.as_bytes().is_empty() {
        last_part(recording, header::EXE, header::EXE_WORDS, name);
    }
    if name.as_bytes().is_empty() {
        name.push(b"program");
    }
}

/// Puts the last component of the path that the header has at `at`, up to its first zero, into
/// `name`.
fn last_part(recording: &Recording, at: usize, words: usize, name: &mut PathText) {
    name.truncate(0);
    for word in recording.header().iter().skip(at).take(words) {
        for byte in word.load(Ordering::Relaxed).to_le_bytes() {
            match byte {
                0 => return,
                b'/' => name.truncate(0),
                // A name is printed, by us and by whoever lists the directory.
                _ if byte.is_ascii_control() => {
                    name.push(b"_");
                }
                _ => {
                    name.push(&[byte]);
                }
            }
        }
    }
}
