//! Where a recording is put: the file, and the addresses.

use core::ffi::CStr;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use super::allowance::Allowance;
use super::sizes::{HEADER_BYTES, Sizes};
use super::{PAGE, populate};
use crate::config::{AtExit, PATH_MAX, Settings, is_anothers};
use crate::run;
use mapgrow_format::layout::{self, header, region};
use mapgrow_system::sys::{self, Descriptor, Directory, Text};

/// With this many recordings in the directory a new process keeps its own to itself.
const RECORDINGS_PER_DIRECTORY: usize = 64;
/// Distances below the program's own mappings at which room is looked for. The kernel fills the
/// address space from its mappings downwards (or from a third of it upwards), so nothing comes to
/// lie there before the program has mapped as much. The shorter ones are for processors that have
/// less.
const DISTANCES: [usize; 3] = [1 << 40, 1 << 36, 1 << 32];

/// Where the recording's file lies; empty where it has none.
pub(super) struct File {
    directory: Text<PATH_MAX>,
    name: Text<64>,
}

impl File {
    pub(super) const fn none() -> Self {
        Self {
            directory: Text::new(),
            name: Text::new(),
        }
    }

    /// Directory and name.
    pub(super) fn path(&self) -> (&[u8], &[u8]) {
        (self.directory.as_bytes(), self.name.as_bytes())
    }

    /// Removes the recording's file.
    pub(super) fn unlink(&self) {
        if let Some(name) = self.name.as_c_str().filter(|name| !name.is_empty())
            // It may be another one by now.
            && let Some(directory) = self.directory.as_c_str().and_then(Directory::own)
        {
            directory.remove(name);
        }
    }
}

/// What kind of recording is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// Its random identity.
    pub(crate) id: u64,
    /// Whether a child of `fork` will notice that it is one. Where it will not, it must have a
    /// copy of the recording, which it believes to be its own.
    pub(crate) forks_seen: bool,
}

/// Memory for a recording: the header and a page of each region are mapped.
pub(super) struct Ground {
    pub(super) base: *mut u8,
    pub(super) sizes: Sizes,
    /// `header::STATE_*`.
    pub(super) state: u64,
    /// `header::LIMIT_*`.
    pub(super) limited_by: u64,
    pub(super) allowance: Allowance,
}

/// Why a directory has no recording of this process.
enum NoFile {
    /// There is no such directory, or it is not ours alone.
    NoDirectory,
    /// It holds as many recordings as it may.
    Full,
    /// One of `header::LIMIT_*`.
    Limit(u64),
}

impl Ground {
    /// In a file in the first directory that will have it, else in private memory. `None` where
    /// there is no address space either.
    pub(super) fn take(settings: &Settings, request: &Request, file: &mut File) -> Option<Self> {
        let allowance = Allowance::of_process()?;
        let mut state = header::STATE_PRIVATE;
        let mut limited_by = 0;
        for which in 0..DIRECTORIES {
            file.directory.clear();
            file.name.clear();
            if !request.forks_seen || !push_directory(which, settings, &mut file.directory) {
                continue;
            }
            match in_directory(settings, request, file, allowance) {
                Ok(ground) => return Some(ground),
                Err(NoFile::NoDirectory) => {}
                Err(NoFile::Full) => state |= header::STATE_DIR_FULL,
                Err(NoFile::Limit(reason)) => limited_by |= reason,
            }
        }
        file.directory.clear();
        file.name.clear();
        let sizes = Sizes::new(settings.max_memory);
        let base = map_anywhere(&sizes, None, request, file)?;
        if !request.forks_seen {
            state |= header::STATE_FORKS_UNSEEN;
        }
        Some(Self {
            base,
            sizes,
            state,
            limited_by,
            allowance,
        })
    }
}

/// Directories in which a recording may lie.
const DIRECTORIES: usize = 2;

/// Appends directory number `which`; false where there is none of it.
fn push_directory(which: usize, settings: &Settings, path: &mut Text<PATH_MAX>) -> bool {
    let given = settings.dir.as_bytes();
    match (which, given.is_empty()) {
        (0, false) => {
            path.push(given);
        }
        (0, true) => {
            let own = |path: &&[u8]| path.first() == Some(&b'/') && !is_anothers(path);
            return sys::with_env(c"XDG_RUNTIME_DIR", |directory| {
                let directory = directory.filter(own);
                let pushed = directory.map(|directory| path.push(directory).push(b"/mapgrow"));
                pushed.is_some()
            });
        }
        (1, true) => {
            // SAFETY: `geteuid` has no preconditions.
            let user = unsafe { libc::geteuid() };
            path.push(b"/dev/shm/mapgrow-")
                .push_decimal(u64::from(user));
        }
        _ => return false,
    }
    true
}

/// In a file in the directory that `file` names.
fn in_directory(
    settings: &Settings,
    request: &Request,
    file: &mut File,
    allowance: Allowance,
) -> Result<Ground, NoFile> {
    let given = !settings.dir.as_bytes().is_empty();
    let path = file.directory.as_c_str();
    let Some(directory) = path.and_then(Directory::private) else {
        if given {
            complain_once(file.directory.as_bytes());
        }
        return Err(NoFile::NoDirectory);
    };
    let system = directory.file_system().ok_or(NoFile::NoDirectory)?;
    // On a disk, the kernel's write-back would make writers of the mapping stall: such a
    // directory is taken only where the user named it.
    if !given && !system.in_memory {
        return Err(NoFile::NoDirectory);
    }
    let mut recordings = count(&directory);
    if recordings >= RECORDINGS_PER_DIRECTORY / 4 * 3 {
        remove_unwanted(path)?;
        recordings = path
            .and_then(Directory::own)
            .map_or(0, |directory| count(&directory));
    }
    if recordings >= RECORDINGS_PER_DIRECTORY {
        return Err(NoFile::Full);
    }
    let allowance = allowance
        .in_file_system(system.free_bytes)
        .ok_or(NoFile::Limit(header::LIMIT_FILE_SYSTEM))?;
    // A longer file is not only refused: the kernel would send SIGXFSZ.
    let longest = sys::limit(libc::RLIMIT_FSIZE).unwrap_or(u64::MAX);
    let sizes = Sizes::within(settings.max_memory, longest)
        .ok_or(NoFile::Limit(header::LIMIT_FILE_SIZE))?;
    file.name
        .push(b"mapgrow-")
        .push_decimal(u64::from(std::process::id()))
        .push(b"-")
        .push_hex(request.id)
        .push(b".rec");
    let unwanted = settings.at_exit == AtExit::None;
    let (base, held) =
        create_and_map(&directory, &sizes, request, file, unwanted).map_err(NoFile::Limit)?;
    let shortened = sizes.max_memory < settings.max_memory;
    Ok(Ground {
        base,
        sizes,
        state: if held { header::STATE_UNWANTED } else { 0 },
        limited_by: if shortened {
            header::LIMIT_FILE_SIZE
        } else {
            0
        },
        allowance,
    })
}

fn count(directory: &Directory) -> usize {
    let mut recordings = 0;
    directory.each_entry(|name| {
        recordings += usize::from(name.to_bytes().ends_with(b".rec"));
    });
    recordings
}

/// Removes recordings that were to leave nothing (`MAPGROW_AT_EXIT=none`) and whose processes are
/// gone: such a process makes no call at its end, not even to unlink its file. A live one holds its
/// file; its id would not do, for in another container it is another process's.
#[cold]
fn remove_unwanted(path: Option<&CStr>) -> Result<(), NoFile> {
    let directory = path.and_then(Directory::own).ok_or(NoFile::NoDirectory)?;
    let word = |words: &[u8], at: usize| {
        let bytes = words.get(at * 8..at * 8 + 8);
        bytes.map_or(0, |bytes| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte))
        })
    };
    directory.each_entry(|name| {
        if !name.to_bytes().ends_with(b".rec") {
            return;
        }
        let mut start = [0; (header::STATE + 1) * 8];
        let Some(file) = directory.open(name) else {
            return;
        };
        let unwanted = file.read_up_to(&mut start) == start.len()
            && word(&start, header::MAGIC) == layout::MAGIC
            && word(&start, header::STATE) & header::STATE_UNWANTED != 0;
        if unwanted && !file.is_held() {
            directory.remove(name);
        }
    });
    Ok(())
}

/// Names a directory that the user asked for and that cannot be used, once for a process and those
/// that it forks. One that the command made for its run may be closed to a program that has given
/// up its rights: that is nobody's mistake.
#[cold]
fn complain_once(directory: &[u8]) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let of_a_run = directory
        .split(|&byte| byte == b'/')
        .any(|part| part.starts_with(run::PREFIX));
    if !of_a_run && !TOLD.swap(true, Ordering::Relaxed) {
        sys::complain(&[
            b"MAPGROW_DIR=",
            directory.get(..80).unwrap_or(directory),
            b" cannot be used (it must be a directory of this user's own that nobody else may \
              write to): the recording stays in private memory",
        ]);
    }
}

/// Where the new file is mapped, and whether this process holds it, if it is to.
fn create_and_map(
    directory: &Directory,
    sizes: &Sizes,
    request: &Request,
    file: &File,
    hold: bool,
) -> Result<(*mut u8, bool), u64> {
    let name = file.name.as_c_str().ok_or(header::LIMIT_REFUSED)?;
    let open = directory
        .create(name, libc::O_RDWR)
        .ok_or(header::LIMIT_REFUSED)?;
    let mapped = || {
        // SAFETY: the descriptor is open. The file is sparse: only what is populated takes room.
        if unsafe { libc::ftruncate(open.number(), sizes.length() as libc::off_t) } != 0 {
            return Err(header::LIMIT_FILE_SIZE);
        }
        let base =
            map_anywhere(sizes, Some(&open), request, file).ok_or(header::LIMIT_ADDRESS_SPACE)?;
        // Kernels before 5.14 cannot populate through the mapping: there the recording stays in
        // private memory. The header is the probe.
        let start = base as usize;
        if populate(start, start + HEADER_BYTES) {
            return Ok((base, hold && open.hold()));
        }
        // SAFETY: all were mapped just now, and nobody else has seen them.
        unsafe { unmap_pieces(base, sizes, region::COUNT + 1) };
        Err(header::LIMIT_REFUSED)
    };
    let result = mapped();
    if result.is_err() {
        directory.remove(name);
    }
    result
}

/// The pieces that are mapped at first: the header, and a page of each region.
fn pieces(sizes: &Sizes) -> impl Iterator<Item = (usize, usize)> {
    let regions = sizes.places().map(|place| (place.offset, PAGE));
    [(0, HEADER_BYTES)].into_iter().chain(regions)
}

/// Unmaps the first `count` pieces.
///
/// # Safety
/// They are mapped at `base`, and no reference into them is used afterwards.
unsafe fn unmap_pieces(base: *mut u8, sizes: &Sizes, count: usize) {
    for (offset, length) in pieces(sizes).take(count) {
        // SAFETY: the piece is mapped with this length, and nobody uses it any more (this contract).
        unsafe { libc::munmap(base.wrapping_add(offset).cast(), length) };
    }
}

/// Maps the pieces where there is room for all that they may grow to.
fn map_anywhere(
    sizes: &Sizes,
    file: Option<&Descriptor>,
    request: &Request,
    near: &File,
) -> Option<*mut u8> {
    const ALIGN: usize = 2 << 20;
    // Pages of ours that were just mapped lie where the kernel puts mappings now.
    let near = ptr::from_ref(near) as usize;
    DISTANCES.iter().find_map(|&distance| {
        // Recordings that are made at once (threads race for the first block) need a place each.
        let apart = distance / 64 * (request.id as usize / 2 % 64);
        let base = near.checked_sub(distance + apart + sizes.length())? & !(ALIGN - 1);
        if base < 1 << 32 {
            return None;
        }
        map_at(base, sizes, file, request)
    })
}

fn map_at(
    base: usize,
    sizes: &Sizes,
    file: Option<&Descriptor>,
    request: &Request,
) -> Option<*mut u8> {
    let (kind, descriptor) = match file {
        Some(file) => (libc::MAP_SHARED, file.number()),
        None => (
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
        ),
    };
    for (done, (offset, length)) in pieces(sizes).enumerate() {
        // SAFETY: a fresh mapping; where something lies already the kernel refuses.
        let mapped = unsafe {
            libc::mmap(
                ptr::without_provenance_mut(base + offset),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                kind | libc::MAP_FIXED_NOREPLACE,
                descriptor,
                if file.is_some() { offset as i64 } else { 0 },
            )
        };
        let start = ptr::with_exposed_provenance_mut(base);
        if mapped.expose_provenance() != base + offset {
            if mapped != libc::MAP_FAILED {
                // A kernel that does not know the flag put it elsewhere.
                // SAFETY: mapped just now.
                unsafe { libc::munmap(mapped, length) };
            }
            // SAFETY: so many were mapped before this one, and nobody else has seen them.
            unsafe { unmap_pieces(start, sizes, done) };
            return None;
        }
        // Children of fork get no mapping at all: they can never write into ours. In private
        // memory each has its own copy anyway.
        // SAFETY: the range is our own mapping.
        let unforked = request.forks_seen
            && unsafe { libc::madvise(mapped, length, libc::MADV_DONTFORK) } == 0;
        if !unforked && file.is_some() {
            // SAFETY: this one and those before it are mapped, and nobody else has seen them.
            unsafe { unmap_pieces(start, sizes, done + 1) };
            return None;
        }
    }
    Some(ptr::with_exposed_provenance_mut(base))
}
