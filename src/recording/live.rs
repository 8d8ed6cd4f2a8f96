//! The recording that this process writes.

mod header_set_up;
mod modules;
mod threads;

use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};

use super::arena::{Arena, Request};
use crate::config::Settings;
use crate::pool::Commit;
use crate::sync::AtomicU64;
use crate::tables::Tables;
use mapgrow_format::layout::header;
use mapgrow_format::layout::packed::Pids;
use mapgrow_system::clock::{self, Moment};
use mapgrow_system::sys::{self, private_pages};

/// A recording being written, with the tables in it. Lives in private pages, outside the
/// profiled heap, for as long as the process.
pub(crate) struct Recording {
    id: u64,
    arena: &'static Arena,
    tables: Tables<'static, Arena>,
    /// Processor time that reading the live tables into it may take.
    pub(crate) read_ns: u64,
    /// Set while a thread reads the live tables into it.
    pub(crate) being_measured: AtomicBool,
    /// Set once the program has ended: it is dumped only once.
    pub(crate) left_at_exit: AtomicBool,
    /// The same for `exec`, which may fail and be tried again.
    pub(crate) left_at_exec: AtomicBool,
    /// What became of the dump from before an interpreter took down what the program has.
    #[cfg(feature = "preload")]
    pub(crate) taken_down: TakenDown,
}

/// The dump that is written when an interpreter begins to take down what the program has.
#[cfg(feature = "preload")]
pub(crate) struct TakenDown {
    /// Set once somebody tries to write it: nobody tries again.
    pub(crate) tried: AtomicBool,
    /// Set once it is there.
    pub(crate) written: AtomicBool,
    /// Bytes that had been allocated in recorded blocks by then, and those live of them.
    pub(crate) allocated: AtomicU64,
    pub(crate) held: AtomicU64,
}

#[cfg(feature = "preload")]
impl TakenDown {
    const fn new() -> Self {
        Self {
            tried: AtomicBool::new(false),
            written: AtomicBool::new(false),
            allocated: AtomicU64::new(0),
            held: AtomicU64::new(0),
        }
    }
}

/// What a recording is told about the process it belongs to.
pub(crate) struct Origin {
    /// When its process began.
    pub(crate) began: Moment,
    /// Recording of the process that this one was forked from; 0: none.
    pub(crate) parent_id: u64,
    /// `header::BACKEND_*`.
    pub(crate) backend: u64,
    /// Signal that asks for a dump; 0: none was taken.
    pub(crate) signal: i32,
    /// Whether a child of `fork` notices that it is one.
    pub(crate) forks_seen: bool,
}

impl Commit for Arena {
    #[inline]
    fn commit(&self, region: usize, upto_words: usize) -> bool {
        Arena::commit(self, region, upto_words)
    }
}

impl Deref for Recording {
    type Target = Tables<'static, Arena>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.tables
    }
}

/// Arena and recording in one allocation of private pages.
struct Place {
    arena: Arena,
    recording: Recording,
}

impl Recording {
    /// Makes an empty recording; `None` when there is no memory for it.
    ///
    /// Whoever records first may have a small stack: what is large lies in the pages.
    pub(crate) fn create(settings: &Settings, origin: &Origin) -> Option<*mut Recording> {
        let size = core::mem::size_of::<Place>();
        let place = private_pages(size)?.cast::<Place>();
        // SAFETY: fresh pages of sufficient size and alignment, known to nobody else.
        let made = unsafe { Self::create_in(place, settings, origin) };
        if made.is_none() {
            // SAFETY: nothing in the pages was shown to anybody.
            unsafe { libc::munmap(place.cast(), size) };
        }
        made
    }

    /// Makes a recording in `place`; on failure nothing is left behind, neither memory nor a
    /// file.
    ///
    /// # Safety
    /// `place` is zeroed memory that nobody else knows and that is never unmapped, unless this
    /// fails.
    unsafe fn create_in(
        place: *mut Place,
        settings: &Settings,
        origin: &Origin,
    ) -> Option<*mut Recording> {
        let request = Request {
            id: sys::random(),
            forks_seen: origin.forks_seen,
        };
        // SAFETY: the arena is written before it is borrowed, and neither is moved or dropped from
        // then on. The borrows end before the pages do: on failure all that was lent them is gone,
        // and nobody has seen the arena that is discarded.
        unsafe {
            Arena::create(&raw mut (*place).arena, settings, &request)?;
            let arena: &'static Arena = &(*place).arena;
            let recording = &raw mut (*place).recording;
            let set_up = Tables::new(arena.header(), arena.regions(), arena).and_then(|tables| {
                let id = request.id;
                recording.write(Recording {
                    id,
                    arena,
                    tables,
                    read_ns: settings.read_ns,
                    being_measured: AtomicBool::new(false),
                    left_at_exit: AtomicBool::new(false),
                    left_at_exec: AtomicBool::new(false),
                    #[cfg(feature = "preload")]
                    taken_down: TakenDown::new(),
                });
                (*recording).set_up(settings, origin)
            });
            if set_up.is_none() {
                arena.discard();
                return None;
            }
            Some(recording)
        }
    }

    /// Undoes [`create`](Self::create).
    ///
    /// # Safety
    /// Nobody else has seen `recording`, which came from `create`.
    pub(crate) unsafe fn discard(recording: *mut Recording) {
        // SAFETY: nobody has seen `recording` (this contract), so no word of its mappings is in use.
        // The few private pages stay behind.
        unsafe { (*recording).arena.discard() };
    }

    /// Identity of this recording.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The header's words.
    pub(crate) fn header(&self) -> &'static [AtomicU64] {
        self.arena.header()
    }

    /// See [`Arena::committed`].
    pub(crate) fn committed(&self, kind: usize) -> (*const u8, usize) {
        self.arena.committed(kind)
    }

    /// The committed words of a region.
    pub(crate) fn committed_words(&self, kind: usize) -> &'static [AtomicU64] {
        let words = self.arena.region(kind);
        words
            .get(..self.arena.committed(kind).1 / 8)
            .unwrap_or(words)
    }

    /// Makes words `[0, upto)` of a region usable; false when there is no room.
    pub(crate) fn commit(&self, kind: usize, upto: usize) -> bool {
        self.arena.commit(kind, upto)
    }

    fn word(&self, at: usize) -> Option<&'static AtomicU64> {
        self.arena.header().get(at)
    }

    pub(crate) fn load(&self, at: usize) -> u64 {
        self.word(at).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    pub(crate) fn store(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Release);
        }
    }

    /// Adds to one of the header's counters.
    pub(crate) fn count(&self, at: usize, amount: u64) {
        if let Some(word) = self.word(at) {
            word.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Whether somebody outside has switched recording off for now.
    #[inline]
    pub(crate) fn paused(&self) -> bool {
        self.load(header::CONTROL) != 0
    }

    /// Whether this process made it. A child of `vfork` has its parent's memory.
    pub(crate) fn is_of_this_process(&self) -> bool {
        Pids::unpack(self.load(header::PID)).own == std::process::id()
    }

    /// Makes the regions as large as they may have to be while nothing can be asked of the system.
    #[cfg(feature = "preload")]
    pub(crate) fn prepare_for_sandbox(&self) {
        self.arena.prepare_for_sandbox();
    }

    /// Pauses recording or resumes it.
    #[cfg(feature = "preload")]
    pub(crate) fn pause(&self, pause: bool) {
        if pause && !self.paused() {
            self.count(header::PAUSES, 1);
        }
        self.store(header::CONTROL, u64::from(pause));
    }

    /// Notes what became of an interpreter's frames: `header::INTERPRETER`.
    #[cfg(feature = "preload")]
    pub(crate) fn note_interpreter(&self, told: u64) {
        self.store(header::INTERPRETER, told);
    }

    /// Whether any block was ever recorded.
    pub(crate) fn has_blocks(&self) -> bool {
        // Site 0 exists from the start.
        self.load(header::SITE_COUNT) > 1 || self.load(header::SITES_FOLDED) > 0
    }

    /// Notes what the tick counter and the clock say now, so that readers can convert.
    pub(crate) fn note_clocks(&self) {
        let (ticks, mono) = (clock::ticks(), clock::monotonic_ns());
        self.store(header::NOW_TICKS, ticks);
        self.store(header::NOW_MONO_NS, mono);
    }

    /// Ticks in a millisecond, as far as is known by now.
    pub(crate) fn ticks_per_ms(&self) -> u64 {
        if clock::kind() == 0 {
            return 1_000_000;
        }
        let ticks = clock::ticks().saturating_sub(self.load(header::START_TICKS));
        let ns = clock::monotonic_ns().saturating_sub(self.load(header::START_MONO_NS));
        // Too little time has passed to tell: any clock of a machine that has such a counter
        // runs at 1 to 6 GHz.
        if ns < 100_000 {
            2_000_000
        } else {
            (ticks / (ns / 1_000)).saturating_mul(1_000)
        }
    }

    /// Marks the recording of a process that ends in an orderly way.
    pub(crate) fn finish(&self) {
        self.note_clocks();
        if let Some(state) = self.word(header::STATE) {
            state.fetch_or(header::STATE_FINISHED, Ordering::Relaxed);
        }
    }

    /// Directory and name of the recording's file; empty where it has none.
    pub(crate) fn file(&self) -> (&[u8], &[u8]) {
        self.arena.file()
    }

    /// Takes the recording's name away, so that it ends with the process.
    pub(crate) fn unlink(&self) {
        self.arena.unlink();
    }
}
