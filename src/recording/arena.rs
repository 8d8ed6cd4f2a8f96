//! The memory that a recording lives in: regions that grow in place, piece by piece.
//!
//! The process' limits are the program's, so nothing is taken before it is used: no address space
//! is reserved, none of it can be counted against `RLIMIT_AS` or be locked by `mlockall`. Each
//! region is a mapping of its own, at first of one page, at a distance from the program's other
//! mappings where nothing else comes to lie; `mremap` lengthens it in place when more of it is
//! needed. That needs no descriptor, which daemons close, and no path, and it never replaces what
//! another has mapped there: it fails instead, as it does at every limit. What was recorded until
//! then stays.
//!
//! A page of a file on tmpfs that the file system has no room for raises SIGBUS when it is
//! touched, so each piece is first populated by `madvise`, which fails with an error instead.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

mod allowance;
mod place;
mod sizes;

pub(crate) use place::Request;

use crate::config::Settings;
use crate::sandbox;
use crate::sync::AtomicU64;
use allowance::Allowance;
use mapgrow_format::layout::packed::RegionRow;
use mapgrow_format::layout::{header, region};
use mapgrow_system::{clock, sys};
use place::{File, Ground};

const PAGE: usize = 4096;
/// A region grows by a quarter of itself at a time, and by no more than this.
const STEP_MOST: usize = 1 << 20;
/// Once the system has refused memory it is asked again at one in so many occasions only.
const RETRY_ONE_IN: u32 = 1024;
/// Bit of [`Arena::mapped`]: a thread is lengthening the mapping.
const GROWING: usize = 1;

/// Waits for another thread that has a system call and one instruction to go. It may have lost
/// the processor, so the wait gives it away too. Without end only if that thread was killed in
/// between, so there is one: what is to be recorded is then counted as having found no room.
#[derive(Default)]
struct Patience {
    turns: u32,
    until_ns: u64,
}

impl Patience {
    /// Turns before the processor is given away.
    const SPINS: u32 = 64;
    /// Longest wait.
    const MOST_NS: u64 = 200_000_000;

    /// Waits for a moment; false when it has been long enough.
    #[cold]
    fn wait(&mut self) -> bool {
        self.turns = self.turns.saturating_add(1);
        if self.turns <= Self::SPINS {
            core::hint::spin_loop();
            return true;
        }
        let now = clock::monotonic_ns();
        if self.until_ns == 0 {
            self.until_ns = now.saturating_add(Self::MOST_NS);
        }
        // SAFETY: `sched_yield` has no preconditions.
        unsafe { libc::sched_yield() };
        now < self.until_ns
    }
}

/// A mapping divided into regions.
pub(crate) struct Arena {
    header: &'static [AtomicU64],
    regions: [&'static [AtomicU64]; region::COUNT],
    /// Bytes of each region that are mapped, whole pages, and [`GROWING`].
    mapped: [AtomicUsize; region::COUNT],
    /// Pieces must be populated before they are touched.
    populate: bool,
    allowance: Allowance,
    /// Times in a row that memory was refused, or not asked for after a refusal.
    refused: AtomicU32,
    file: File,
}

fn page_up(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

impl Arena {
    /// Maps an empty recording of at most `settings.max_memory` bytes, in a file if a directory
    /// for it can be had, and puts what is known of it into `place`. `None` when the process has
    /// no memory to spare for it.
    ///
    /// # Safety
    /// `place` may be written to, and nobody else knows it.
    pub(crate) unsafe fn create(
        place: *mut Self,
        settings: &Settings,
        request: &Request,
    ) -> Option<()> {
        // SAFETY: the field lies in `place`, and is written before it is borrowed.
        let file = unsafe {
            (&raw mut (*place).file).write(File::none());
            &mut (*place).file
        };
        let ground = Ground::take(settings, request, file)?;
        let base = ground.base;
        let words = |offset: usize, count: usize| -> &'static [AtomicU64] {
            // SAFETY: the range is aligned and was set aside for this region. Only the committed
            // part is mapped and ever touched, by atomics; the rest is no valid memory, which
            // `from_raw_parts` does ask for.
            unsafe {
                core::slice::from_raw_parts(base.wrapping_add(offset).cast::<AtomicU64>(), count)
            }
        };
        let mut regions: [&'static [AtomicU64]; region::COUNT] = [&[]; region::COUNT];
        let arena_header = words(0, header::WORDS);
        let places = ground.sizes.places();
        for (kind, (slot, place)) in regions.iter_mut().zip(places).enumerate() {
            *slot = words(place.offset, place.words);
            let row = RegionRow {
                offset: place.offset as u64,
                capacity: (place.words * 8) as u64,
                committed: 0,
            };
            row.write(kind, |word, value| set(arena_header, word, value));
        }
        set(arena_header, header::STATE, ground.state);
        set(arena_header, header::LIMITED_BY, ground.limited_by);
        set(
            arena_header,
            header::COMMITTED_BYTES,
            sizes::HEADER_BYTES as u64,
        );
        set(
            arena_header,
            header::MAX_MEMORY,
            ground.sizes.max_memory as u64,
        );
        let mapped = [const { AtomicUsize::new(PAGE) }; region::COUNT];
        let populate = ground.state & header::STATE_PRIVATE == 0;
        // SAFETY: the fields lie in `place`; with them all of it is written.
        unsafe {
            (&raw mut (*place).header).write(arena_header);
            (&raw mut (*place).regions).write(regions);
            (&raw mut (*place).mapped).write(mapped);
            (&raw mut (*place).populate).write(populate);
            (&raw mut (*place).allowance).write(ground.allowance);
            (&raw mut (*place).refused).write(AtomicU32::new(0));
        }
        Some(())
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
        let bytes = get(self.header, RegionRow::committed_word(kind)) as usize;
        (words.as_ptr().cast(), bytes.min(words.len() * 8))
    }

    /// Makes words `[0, upto)` of a region usable; `false` when the region is smaller or there
    /// is no memory for it. May be called again, and from several threads.
    pub(crate) fn commit(&self, kind: usize, upto: usize) -> bool {
        let capacity = self.region(kind).len();
        if upto > capacity || kind >= region::COUNT {
            return false;
        }
        let committed = get(self.header, RegionRow::committed_word(kind)) as usize;
        if upto * 8 <= committed {
            return true;
        }
        self.commit_more(kind, committed, upto * 8, capacity * 8)
    }

    /// Grows each region, so that a good part of what a program does in a sandbox can be recorded:
    /// there they stay as they are.
    #[cfg(feature = "preload")]
    pub(crate) fn prepare_for_sandbox(&self) {
        const LEAST: usize = 32 << 10;
        const TIMES: usize = 3;
        for (kind, words) in self.regions.iter().enumerate() {
            // Nothing is in these where frees tell no size.
            if matches!(kind, region::UNTOLD | region::UNTOLD_INDEX) {
                continue;
            }
            let committed = self.committed(kind).1;
            let wanted = (committed * TIMES).max(LEAST) / 8;
            self.commit(kind, wanted.min(words.len()));
        }
    }

    #[cold]
    fn commit_more(&self, kind: usize, from: usize, upto: usize, capacity: usize) -> bool {
        if sandbox::entered() {
            if let Some(reasons) = self.header.get(header::LIMITED_BY) {
                reasons.fetch_or(header::LIMIT_SANDBOX, Ordering::Relaxed);
            }
            return false;
        }
        let _errno = sys::ErrnoGuard::save();
        // What asks most often, and can do without, has its own patience (see its table).
        if kind == region::UNTOLD {
            return self.obtain(kind, from, page_up(upto)) && self.committed_to(kind, upto);
        }
        let refused = self.refused.load(Ordering::Relaxed);
        if !refused.is_multiple_of(RETRY_ONE_IN) {
            self.refused
                .store(refused.wrapping_add(1), Ordering::Relaxed);
            return false;
        }
        let ahead = from.saturating_add((from / 4).min(STEP_MOST));
        let wanted = page_up(upto.max(ahead)).min(page_up(capacity));
        // With less room than for a step, what is needed now may still be had.
        let Some(to) = [wanted, page_up(upto)]
            .into_iter()
            .find(|&to| self.obtain(kind, from, to))
        else {
            self.refused.store(1, Ordering::Relaxed);
            return false;
        };
        self.refused.store(0, Ordering::Relaxed);
        self.committed_to(kind, to.min(capacity))
    }

    /// Notes that bytes `[0, to)` of a region are real.
    fn committed_to(&self, kind: usize, to: usize) -> bool {
        let Some(committed) = self.header.get(RegionRow::committed_word(kind)) else {
            return false;
        };
        let before = committed.fetch_max(to as u64, Ordering::AcqRel) as usize;
        if let Some(total) = self.header.get(header::COMMITTED_BYTES) {
            total.fetch_add(to.saturating_sub(before) as u64, Ordering::Relaxed);
        }
        true
    }

    /// Maps bytes `[0, to)` of a region, and makes those from `from` on real.
    fn obtain(&self, kind: usize, from: usize, to: usize) -> bool {
        let total = get(self.header, header::COMMITTED_BYTES) as usize;
        let start = self.region(kind).as_ptr() as usize;
        let more = to.saturating_sub(from);
        let granted = match kind {
            region::UNTOLD => self.allowance.grants_part(to),
            _ => Ok(()),
        };
        let denied = match granted.and_then(|()| self.allowance.grants(total, more)) {
            Err(reason) => reason,
            Ok(()) => match self.extend(kind, start, to) {
                Err(reason) => reason,
                Ok(()) if self.populate && !populate(start + from / PAGE * PAGE, start + to) => {
                    header::LIMIT_FILE_SYSTEM
                }
                Ok(()) => return true,
            },
        };
        if let Some(reasons) = self.header.get(header::LIMITED_BY) {
            reasons.fetch_or(denied, Ordering::Relaxed);
        }
        false
    }

    /// Lengthens a region's mapping to `to` bytes. One thread at a time: the kernel's refusal
    /// would not tell another, who gives an old length that is no longer the mapping's, from one
    /// that has met a limit.
    fn extend(&self, kind: usize, start: usize, to: usize) -> Result<(), u64> {
        let Some(mapped) = self.mapped.get(kind) else {
            return Err(header::LIMIT_ADDRESS_SPACE);
        };
        let mut patience = Patience::default();
        let have = loop {
            let word = mapped.load(Ordering::Acquire);
            if word & !GROWING >= to {
                return Ok(());
            }
            let mine = word & GROWING == 0
                && mapped
                    .compare_exchange(word, word | GROWING, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok();
            if mine {
                break word;
            }
            if !patience.wait() {
                return Err(header::LIMIT_ADDRESS_SPACE);
            }
        };
        // SAFETY: bytes `[start, start + have)` are a mapping of ours, and no other thread changes
        // its length while `GROWING` is set; it is not moved, and nothing that lies behind it is
        // touched.
        let grown = unsafe { libc::mremap(start as *mut _, have, to, 0) };
        if grown != libc::MAP_FAILED {
            mapped.store(to, Ordering::Release);
            return Ok(());
        }
        let reason = match sys::errno() {
            libc::EAGAIN => header::LIMIT_LOCKED,
            _ => header::LIMIT_ADDRESS_SPACE,
        };
        mapped.store(have, Ordering::Release);
        Err(reason)
    }

    /// Directory and name of the file; empty where there is none.
    pub(crate) fn file(&self) -> (&[u8], &[u8]) {
        self.file.path()
    }

    /// Takes the file's name away: the recording ends with the process.
    pub(crate) fn unlink(&self) {
        self.file.unlink();
    }

    /// Unmaps a recording that was never published.
    ///
    /// # Safety
    /// No reference into the mappings (the header, the regions) is used afterwards.
    pub(crate) unsafe fn discard(&self) {
        self.unlink();
        let header = (self.header.as_ptr() as usize, sizes::HEADER_BYTES);
        let regions = self.regions.iter().zip(&self.mapped);
        let regions = regions.map(|(words, mapped)| {
            (
                words.as_ptr() as usize,
                mapped.load(Ordering::Acquire) & !GROWING,
            )
        });
        for (start, length) in regions.chain([header]) {
            // SAFETY: this mapping was made with this length, and nobody uses its words any more
            // (this contract).
            unsafe { libc::munmap(start as *mut _, length) };
        }
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

/// Makes the pages from `start` to `end` real, or says that it cannot be done.
fn populate(start: usize, end: usize) -> bool {
    // SAFETY: the range lies in a mapping of ours.
    unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_POPULATE_WRITE) == 0 }
}
