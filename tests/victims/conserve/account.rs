//! An account of every block, beneath the recorder: in front of each block lies the kind of
//! container that asked for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Kinds that are told apart; 0 is for what is no container's.
pub const KINDS: usize = 8;

/// What one kind of container allocated and freed.
pub struct Account {
    pub allocated: AtomicU64,
    pub freed: AtomicU64,
    pub blocks: AtomicU64,
    pub blocks_freed: AtomicU64,
}

pub static ACCOUNTS: [Account; KINDS] = [const {
    Account {
        allocated: AtomicU64::new(0),
        freed: AtomicU64::new(0),
        blocks: AtomicU64::new(0),
        blocks_freed: AtomicU64::new(0),
    }
}; KINDS];
/// Cleared before the report is made, which allocates too.
pub static COUNTING: AtomicBool = AtomicBool::new(true);

thread_local! {
    /// The kind that allocates now.
    pub static KIND: Cell<usize> = const { Cell::new(0) };
}

/// Puts the kind in front of each block, and counts.
pub struct Accountant;

fn front(layout: Layout) -> (Layout, usize) {
    let room = layout.align().max(align_of::<u64>());
    let whole = Layout::from_size_align(layout.size() + room, room).expect("it was small");
    (whole, room)
}

impl Accountant {
    fn count_in(kind: usize, bytes: usize) {
        if COUNTING.load(Relaxed) {
            ACCOUNTS[kind].allocated.fetch_add(bytes as u64, Relaxed);
            ACCOUNTS[kind].blocks.fetch_add(1, Relaxed);
        }
    }

    fn count_out(kind: usize, bytes: usize) {
        if COUNTING.load(Relaxed) {
            ACCOUNTS[kind].freed.fetch_add(bytes as u64, Relaxed);
            ACCOUNTS[kind].blocks_freed.fetch_add(1, Relaxed);
        }
    }

    fn now() -> usize {
        KIND.try_with(Cell::get).unwrap_or(0)
    }

    /// # Safety
    /// `whole` is null or a block of at least `room` bytes, which is a multiple of 8.
    unsafe fn begin(whole: *mut u8, room: usize, bytes: usize) -> *mut u8 {
        if whole.is_null() {
            return whole;
        }
        let kind = Self::now();
        Self::count_in(kind, bytes);
        // SAFETY: both lie within the block, and the word is aligned.
        unsafe {
            let block = whole.add(room);
            block.cast::<u64>().sub(1).write(kind as u64);
            block
        }
    }

    /// # Safety
    /// `begin` made the block.
    unsafe fn kind_of(block: *mut u8) -> usize {
        // SAFETY: `begin` wrote the word before it.
        unsafe { block.cast::<u64>().sub(1).read() as usize }
    }
}

// SAFETY: each block is one of `System`'s that is larger by `room`, a multiple of its alignment.
unsafe impl GlobalAlloc for Accountant {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (whole, room) = front(layout);
        // SAFETY: `whole` is not empty.
        unsafe { Self::begin(System.alloc(whole), room, layout.size()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (whole, room) = front(layout);
        // SAFETY: `whole` is not empty.
        unsafe { Self::begin(System.alloc_zeroed(whole), room, layout.size()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (whole, room) = front(layout);
        // SAFETY: `begin` made the block, `room` bytes into one of `System`'s.
        unsafe {
            Self::count_out(Self::kind_of(block), layout.size());
            System.dealloc(block.sub(room), whole);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (whole, room) = front(layout);
        // SAFETY: as in `dealloc`; on failure the block stays as it was.
        unsafe {
            let kind = Self::kind_of(block);
            let moved = System.realloc(block.sub(room), whole, size + room);
            if !moved.is_null() {
                Self::count_out(kind, layout.size());
            }
            Self::begin(moved, room, size)
        }
    }
}
