//! The allocator: entry points that forward to the backend, and report to the recorder what the
//! fast path does not let pass.

use std::alloc::{GlobalAlloc, Layout};

use crate::calibration;
use crate::config::{AtExit, Defaults, Mode};
use crate::hook;
use crate::record::{self, Entry, Moved, driver};
use crate::thread;
use mapgrow_format::layout::header;

#[cfg(feature = "jemalloc")]
type DefaultBackend = tikv_jemallocator::Jemalloc;
#[cfg(not(feature = "jemalloc"))]
type DefaultBackend = std::alloc::System;

/// The recording allocator.
///
/// ```
/// use mapgrow::MapGrow;
///
/// #[global_allocator]
/// static ALLOC: MapGrow = MapGrow::new();
///
/// let squares: std::collections::HashMap<u64, u64> = (0..100_000).map(|n| (n, n * n)).collect();
/// assert_eq!(squares[&9], 81);
/// ```
///
/// Recording starts with the first allocation; the dump signal and the exit hook install
/// themselves. The methods below give defaults, which the environment overrides.
pub struct MapGrow<B = DefaultBackend> {
    backend: B,
    backend_kind: u64,
    defaults: Defaults,
}

#[cfg(feature = "jemalloc")]
impl MapGrow {
    /// The recorder over jemalloc.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            backend: tikv_jemallocator::Jemalloc,
            backend_kind: header::BACKEND_JEMALLOC,
            defaults: Defaults::new(),
        }
    }
}

#[cfg(feature = "jemalloc")]
impl Default for MapGrow {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> MapGrow<B> {
    /// The recorder over any other allocator.
    #[must_use]
    pub const fn with_backend(backend: B) -> Self {
        Self {
            backend,
            backend_kind: header::BACKEND_CUSTOM,
            defaults: Defaults::new(),
        }
    }

    /// Records everything, whatever it costs (`MAPGROW=exact`).
    #[must_use]
    pub const fn exact(mut self) -> Self {
        self.defaults.mode = Mode::Exact;
        self
    }

    /// Records nothing unless the environment says otherwise (`MAPGROW=off`).
    #[must_use]
    pub const fn off(mut self) -> Self {
        self.defaults.mode = Mode::Off;
        self
    }

    /// Blocks of at least this many bytes are recorded with certainty (`MAPGROW_FLOOR`;
    /// default 1024).
    #[must_use]
    pub const fn floor(mut self, bytes: usize) -> Self {
        self.defaults.floor = bytes;
        self
    }

    /// Mean bytes between samples of small tables (`MAPGROW_SAMPLE`; default 64 KiB).
    #[must_use]
    pub const fn sample(mut self, bytes: u64) -> Self {
        self.defaults.sample_tables = bytes;
        self
    }

    /// Share of a thread's time that recording may take, in percent; 0 for no bound
    /// (`MAPGROW_BUDGET`; default 1).
    #[must_use]
    pub const fn budget_percent(mut self, percent: u32) -> Self {
        self.defaults.budget_ppm = percent as u64 * 10_000;
        self
    }

    /// Bound of the recording's memory in bytes (`MAPGROW_MAX_MEMORY`; default 64 MiB, 512 MiB
    /// when exact).
    #[must_use]
    pub const fn max_memory(mut self, bytes: usize) -> Self {
        self.defaults.max_memory = Some(bytes);
        self
    }

    /// Prints the report to stderr when the program ends, instead of writing a dump
    /// (`MAPGROW_AT_EXIT=report`).
    #[must_use]
    pub const fn report_at_exit(mut self) -> Self {
        self.defaults.at_exit = AtExit::Report;
        self
    }

    /// Leaves nothing behind when the program ends (`MAPGROW_AT_EXIT=none`).
    #[must_use]
    pub const fn nothing_at_exit(mut self) -> Self {
        self.defaults.at_exit = AtExit::None;
        self
    }

    /// Takes no signal (`MAPGROW_SIGNAL=none`).
    #[must_use]
    pub const fn no_signal(mut self) -> Self {
        self.defaults.signal = 0;
        self
    }
}

impl<B: GlobalAlloc> MapGrow<B> {
    /// What the backend is asked for a block, or the calibration, if that is what the thread is at.
    ///
    /// # Safety
    /// As [`GlobalAlloc::alloc`], or `alloc_zeroed` if `entry` says so.
    #[inline]
    unsafe fn give(&self, entry: Entry, layout: Layout) -> *mut u8 {
        if let Some(block) = calibration::stand_in(layout) {
            return block;
        }
        match entry {
            // SAFETY: `layout` is not of size zero: this method's contract, and all of the backend's.
            Entry::Zeroed => unsafe { self.backend.alloc_zeroed(layout) },
            // SAFETY: as above.
            _ => unsafe { self.backend.alloc(layout) },
        }
    }

    /// # Safety
    /// As [`GlobalAlloc::dealloc`].
    #[inline]
    unsafe fn take_back(&self, block: *mut u8, layout: Layout) {
        if !calibration::is_stand_in(block) {
            // SAFETY: `block` is live, of this layout, and not the calibration's: the backend gave it.
            unsafe { self.backend.dealloc(block, layout) };
        }
    }

    /// # Safety
    /// As [`GlobalAlloc::realloc`].
    #[inline]
    unsafe fn resize(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !calibration::is_stand_in(block) {
            // SAFETY: `block` is live, of this layout, and not the calibration's: the backend gave it;
            // `size` is one that it may be given, this method's contract says.
            return unsafe { self.backend.realloc(block, layout, size) };
        }
        // SAFETY: `size` rounded up to the alignment does not overflow, this method's contract says.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: `size` is not zero.
        let moved = unsafe { self.give(Entry::Alloc, wanted) };
        if !moved.is_null() {
            // SAFETY: both are live, have as many bytes, and are not the same.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(size)) };
        }
        moved
    }

    fn begin(&self) -> Option<record::Session> {
        record::Session::begin(&self.defaults, self.backend_kind)
    }

    /// # Safety
    /// As [`GlobalAlloc::alloc`], or `alloc_zeroed` if `entry` says so.
    #[cold]
    #[inline(never)]
    unsafe fn alloc_recorded(&self, entry: Entry, layout: Layout) -> *mut u8 {
        // SAFETY: `layout` is not of size zero, and this is the only request made for it.
        let give = || unsafe { self.give(entry, layout) };
        if thread::is_off_here() {
            return give();
        }
        let asked = (layout.size(), layout.align());
        driver::allocate(|| self.begin(), entry, asked, give)
    }

    /// # Safety
    /// As [`GlobalAlloc::dealloc`].
    #[cold]
    #[inline(never)]
    unsafe fn dealloc_recorded(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` is live and of this layout; from here on it is only a number.
        let take_back = || unsafe { self.take_back(block, layout) };
        if thread::is_off_here() || hook::was_only_near(block.addr(), layout.size()) {
            return take_back();
        }
        let held = || (layout.size(), layout.align());
        driver::free(|| self.begin(), block.addr(), held(), held, take_back);
    }

    /// # Safety
    /// As [`GlobalAlloc::realloc`].
    #[cold]
    #[inline(never)]
    unsafe fn realloc_recorded(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let held = || (layout.size(), layout.align());
        let resize = |_| {
            // SAFETY: `block` is live and of this layout, and `size` one that it may be given.
            let moved = unsafe { self.resize(block, layout, size) };
            (moved, Moved::by_address(block.addr(), moved.addr()))
        };
        driver::reallocate(self.begin(), block.addr(), size, held, resize)
    }
}

// SAFETY: every method hands the caller's request to the backend unchanged and returns what the
// backend returned; the recorder only looks at addresses and sizes. (To a thread that is calibrating
// blocks are given that the calibration owns, large enough and aligned for what was asked.)
unsafe impl<B: GlobalAlloc> GlobalAlloc for MapGrow<B> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if hook::allocation_is_fast(layout.size(), layout.align()) {
            // SAFETY: `layout` is not zero-sized: `GlobalAlloc`'s contract, which is the backend's
            // too.
            return unsafe { self.backend.alloc(layout) };
        }
        // SAFETY: `layout` is not zero-sized, which is all that `alloc_recorded` asks.
        unsafe { self.alloc_recorded(Entry::Alloc, layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if hook::free_is_fast(block.addr(), layout.size(), layout.align()) {
            // SAFETY: `block` came from here with this `layout`, hence from the backend, and is
            // freed once.
            return unsafe { self.backend.dealloc(block, layout) };
        }
        // SAFETY: `block` came from here with this `layout`, hence from the backend, and is freed
        // once.
        unsafe { self.dealloc_recorded(block, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if hook::allocation_is_fast(layout.size(), layout.align()) {
            // SAFETY: `layout` is not zero-sized: `GlobalAlloc`'s contract, which is the backend's
            // too.
            return unsafe { self.backend.alloc_zeroed(layout) };
        }
        // SAFETY: `layout` is not zero-sized, which is all that `alloc_recorded` asks.
        unsafe { self.alloc_recorded(Entry::Zeroed, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if hook::realloc_is_fast(block.addr(), layout.size(), size, layout.align()) {
            // SAFETY: `block` came from here with this `layout`, hence from the backend; `size` is
            // not 0 and does not overflow `isize` when rounded up.
            return unsafe { self.backend.realloc(block, layout, size) };
        }
        // SAFETY: `block` came from here with this `layout`, hence from the backend; `size` is not
        // 0 and does not overflow `isize` when rounded up.
        unsafe { self.realloc_recorded(block, layout, size) }
    }
}
