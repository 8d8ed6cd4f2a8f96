//! The recording that this process writes.

use core::ops::Deref;
use core::sync::atomic::Ordering;

use super::arena::{Arena, Request};
use crate::config::{Mode, Settings};
use crate::pool::Commit;
use crate::sandbox;
use crate::stack;
use crate::sync::AtomicU64;
use crate::tables::Tables;
use mapgrow_format::layout::packed::Pids;
use mapgrow_format::layout::{self, header, module, region, thread};
use mapgrow_system::clock::{self, Moment};
use mapgrow_system::sys::{self, Descriptor, Text, private_pages};

/// A recording being written, with the tables in it. Lives in private pages, outside the
/// profiled heap, for as long as the process.
pub(crate) struct Recording {
    id: u64,
    arena: &'static Arena,
    tables: Tables<'static, Arena>,
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
        // then on. The borrows end before the pages do: on failure all that was lent them is gone.
        unsafe {
            Arena::create(&raw mut (*place).arena, settings, &request)?;
            let arena: &'static Arena = &(*place).arena;
            let recording = &raw mut (*place).recording;
            let set_up = Tables::new(arena.header(), arena.regions(), arena).and_then(|tables| {
                let id = request.id;
                recording.write(Recording { id, arena, tables });
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
        // SAFETY: the caller's promise; the few private pages stay behind.
        unsafe { (*recording).arena.discard() };
    }

    fn set_up(&self, settings: &Settings, origin: &Origin) -> Option<()> {
        let began = &origin.began;
        // SAFETY: `getppid` has no preconditions.
        let parent = unsafe { libc::getppid() } as u32;
        let pids = Pids {
            own: std::process::id(),
            parent,
        };
        for (word, value) in [
            (header::VERSION, layout::VERSION),
            (header::RECORDING_ID, self.id),
            (header::PID, pids.pack()),
            (header::START_UNIX_NS, began.unix_ns),
            (header::START_MONO_NS, began.monotonic_ns),
            (header::START_TICKS, began.ticks),
            // The same until the first calibration.
            (header::NOW_MONO_NS, began.monotonic_ns),
            (header::NOW_TICKS, began.ticks),
            (header::TICK_KIND, clock::kind()),
            (header::PROCESS_STARTTIME, process_starttime()),
            (header::MODE, u64::from(settings.mode == Mode::Exact)),
            (header::FLOOR, settings.floor as u64),
            (header::SAMPLE_TABLES, settings.sample_tables),
            (header::SAMPLE_HEAP, settings.sample_heap),
            (header::BUDGET_PPM, settings.budget_ppm),
            (header::BACKEND, origin.backend),
            (header::SIGNAL, origin.signal as u64),
            (header::PARENT_ID, origin.parent_id),
            (
                header::GROUP_WIDTH,
                if cfg!(target_feature = "sse2") { 16 } else { 8 },
            ),
        ] {
            self.store(word, value);
        }
        if !stack::available() {
            self.word(header::STATE)?
                .fetch_or(header::STATE_NO_STACKS, Ordering::Relaxed);
        }
        self.describe_program();
        // Slot 0 stands for threads that find none.
        if !self.arena.commit(region::THREADS, thread::WORDS) {
            return None;
        }
        self.store(header::THREAD_COUNT, 1);
        if !self.tables.start(clock::ticks()) {
            return None;
        }
        self.store(header::MAGIC, layout::MAGIC);
        Some(())
    }

    fn describe_program(&self) {
        let mut path = [0u8; header::EXE_WORDS * 8];
        // SAFETY: the kernel writes at most the given length into the buffer.
        let n = unsafe {
            libc::readlink(
                c"/proc/self/exe".as_ptr(),
                path.as_mut_ptr().cast(),
                path.len(),
            )
        };
        if n > 0 {
            self.store_bytes(header::EXE, path.get(..n as usize).unwrap_or(&[]));
        }
        let mut command = [0u8; header::COMMAND_WORDS * 8];
        if let Some(file) = Descriptor::open(c"/proc/self/cmdline", libc::O_RDONLY, 0) {
            let n = file.read_up_to(&mut command);
            self.store_bytes(header::COMMAND, command.get(..n).unwrap_or(&[]));
        }
    }

    fn store_bytes(&self, at: usize, bytes: &[u8]) {
        let words = self.arena.header().iter().skip(at);
        store_text(words, bytes);
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

    /// Whether any block was ever recorded.
    pub(crate) fn has_blocks(&self) -> bool {
        // Site 0 exists from the start.
        self.load(header::SITE_COUNT) > 1 || self.load(header::SITES_FOLDED) > 0
    }

    /// Notes what the tick counter and the clock say now, so that readers can convert.
    pub(crate) fn calibrate(&self) {
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
        self.calibrate();
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

    /// A slot for a thread that starts to record; 0 when there is none.
    pub(crate) fn thread_slot(&self, tid: u32) -> u16 {
        self.calibrate();
        let Some(count) = self.word(header::THREAD_COUNT) else {
            return 0;
        };
        let slots = self.arena.region(region::THREADS);
        let claimed = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let upto = (used as usize + 1) * thread::WORDS;
            (upto <= slots.len() && self.arena.commit(region::THREADS, upto)).then_some(used + 1)
        });
        let slot = match claimed {
            Ok(slot) => slot as usize,
            Err(_) => match self.retire_slot(tid) {
                Some(slot) => slot,
                None => {
                    self.count(header::THREADS_FOLDED, 1);
                    return 0;
                }
            },
        };
        let Some(words) = slots.get(slot * thread::WORDS..(slot + 1) * thread::WORDS) else {
            return 0;
        };
        let name = crate::thread::own_name();
        for (word, value) in words.iter().skip(thread::NAME).zip(name) {
            word.store(value, Ordering::Relaxed);
        }
        if let Some(word) = words.get(thread::START_TICKS) {
            word.store(clock::ticks(), Ordering::Relaxed);
        }
        if let Some(word) = words.get(thread::TID) {
            word.store(u64::from(tid) | 1 << 63, Ordering::Release);
        }
        slot as u16
    }

    /// Takes the slot of a thread that has ended; its totals go to the retired ones.
    #[cold]
    fn retire_slot(&self, tid: u32) -> Option<usize> {
        let slots = self.arena.region(region::THREADS);
        let taken = |owner: u64| u64::from(owner as u32) | 1 << 63;
        for (slot, words) in slots.chunks_exact(thread::WORDS).enumerate().skip(1) {
            let owner = words.get(thread::TID)?;
            let before = owner.load(Ordering::Acquire);
            if before >> 63 == 0 || !crate::thread::is_gone(before as u32 as i32) {
                continue;
            }
            let claim = owner.compare_exchange(
                before,
                taken(u64::from(tid)),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if claim.is_err() {
                continue;
            }
            let take = |at: usize| {
                words
                    .get(at)
                    .map_or(0, |word| word.swap(0, Ordering::Relaxed))
            };
            self.count(header::THREADS_RETIRED, 1);
            self.count(header::RETIRED_ALLOCATED, take(thread::ALLOCATED));
            self.count(header::RETIRED_FREED, take(thread::FREED));
            return Some(slot);
        }
        None
    }

    /// Stores one word of a thread's slot. Threads without a slot store nothing.
    pub(crate) fn store_thread(&self, slot: u16, at: usize, value: u64) {
        if slot == 0 {
            return;
        }
        let slots = self.arena.region(region::THREADS);
        if let Some(word) = slots.get(usize::from(slot) * thread::WORDS + at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Makes sure that the objects in which these addresses lie are on record; the number of
    /// modules known then.
    pub(crate) fn register_modules(&self, addresses: impl Iterator<Item = u64>) -> u64 {
        self.calibrate();
        let mut last = 0..0;
        for address in addresses {
            if last.contains(&address) {
                continue;
            }
            if let Some(object) = stack::find_object(address) {
                last = object.map_start..object.map_end;
                self.register(&object);
            }
        }
        self.load(header::MODULE_COUNT)
    }

    /// Apart from its caller: what it keeps on the stack is not on that of every record.
    #[cold]
    #[inline(never)]
    fn register(&self, object: &stack::Object) {
        let mut id = [0u8; 32];
        // SAFETY: the object was just found to be loaded; an object that a running call stack
        // leads through is not unloaded meanwhile.
        let id_length = unsafe { stack::build_id(object, &mut id) };
        let id = id.get(..id_length).unwrap_or(&[]);
        let modules = self.arena.region(region::MODULES);
        let count = self.load(header::MODULE_COUNT) as usize;
        let known = modules
            .chunks_exact(module::WORDS)
            .take(count)
            .rev()
            .find(|words| {
                let get = |at: usize| words.get(at).map_or(0, |word| word.load(Ordering::Relaxed));
                get(module::START) < object.map_end && object.map_start < get(module::END)
            });
        if known.is_some_and(|words| is_same(words, object, id)) {
            return;
        }
        let Some(total) = self.word(header::MODULE_COUNT) else {
            return;
        };
        // A number is only counted once its record is complete, so that a site never refers to
        // one that is not: two threads may both write, each its own record.
        let place = total.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            let upto = (used as usize + 1) * module::WORDS;
            (upto <= modules.len() && self.arena.commit(region::MODULES, upto)).then_some(used + 1)
        });
        let Ok(place) = place else {
            self.count(header::MODULES_DROPPED, 1);
            return;
        };
        let start = place as usize * module::WORDS;
        let Some(words) = modules.get(start..start + module::WORDS) else {
            return;
        };
        let set = |at: usize, value: u64| {
            if let Some(word) = words.get(at) {
                word.store(value, Ordering::Relaxed);
            }
        };
        set(module::START, object.map_start);
        set(module::END, object.map_end);
        set(module::BIAS, object.bias);
        store_text(words.iter().skip(module::BUILD_ID), id);
        // SAFETY: as above.
        let path = unsafe { object.path() }.to_bytes();
        let place = words.iter().skip(module::PATH).take(module::PATH_WORDS);
        if path.is_empty() {
            let exe = self.arena.header().iter().skip(header::EXE);
            for (word, exe) in place.zip(exe) {
                word.store(exe.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        } else if is_relative(path) && !sandbox::entered() {
            store_absolute(place, path);
        } else {
            store_text(place, path);
        }
        if let Some(word) = words.get(module::BUILD_ID_LEN) {
            word.store(id_length as u64 | 1 << 63, Ordering::Release);
        }
    }
}

/// Whether a path starts from the current directory (`./plugin.so`). Names without a directory are
/// no files: the kernel's own object has one.
fn is_relative(path: &[u8]) -> bool {
    !path.starts_with(b"/") && path.contains(&b'/')
}

/// Stores the whole path of an object that was loaded by a relative one, cut at the bound, if the
/// directory has not been left meanwhile.
#[cold]
#[inline(never)]
fn store_absolute<'a>(words: impl Iterator<Item = &'a AtomicU64>, path: &[u8]) {
    let mut whole = Text::<{ module::PATH_WORDS * 8 }>::new();
    let mut directory = [0; module::PATH_WORDS * 8];
    let known = sys::current_directory(&mut directory);
    if let Some(directory) = known.and_then(|length| directory.get(..length)) {
        whole.push(directory).push(b"/");
    }
    whole.push(path);
    store_text(words, whole.as_bytes());
}

/// Whether a module's record describes this object.
fn is_same(words: &[AtomicU64], object: &stack::Object, id: &[u8]) -> bool {
    let get = |at: usize| words.get(at).map_or(0, |word| word.load(Ordering::Relaxed));
    let same_id = id.chunks(8).enumerate().all(|(at, bytes)| {
        let mut padded = [0u8; 8];
        padded
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        get(module::BUILD_ID + at) == u64::from_le_bytes(padded)
    });
    get(module::START) == object.map_start
        && get(module::END) == object.map_end
        && get(module::BIAS) == object.bias
        && get(module::BUILD_ID_LEN) & 0xFF == id.len() as u64
        && same_id
}

/// Stores bytes in words, zero-padded to a whole word.
fn store_text<'a>(words: impl Iterator<Item = &'a AtomicU64>, bytes: &[u8]) {
    for (word, chunk) in words.zip(bytes.chunks(8)) {
        let mut padded = [0u8; 8];
        padded
            .iter_mut()
            .zip(chunk)
            .for_each(|(to, from)| *to = *from);
        word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
    }
}

/// Field 22 of `/proc/self/stat`; 0 when it cannot be read. The second field, the program's
/// name, may hold anything, so fields are counted from the last parenthesis on.
fn process_starttime() -> u64 {
    let mut buffer = [0u8; 1024];
    let Some(file) = Descriptor::open(c"/proc/self/stat", libc::O_RDONLY, 0) else {
        return 0;
    };
    let n = file.read_up_to(&mut buffer);
    let text = buffer.get(..n).unwrap_or(&[]);
    let after = text.iter().rposition(|&b| b == b')').map_or(0, |at| at + 2);
    const FIELDS_AFTER_NAME: usize = 22 - 3;
    let field = text
        .get(after..)
        .unwrap_or(&[])
        .split(|&b| b == b' ')
        .nth(FIELDS_AFTER_NAME);
    field.and_then(crate::config::bytes).unwrap_or(0)
}
