//! The memory that a recording lives in: one mapping, carved into regions, made real piece by
//! piece.
//!
//! The mapping spans the whole bound from the start, but a page costs memory only once it is
//! committed. For a file on tmpfs that step matters: touching a page that the file system has no
//! room for raises SIGBUS, so each piece is first populated by `madvise`, which fails with an
//! error instead, needs no descriptor (daemons close them all), and leaves the piece unused when
//! it does fail.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::config::{PATH_MAX, Settings};
use crate::run;
use crate::sync::AtomicU64;
use crate::tables::index::words_for_levels;
use mapgrow_format::layout::{self, header, region};
use mapgrow_system::sys::{self, Directory, Text};

/// Unit in which regions are committed.
const STEP: usize = 64 << 10;
const PAGE: usize = 4096;
/// Once the system has refused memory it is asked again at one in so many occasions only.
const RETRY_ONE_IN: u32 = 1024;
/// With this many recordings in the directory a new process keeps its own to itself.
const RECORDINGS_PER_DIRECTORY: usize = 64;

/// A mapping divided into regions.
pub(crate) struct Arena {
    header: &'static [AtomicU64],
    regions: [&'static [AtomicU64]; region::COUNT],
    base: *mut u8,
    length: usize,
    /// Pieces must be populated before they are touched.
    populate: AtomicBool,
    /// Times in a row that memory was refused, or not asked for after a refusal.
    refused: AtomicU32,
    file: File,
}

/// Where the recording's file lies; empty where it has none.
struct File {
    directory: Text<PATH_MAX>,
    name: Text<64>,
}

impl File {
    const fn none() -> Self {
        Self {
            directory: Text::new(),
            name: Text::new(),
        }
    }
}

// SAFETY: the mapping is shared memory accessed through atomics only; `base` serves unmapping
// and copying.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

/// Words of each region for a recording bounded by `max_memory` bytes.
fn capacities(max_memory: usize) -> [usize; region::COUNT] {
    let share = |part: usize, unit: usize| (max_memory / part / (unit * 8)).max(64) * unit;
    let sites = share(6, layout::site::WORDS);
    let edges = share(16, layout::edge::WORDS);
    // Windows of an index overflow into the next level well before a level is full: room for
    // twice as many words as records, in whole levels.
    let index = |records: usize| {
        let mut levels = 1;
        while words_for_levels(levels) < records * 2 {
            levels += 1;
        }
        words_for_levels(levels)
    };
    let live_bytes = max_memory / 5 * 2;
    let slot_bytes = (1 + layout::live::WORDS) * 8;
    let mut slots = layout::live::LEVEL0_SLOTS;
    while (slots * 2 + layout::live::LEVEL0_SLOTS) * slot_bytes <= live_bytes {
        slots = slots * 2 + layout::live::LEVEL0_SLOTS;
    }
    let mut words = [0; region::COUNT];
    words[region::MODULES] = 512 * layout::module::WORDS;
    words[region::THREADS] = 2048 * layout::thread::WORDS;
    words[region::SITE_INDEX] = index(sites / layout::site::WORDS);
    words[region::SITES] = sites;
    words[region::STACKS] = share(16, 1);
    words[region::EDGE_INDEX] = index(edges / layout::edge::WORDS);
    words[region::EDGES] = edges;
    words[region::LIVE_KEYS] = slots;
    words[region::LIVE] = slots * layout::live::WORDS;
    words[region::HISTORY] = share(16, layout::history::WORDS);
    words[region::RESIZES] = share(16, layout::event::WORDS);
    words[region::BIRTHS] = share(16, layout::event::WORDS);
    words[region::MARKS] = 256 * layout::mark::WORDS;
    words[region::GROUP_INDEX] = words[region::SITE_INDEX];
    words[region::OCCUPANCY] = share(32, layout::occupancy::WORDS);
    words
}

fn page_up(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

impl Arena {
    /// Maps a recording of `settings.max_memory` bytes, in a file if a directory for it can be
    /// had. `None` when there is not even address space.
    pub(crate) fn create(settings: &Settings, id: u64) -> Option<Self> {
        let capacities = capacities(settings.max_memory);
        let header_bytes = page_up(header::WORDS * 8);
        let length = header_bytes + capacities.iter().map(|w| page_up(w * 8)).sum::<usize>();
        let mut directory_full = false;
        let (base, file, state) = match map_file(settings, id, length, &mut directory_full) {
            Some((base, file)) => (base, file, 0),
            None if directory_full => (
                map(length, -1)?,
                File::none(),
                header::STATE_PRIVATE | header::STATE_DIR_FULL,
            ),
            None => (map(length, -1)?, File::none(), header::STATE_PRIVATE),
        };
        let populate = state == 0;
        // Children of fork get no mapping at all: they can never write into ours.
        // SAFETY: the range is our own mapping.
        unsafe { libc::madvise(base.cast(), length, libc::MADV_DONTFORK) };
        let words = |offset: usize, count: usize| -> &'static [AtomicU64] {
            // SAFETY: `offset + count * 8 <= length` by construction, the mapping is page
            // aligned, lives for ever (a recording is never unmapped while it is reachable), and
            // is only ever accessed through these atomics. Words beyond the committed prefix are
            // not touched.
            unsafe { core::slice::from_raw_parts(base.add(offset).cast::<AtomicU64>(), count) }
        };
        let mut regions: [&'static [AtomicU64]; region::COUNT] = [&[]; region::COUNT];
        let arena_header = words(0, header::WORDS);
        let mut offset = header_bytes;
        for (kind, (slot, &capacity)) in regions.iter_mut().zip(&capacities).enumerate() {
            *slot = words(offset, capacity);
            let row = header::REGIONS + kind * header::REGION_WORDS;
            set(arena_header, row, kind as u64);
            set(arena_header, row + 1, offset as u64);
            set(arena_header, row + 2, (capacity * 8) as u64);
            offset += page_up(capacity * 8);
        }
        set(arena_header, header::STATE, state);
        set(arena_header, header::COMMITTED_BYTES, header_bytes as u64);
        set(arena_header, header::MAX_MEMORY, settings.max_memory as u64);
        let populate = AtomicBool::new(populate);
        Some(Self {
            header: arena_header,
            regions,
            base,
            length,
            populate,
            refused: AtomicU32::new(0),
            file,
        })
    }

    /// The header's words.
    #[inline]
    pub(crate) fn header(&self) -> &'static [AtomicU64] {
        self.header
    }

    /// All regions, in the order of their kinds.
    pub(crate) fn regions(&self) -> &[&'static [AtomicU64]; region::COUNT] {
        &self.regions
    }

    /// All words of a region; only a committed prefix may be touched.
    pub(crate) fn region(&self, kind: usize) -> &'static [AtomicU64] {
        self.regions.get(kind).copied().unwrap_or(&[])
    }

    /// Committed bytes of a region, as raw memory for `write(2)`: a dump copies them while other
    /// threads go on writing.
    pub(crate) fn committed(&self, kind: usize) -> (*const u8, usize) {
        let words = self.region(kind);
        let row = header::REGIONS + kind * header::REGION_WORDS;
        let bytes = get(self.header, row + 3) as usize;
        (words.as_ptr().cast(), bytes.min(words.len() * 8))
    }

    /// Makes words `[0, upto)` of a region usable; `false` when the region is smaller or there
    /// is no memory for it. May be called again, and from several threads.
    pub(crate) fn commit(&self, kind: usize, upto: usize) -> bool {
        let capacity = self.region(kind).len();
        if upto > capacity || kind >= region::COUNT {
            return false;
        }
        let row = header::REGIONS + kind * header::REGION_WORDS;
        let committed = get(self.header, row + 3) as usize;
        if upto * 8 <= committed {
            return true;
        }
        self.commit_more(
            kind,
            row,
            committed,
            (upto * 8).next_multiple_of(STEP).min(capacity * 8),
        )
    }

    #[cold]
    fn commit_more(&self, kind: usize, row: usize, from: usize, to: usize) -> bool {
        let _errno = sys::ErrnoGuard::save();
        if self.populate.load(Ordering::Relaxed) {
            let refused = self.refused.load(Ordering::Relaxed);
            if !refused.is_multiple_of(RETRY_ONE_IN) {
                self.refused.store(refused + 1, Ordering::Relaxed);
                return false;
            }
            let start = self.region(kind).as_ptr() as usize + from / PAGE * PAGE;
            let end = page_up(self.region(kind).as_ptr() as usize + to);
            if !populate(start, end - start) {
                self.refused.store(1, Ordering::Relaxed);
                return false;
            }
            self.refused.store(0, Ordering::Relaxed);
        }
        let Some(committed) = self.header.get(row + 3) else {
            return false;
        };
        let before = committed.fetch_max(to as u64, Ordering::AcqRel) as usize;
        if let Some(total) = self.header.get(header::COMMITTED_BYTES) {
            total.fetch_add(to.saturating_sub(before) as u64, Ordering::Relaxed);
        }
        true
    }

    /// Takes the file's name away: the recording ends with the process.
    pub(crate) fn unlink(&self) {
        let File { directory, name } = &self.file;
        if let Some(name) = name.as_c_str().filter(|name| !name.is_empty())
            // It may be another one by now.
            && let Some(directory) = directory.as_c_str().and_then(Directory::own)
        {
            directory.remove(name);
        }
    }

    /// Unmaps a recording that was never published.
    pub(crate) fn discard(&self) {
        self.unlink();
        // SAFETY: the mapping is ours, and nobody else has seen it.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}

#[inline]
fn get(words: &[AtomicU64], at: usize) -> u64 {
    words.get(at).map_or(0, |word| word.load(Ordering::Acquire))
}

#[inline]
fn set(words: &[AtomicU64], at: usize, value: u64) {
    if let Some(word) = words.get(at) {
        word.store(value, Ordering::Release);
    }
}

/// Maps private memory (`fd` -1) or a file.
fn map(length: usize, fd: i32) -> Option<*mut u8> {
    let flags = if fd < 0 {
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE
    } else {
        libc::MAP_SHARED
    };
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
    let base = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            fd,
            0,
        )
    };
    (base != libc::MAP_FAILED).then_some(base.cast())
}

/// Zeroed private pages of the recorder's own, never part of the profiled heap.
pub(crate) fn private_pages(bytes: usize) -> Option<*mut u8> {
    map(page_up(bytes), -1)
}

/// Makes pages of a mapping real, or says that it cannot be done.
fn populate(start: usize, length: usize) -> bool {
    // SAFETY: the range lies in a mapping of ours.
    unsafe { libc::madvise(start as *mut _, length, libc::MADV_POPULATE_WRITE) == 0 }
}

/// Creates and maps the recording's file in the first directory that will have it.
fn map_file(
    settings: &Settings,
    id: u64,
    length: usize,
    directory_full: &mut bool,
) -> Option<(*mut u8, File)> {
    let mut candidates = [Text::new(), Text::new(), Text::new()];
    let [explicit, runtime, shared] = &mut candidates;
    explicit.push(settings.dir.as_bytes());
    if explicit.as_bytes().is_empty() {
        if let Some(directory) = sys::env(c"XDG_RUNTIME_DIR").filter(|d| d.first() == Some(&b'/')) {
            runtime.push(directory).push(b"/mapgrow");
        }
        // SAFETY: `geteuid` has no preconditions.
        let user = unsafe { libc::geteuid() };
        shared
            .push(b"/dev/shm/mapgrow-")
            .push_decimal(u64::from(user));
    }
    for directory in &mut candidates {
        let given = directory.as_bytes() == settings.dir.as_bytes();
        if directory.as_bytes().is_empty() {
            continue;
        }
        let Some(open) = directory.as_c_str().and_then(Directory::private) else {
            if given {
                complain_once(directory.as_bytes());
            }
            continue;
        };
        // A directory the user named is taken on whatever file system it lies. On a disk, the
        // kernel's write-back would make writers of the mapping stall.
        if !(given || open.is_on_tmpfs()) {
            continue;
        }
        let mut recordings = 0;
        open.each_entry(|name| {
            recordings += usize::from(name.to_bytes().ends_with(b".rec"));
        });
        if recordings >= RECORDINGS_PER_DIRECTORY {
            *directory_full = true;
            continue;
        }
        let mut name = Text::new();
        name.push(b"mapgrow-")
            .push_decimal(u64::from(std::process::id()))
            .push(b"-")
            .push_hex(id)
            .push(b".rec");
        if let Some(base) = name
            .as_c_str()
            .and_then(|name| create_and_map(&open, name, length))
        {
            let directory = directory.clone();
            return Some((base, File { directory, name }));
        }
    }
    None
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

fn create_and_map(directory: &Directory, name: &CStr, length: usize) -> Option<*mut u8> {
    let file = directory.create(name, libc::O_RDWR)?;
    let mapped = || {
        // SAFETY: the descriptor is open.
        if unsafe { libc::ftruncate(file.0, length as libc::off_t) } != 0 {
            return None;
        }
        let base = map(length, file.0)?;
        // Kernels before 5.14 cannot populate through the mapping: there the recording stays in
        // private memory. The header is the probe.
        if populate(base as usize, page_up(header::WORDS * 8)) {
            return Some(base);
        }
        // SAFETY: the mapping was made above and nobody else has seen it.
        unsafe { libc::munmap(base.cast(), length) };
        None
    };
    let base = mapped();
    if base.is_none() {
        directory.remove(name);
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_stay_within_the_bound() {
        for megabytes in [4usize, 16, 64, 512, 4096] {
            let bytes: usize = capacities(megabytes << 20)
                .iter()
                .map(|w| page_up(w * 8))
                .sum();
            assert!(
                bytes <= (megabytes << 20) + (1 << 20),
                "{megabytes} MiB: {bytes}"
            );
            // A bound that leaves half of itself unused would not be a bound but a guess.
            assert!(bytes >= (megabytes << 20) / 2, "{megabytes} MiB: {bytes}");
        }
    }
}
