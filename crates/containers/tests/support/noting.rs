//! An allocator that notes where the last block that could be a table lies.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Noting;

thread_local! {
    static LAST: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

// SAFETY: hands everything on to `System`.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: `layout` is not zero-sized: `GlobalAlloc`'s contract, which is `System`'s too.
        // Zeroed, so that every byte may be read.
        let block = unsafe { System.alloc_zeroed(layout) };
        if layout.align() == 16 {
            let _ = LAST.try_with(|last| last.set((block as usize, layout.size())));
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this `layout`, and is freed once.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOC: Noting = Noting;

/// The bytes of the last block of this thread that could be a table; to be asked for while it
/// lives.
pub fn last_table() -> Vec<u8> {
    let (address, bytes) = LAST.get();
    // SAFETY: a live block of this size, as the caller promises, all of it initialised.
    unsafe { std::slice::from_raw_parts(address as *const u8, bytes) }.to_vec()
}
