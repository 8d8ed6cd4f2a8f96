//! Settings: what the program asked for in code, overridden by what its environment says.
//!
//! Resolved once, before the first block is recorded, without allocating. A value that cannot be
//! understood is named once on stderr, and the default stays.

mod values;

use core::ffi::CStr;

use mapgrow_system::sys::{self, Text};
pub(crate) use values::bytes;
use values::{percent_ppm, signal_number, time_ns};

/// Longest path or path pattern, with its terminating NUL.
pub(crate) const PATH_MAX: usize = 1024;

/// How much is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing.
    Off,
    /// Exact at or above the floor, sampled below, within the CPU budget.
    Default,
    /// Everything, whatever it costs.
    Exact,
}

/// What happens when the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtExit {
    /// Write a dump.
    Dump,
    /// Print the report to stderr.
    Report,
    /// Nothing.
    None,
}

/// Settings that the program gives in code; the environment wins over them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub(crate) mode: Mode,
    pub(crate) floor: usize,
    pub(crate) sample_tables: u64,
    pub(crate) sample_heap: u64,
    pub(crate) budget_ppm: u64,
    pub(crate) max_memory: Option<usize>,
    pub(crate) at_exit: AtExit,
    pub(crate) signal: i32,
    pub(crate) sizes_known: bool,
}

impl Defaults {
    pub(crate) const fn new() -> Self {
        Self {
            mode: Mode::Default,
            floor: 1024,
            sample_tables: 64 << 10,
            sample_heap: 512 << 10,
            budget_ppm: 10_000,
            max_memory: None,
            at_exit: AtExit::Dump,
            signal: libc::SIGUSR1,
            sizes_known: true,
        }
    }
}

#[cfg(feature = "preload")]
impl Defaults {
    /// For allocators whose callers do not say how large a block is that they free.
    pub(crate) const fn sizes_unknown() -> Self {
        Self {
            sizes_known: false,
            ..Self::new()
        }
    }
}

/// Resolved settings.
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// Smallest block, bytes, recorded with certainty.
    pub(crate) floor: usize,
    /// Smallest block, bytes, that is followed to the one in its place though it has not the shape of
    /// a table: in exact mode more than the floor.
    pub(crate) follow_floor: usize,
    /// Mean bytes between samples of table-shaped blocks below the floor.
    pub(crate) sample_tables: u64,
    /// Mean bytes between samples of all other blocks.
    pub(crate) sample_heap: u64,
    /// CPU budget per thread, parts per million; 0: none.
    pub(crate) budget_ppm: u64,
    /// Processor time that reading what live tables hold may take, each time.
    pub(crate) read_ns: u64,
    /// Bound of the recording, bytes.
    pub(crate) max_memory: usize,
    pub(crate) at_exit: AtExit,
    /// Signal that asks for a dump; 0: none.
    pub(crate) signal: i32,
    /// Whether a dump is written when SIGTERM ends the program.
    pub(crate) at_term: bool,
    pub(crate) follow_fork: bool,
    /// Whether a block's size is known when it is freed. Where it is not, the page filter has to
    /// hold every recorded block.
    pub(crate) sizes_known: bool,
    /// `MAPGROW_OUT`, empty when not given.
    pub(crate) out: Text<PATH_MAX>,
    /// Directory of default dumps; empty when the user has none.
    pub(crate) state_dir: Text<PATH_MAX>,
    /// `MAPGROW_DIR`, empty when not given.
    pub(crate) dir: Text<PATH_MAX>,
}

const READ_NS_DEFAULT: u64 = 100_000_000;
const READ_NS_EXACT: u64 = 2_000_000_000;
const MAX_MEMORY_DEFAULT: usize = 64 << 20;
const MAX_MEMORY_EXACT: usize = 512 << 20;
/// Less than this does not hold the fixed parts of a recording.
const MAX_MEMORY_LEAST: usize = 4 << 20;
const MAX_MEMORY_MOST: usize = 64 << 30;

impl Settings {
    /// Reads the environment over `defaults`.
    pub(crate) fn resolve(defaults: &Defaults) -> Self {
        let mode = read(c"MAPGROW", defaults.mode, "on, off or exact", mode);
        let exact = mode == Mode::Exact;
        let (bound, read_ns) = match exact {
            true => (MAX_MEMORY_EXACT, READ_NS_EXACT),
            false => (MAX_MEMORY_DEFAULT, READ_NS_DEFAULT),
        };
        let budget = if exact { 0 } else { defaults.budget_ppm };
        const SIZE: &str = "a number of bytes such as 4096, 64K or 1M";
        let size = |name, default| read(name, default, SIZE, |v| bytes(v).map(|b| b as usize));
        let (mut out, mut state_dir, mut dir) = (Text::new(), Text::new(), Text::new());
        read_out(&mut out);
        sys::with_env(c"MAPGROW_DIR", |path| {
            dir.push(path.unwrap_or(b""));
        });
        default_state_dir(&mut state_dir);
        if !defaults.sizes_known {
            read(
                c"MAPGROW_BACKEND",
                (),
                "program; for jemalloc, preload libjemalloc.so.2 after the recorder",
                |value| (value == b"program").then_some(()),
            );
        }
        let given = read(c"MAPGROW_FLOOR", None, SIZE, |v| {
            bytes(v).map(|bytes| Some(bytes as usize))
        });
        let (floor, follow_floor) = match given {
            // One for all.
            Some(floor) => (floor, 0),
            // C says no alignment: any block may be a table.
            None if exact && defaults.sizes_known => (0, defaults.floor),
            None if exact => (0, 0),
            None => (defaults.floor, 0),
        };
        Self {
            mode,
            floor,
            follow_floor,
            sample_tables: (size(c"MAPGROW_SAMPLE", defaults.sample_tables as usize) as u64).max(1),
            sample_heap: defaults.sample_heap.max(1),
            budget_ppm: read(
                c"MAPGROW_BUDGET",
                budget,
                "a percentage such as 1 or 0.5; 0 for no bound",
                percent_ppm,
            ),
            read_ns: read(
                c"MAPGROW_READ_TIME",
                read_ns,
                "a time such as 100ms or 2s",
                time_ns,
            ),
            max_memory: read(
                c"MAPGROW_MAX_MEMORY",
                defaults.max_memory.unwrap_or(bound),
                "a number of bytes from 4M to 64G",
                max_memory,
            )
            .clamp(MAX_MEMORY_LEAST, MAX_MEMORY_MOST),
            at_exit: read(
                c"MAPGROW_AT_EXIT",
                defaults.at_exit,
                "dump, report or none",
                at_exit,
            ),
            signal: read(
                c"MAPGROW_SIGNAL",
                defaults.signal,
                "USR1, USR2, RTMIN+n, the number of one of these, or none",
                signal_number,
            ),
            // Programs in other languages ask what is done at a signal, and Python for one knows
            // no name for a handler that is not its own.
            at_term: read(
                c"MAPGROW_AT_TERM",
                defaults.sizes_known,
                "0 or 1",
                zero_or_one,
            ),
            follow_fork: read(c"MAPGROW_FOLLOW_FORK", true, "0 or 1", zero_or_one),
            sizes_known: defaults.sizes_known,
            out,
            state_dir,
            dir,
        }
    }
}

/// Puts the path of dumps that was asked for into `out`.
fn read_out(out: &mut Text<PATH_MAX>) {
    let take = |path: &[u8]| {
        names_a_file(path).then(|| {
            out.push(path);
        })
    };
    read(
        c"MAPGROW_OUT",
        (),
        "the path of a file, with %p, %n and %e",
        take,
    );
}

fn max_memory(value: &[u8]) -> Option<usize> {
    let in_bounds = |bytes: &usize| (MAX_MEMORY_LEAST..=MAX_MEMORY_MOST).contains(bytes);
    bytes(value).map(|bytes| bytes as usize).filter(in_bounds)
}

fn mode(value: &[u8]) -> Option<Mode> {
    match value {
        b"on" | b"1" | b"" => Some(Mode::Default),
        b"off" | b"0" => Some(Mode::Off),
        b"exact" => Some(Mode::Exact),
        _ => None,
    }
}

fn at_exit(value: &[u8]) -> Option<AtExit> {
    match value {
        b"dump" => Some(AtExit::Dump),
        b"report" => Some(AtExit::Report),
        b"none" => Some(AtExit::None),
        _ => None,
    }
}

fn zero_or_one(value: &[u8]) -> Option<bool> {
    match value {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => None,
    }
}

/// Reads one variable; a value that `parse` refuses is named on stderr.
fn read<T>(name: &CStr, default: T, expected: &str, parse: impl FnOnce(&[u8]) -> Option<T>) -> T {
    sys::with_env(name, |value| {
        let Some(value) = value else {
            return default;
        };
        parse(value).unwrap_or_else(|| {
            sys::complain(&[
                name.to_bytes(),
                b"=",
                value.get(..80).unwrap_or(value),
                b" is not understood (expected ",
                expected.as_bytes(),
                b"); the default stays",
            ]);
            default
        })
    })
}

/// Whether a dump can get this name: no directory or device has it. A name with a `%` in it is
/// that of many.
fn names_a_file(path: &[u8]) -> bool {
    let mut name = Text::<PATH_MAX>::new();
    name.push(path);
    let Some(name) = name.as_c_str().filter(|_| path.last() != Some(&b'/')) else {
        return false;
    };
    // SAFETY: `stat` is plain data for which zero is valid.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    let found = unsafe { libc::stat(name.as_ptr(), &raw mut stat) } == 0;
    !found || stat.st_mode & libc::S_IFMT == libc::S_IFREG
}

/// `$XDG_STATE_HOME/mapgrow`, `$HOME/.local/state/mapgrow`, or a per-user directory in
/// `/var/tmp`.
fn default_state_dir(path: &mut Text<PATH_MAX>) {
    let absolute = |value: &&[u8]| value.first() == Some(&b'/');
    let found = sys::with_env(c"XDG_STATE_HOME", |state| {
        let state = state.filter(absolute);
        let pushed = state.map(|state| path.push(state).push(b"/mapgrow"));
        pushed.is_some()
    });
    let found = found
        || sys::with_env(c"HOME", |home| {
            let home = home.filter(|home| absolute(home) && !is_anothers(home));
            let pushed = home.map(|home| path.push(home).push(b"/.local/state/mapgrow"));
            pushed.is_some()
        });
    if !found {
        // SAFETY: `geteuid` has no preconditions.
        path.push(b"/var/tmp/mapgrow-")
            .push_decimal(u64::from(unsafe { libc::geteuid() }));
    }
}

/// Whether a directory is there and belongs to another user: `sudo` may leave the variables of the
/// one who called it, whose directories are not to be filled with root's.
pub(crate) fn is_anothers(path: &[u8]) -> bool {
    let mut name = Text::<PATH_MAX>::new();
    name.push(path);
    let Some(name) = name.as_c_str() else {
        return false;
    };
    // SAFETY: `stat` is plain data for which zero is valid.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    let found = unsafe { libc::stat(name.as_ptr(), &raw mut stat) } == 0;
    // SAFETY: `geteuid` has no preconditions.
    found && stat.st_uid != unsafe { libc::geteuid() }
}
