//! Memory for the moment in which the program's own allocator is being looked for.
//!
//! `dlsym` may allocate. What is asked for meanwhile comes from here, and is never given back:
//! a few hundred bytes in the C libraries that do so, nothing in the present ones.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use recorder::preload_support::keep_off_fast_path;

const SIZE: usize = 64 << 10;
/// Each block is preceded by its size.
const HEADER: usize = 16;

#[repr(align(4096))]
struct Arena(UnsafeCell<[u8; SIZE]>);

// SAFETY: bytes are handed out once, by an atomic counter, and never looked at here again but
// for the sizes, which are written before their block is handed out.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; SIZE]));
/// Bytes handed out; more than `SIZE` once the arena is closed.
static USED: AtomicUsize = AtomicUsize::new(0);

/// A zeroed block; null when the arena is closed or full.
pub(crate) fn allocate(bytes: usize, align: usize) -> *mut c_void {
    let align = align.max(HEADER);
    let base = ARENA.0.get().cast::<u8>();
    let mut place = 0;
    let taken = USED.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
        place = used.checked_add(HEADER)?.checked_next_multiple_of(align)?;
        let end = place.checked_add(bytes)?;
        (align <= 4096 && end <= SIZE).then_some(end)
    });
    let Ok(before) = taken else {
        return ptr::null_mut();
    };
    if before == 0 {
        keep_off_fast_path(base as usize, SIZE);
    }
    // SAFETY: `HEADER <= place` and `place + bytes <= SIZE`; the range from the header on was
    // just claimed, and is aligned to 16.
    unsafe {
        let block = base.add(place);
        block.sub(HEADER).cast::<usize>().write(bytes);
        block.cast()
    }
}

/// Whether the block came from here.
#[inline]
pub(crate) fn holds(block: *const c_void) -> bool {
    (block as usize).wrapping_sub(ARENA.0.get() as usize) < SIZE
}

/// Size of a block that came from here.
///
/// # Safety
/// `block` was returned by [`allocate`].
pub(crate) unsafe fn size(block: *const c_void) -> usize {
    // SAFETY: the header of the block was written before it was handed out.
    unsafe { block.cast::<u8>().sub(HEADER).cast::<usize>().read() }
}

/// Closes the arena. Returns whether any block was ever handed out.
pub(crate) fn close() -> bool {
    USED.swap(SIZE + 1, Ordering::AcqRel) != 0
}
