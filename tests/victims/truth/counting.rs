//! The truth: an allocator underneath MapGrow that counts for itself.
//!
//! It shares nothing with the recorder. The program says which shape the thread is running and
//! when a call into a container begins and ends; the allocator sees the blocks. Out of these two
//! it derives creates, grows, shrinks, aborted growths, drops, bytes, overlaps and the chain of
//! table sizes of every map. The books are in `ledger.rs`.

use crate::ledger::{Pause, Resize, Rule, STATE, State};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tikv_jemallocator::Jemalloc;

static HEAP_ALLOCATED: AtomicU64 = AtomicU64::new(0);
static HEAP_FREED: AtomicU64 = AtomicU64::new(0);

pub fn heap_live_bytes() -> u64 {
    HEAP_ALLOCATED.load(Relaxed) - HEAP_FREED.load(Relaxed)
}

/// Set once the shapes are done: what is allocated from then on is the truth's own text.
static DONE: AtomicBool = AtomicBool::new(false);

/// Stops counting and gives the figures out.
pub fn finish() -> MutexGuard<'static, State> {
    DONE.store(true, Relaxed);
    state()
}

fn state() -> MutexGuard<'static, State> {
    STATE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A call into a container that is under way on this thread.
#[derive(Clone, Copy)]
struct Op {
    start: Option<Instant>,
    /// Newest table allocated in it that replaced nothing yet.
    pending: usize,
    resizes: u32,
    /// From when the new table was asked for until the old one was gone.
    inside: Option<(Instant, Instant)>,
    /// The resize that happened in it, if it was one alone.
    only_resize: Option<Resize>,
}

const NO_OP: Op = Op {
    start: None,
    pending: 0,
    resizes: 0,
    inside: None,
    only_resize: None,
};
const OPS: usize = 4;

struct Context {
    /// Shape + 1 that the thread runs; 0: none.
    shape: Cell<usize>,
    rules: Cell<&'static [Rule]>,
    depth: Cell<usize>,
    ops: [Cell<Op>; OPS],
}

thread_local! {
    static CONTEXT: Context = const {
        Context {
            shape: Cell::new(0),
            rules: Cell::new(&[]),
            depth: Cell::new(0),
            ops: [const { Cell::new(NO_OP) }; OPS],
        }
    };
}

/// From here on this thread's blocks belong to `shape`.
pub fn enter(shape: usize, rules: &'static [Rule]) {
    CONTEXT.with(|c| {
        c.shape.set(shape + 1);
        c.rules.set(rules);
        c.depth.set(0);
    });
}

/// From here on this thread's blocks belong to no shape.
pub fn leave() {
    CONTEXT.with(|c| {
        c.shape.set(0);
        c.depth.set(0);
    });
}

/// The shape and rules of this thread, to be entered by another one.
pub fn current() -> (usize, &'static [Rule]) {
    CONTEXT.with(|c| (c.shape.get() - 1, c.rules.get()))
}

/// A call that may resize a container begins. Calls nest when hashers fill maps.
#[inline(never)]
pub fn begin() {
    CONTEXT.with(|c| {
        let depth = c.depth.get();
        c.ops[depth].set(Op {
            start: Some(Instant::now()),
            ..NO_OP
        });
        c.depth.set(depth + 1);
    });
}

/// The call has returned. A stall that held exactly one resize is kept for comparison.
#[inline(never)]
pub fn end() {
    let now = Instant::now();
    CONTEXT.with(|c| {
        let depth = c.depth.get() - 1;
        c.depth.set(depth);
        let op = c.ops[depth].get();
        let ns = op.start.map_or(0, |s| (now - s).as_nanos() as u64);
        if let Some(resize) = op.only_resize
            && ns >= 1_000_000
        {
            let shape = c.shape.get() - 1;
            let inside = op
                .inside
                .map_or(0, |(from, to)| (to - from).as_nanos() as u64);
            state().add_pause(Pause {
                shape,
                resize,
                ns,
                inside_ns: inside,
            });
        }
    });
}

fn with_op(change: impl FnOnce(&mut Op)) {
    CONTEXT.with(|c| {
        if let Some(cell) = c.depth.get().checked_sub(1).and_then(|d| c.ops.get(d)) {
            let mut op = cell.get();
            change(&mut op);
            cell.set(op);
        }
    });
}

fn note_resize(resize: Option<Resize>) {
    if resize.is_some() {
        with_op(|op| {
            op.resizes += 1;
            op.only_resize = resize.filter(|_| op.resizes == 1);
        });
    }
}

/// Runs a call to the allocator underneath and notes when it was.
fn timed<T>(call: impl FnOnce() -> T) -> T {
    let mut under_way = false;
    with_op(|op| {
        under_way = true;
        let now = Instant::now();
        op.inside.get_or_insert((now, now));
    });
    let result = call();
    if under_way {
        with_op(|op| {
            if let Some((_, end)) = &mut op.inside {
                *end = Instant::now();
            }
        });
    }
    result
}

fn note_alloc(address: *mut u8, layout: Layout) {
    if address.is_null() || DONE.load(Relaxed) {
        return;
    }
    HEAP_ALLOCATED.fetch_add(layout.size() as u64, Relaxed);
    let (shape, rules) = CONTEXT.with(|c| (c.shape.get(), c.rules.get()));
    if shape != 0
        && let Some(rule) = rules.iter().find(|rule| rule.matches(layout))
    {
        let family = rule.family();
        let address = address as usize;
        state().allocated(address, layout.size() as u64, shape - 1, family);
        with_op(|op| op.pending = address);
    }
}

fn note_free(address: usize) {
    let mut state = state();
    if state.holds(address) {
        let mut pending = 0;
        with_op(|op| pending = std::mem::take(&mut op.pending));
        note_resize(state.freed(address, pending));
    }
}

/// Counts on top of jemalloc.
pub struct Counting;

// SAFETY: every method forwards to jemalloc with the arguments it was given; the bookkeeping
// neither allocates nor unwinds on blocks of this allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let block = timed(|| unsafe { Jemalloc.alloc(layout) });
        note_alloc(block, layout);
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let block = timed(|| unsafe { Jemalloc.alloc_zeroed(layout) });
        note_alloc(block, layout);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !DONE.load(Relaxed) {
            HEAP_FREED.fetch_add(layout.size() as u64, Relaxed);
            note_free(block as usize);
        }
        // SAFETY: the caller's promise, passed on.
        timed(|| unsafe { Jemalloc.dealloc(block, layout) });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if DONE.load(Relaxed) {
            // SAFETY: the caller's promise, passed on.
            return unsafe { Jemalloc.realloc(block, layout, new_size) };
        }
        // The lock is held across the call: the old address may be handed to another thread
        // before this one has noted where the block went.
        let mut state = state();
        // SAFETY: the caller's promise, passed on.
        let new = timed(|| unsafe { Jemalloc.realloc(block, layout, new_size) });
        if !new.is_null() {
            HEAP_ALLOCATED.fetch_add(new_size as u64, Relaxed);
            HEAP_FREED.fetch_add(layout.size() as u64, Relaxed);
            note_resize(state.reallocated(block as usize, new as usize, new_size as u64));
        }
        new
    }
}
