//! The allocator behind another one of the program's, which adds a header to each block, raises its
//! alignment, and reallocates by the other three calls.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Wrapper(mapgrow::MapGrow);

/// What it writes in front of each block.
const MARK: u64 = 0x0bad_5eed_0bad_5eed;
const HEADER: usize = 64;
static FAULTS: AtomicUsize = AtomicUsize::new(0);

fn with_header(layout: Layout) -> Layout {
    let align = layout.align().max(HEADER);
    Layout::from_size_align(layout.size() + HEADER, align).expect("a layout")
}

fn expect(holds: bool) {
    if !holds {
        FAULTS.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wrapper {
    /// Marks a block that was just allocated.
    ///
    /// # Safety
    /// `block` is null or of this layout with a header.
    unsafe fn mark(block: *mut u8, layout: Layout) -> *mut u8 {
        if block.is_null() {
            return block;
        }
        expect(block.addr().is_multiple_of(with_header(layout).align()));
        // SAFETY: the block has a header's room before what is given out.
        unsafe {
            block.cast::<u64>().write(MARK);
            block.add(HEADER)
        }
    }
}

// SAFETY: blocks are those of the allocator behind, less the header. (Only alignments up to the
// header's are asked for in this program.)
unsafe impl GlobalAlloc for Wrapper {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout is larger than the caller's.
        unsafe { Self::mark(self.0.alloc(with_header(layout)), layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { Self::mark(self.0.alloc_zeroed(with_header(layout)), layout) };
        if !block.is_null() {
            // SAFETY: the block is as large as asked.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            expect(bytes.iter().all(|&byte| byte == 0));
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was given out here, behind its header.
        unsafe {
            let start = block.sub(HEADER);
            expect(start.cast::<u64>().read() == MARK);
            self.0.dealloc(start, with_header(layout));
        }
    }
}

#[global_allocator]
static ALLOC: Wrapper = Wrapper(mapgrow::MapGrow::new().exact().nothing_at_exit());

#[inline(never)]
fn fill() -> HashMap<u64, u64> {
    (0..10_000).map(|n| (n, n)).collect()
}

#[test]
fn blocks_of_an_allocator_in_front_stay_whole() {
    let map = fill();
    let words: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let report = mapgrow::snapshot().expect("it records");
    assert_eq!(FAULTS.load(Ordering::Relaxed), 0);
    let found = report.sites.iter().any(|site| {
        let caller = site.caller.as_ref().map(|caller| caller.function.as_str());
        site.family == Some("hashbrown") && caller.is_some_and(|name| name.contains("fill"))
    });
    assert!(found, "the map is known by where it grew");
    drop((map, words));
    assert_eq!(FAULTS.load(Ordering::Relaxed), 0);
}
