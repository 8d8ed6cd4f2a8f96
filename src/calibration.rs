//! Which functions lie between a caller of the allocator and the recorder in this build: the
//! language's shims, what the optimiser left of our own. No stack begins with them.
//!
//! They are found by going that way once with every entry point. No names are needed, so it works
//! in stripped programs too.

use core::sync::atomic::AtomicU64;

use crate::recording::private_pages;
use crate::stack::{EntryFrames, Lesson, Registers, ThreadStacks};
use crate::thread::HOT;

/// The block that the allocator hands out during calibration, when nothing may be allocated.
static BLOCK: AtomicU64 = AtomicU64::new(0);

/// Whether the calling thread is calibrating: the allocator then returns [`block`] and frees
/// nothing.
#[inline]
pub(crate) fn calibrating() -> bool {
    HOT.with(|hot| !hot.lesson.get().is_null())
}

/// See [`calibrating`].
pub(crate) fn block() -> *mut u8 {
    BLOCK.as_ptr().cast()
}

/// Adds the functions between `from`, inside the recorder, and the calibrating function to the
/// ones being learnt.
pub(crate) fn learn(from: &Registers) {
    HOT.with(|hot| {
        // SAFETY: not null only while `calibrate` lends its value on this same thread.
        let Some(lesson) = (unsafe { hot.lesson.get().as_mut() }) else {
            return;
        };
        let own = calibrate as fn() -> EntryFrames as usize as u64;
        // SAFETY: `from` was read in a function that has not returned.
        unsafe { lesson.learn(from, own) };
    });
}

/// The functions between a caller of `malloc` and the recorder in the preload library: all that
/// it consists of.
pub(crate) fn own_object() -> EntryFrames {
    let mut frames = EntryFrames::new();
    let here = own_object as fn() -> EntryFrames as usize as u64;
    if let Some(object) = crate::stack::find_object(here) {
        frames.insert_object(&object);
    }
    frames
}

/// Those between a caller of the global allocator and the recorder.
#[inline(never)]
pub(crate) fn calibrate() -> EntryFrames {
    let Some(pages) = private_pages(crate::stack::SIZE) else {
        return EntryFrames::new();
    };
    let frames = {
        // SAFETY: fresh zeroed pages, page aligned, for this function alone, which unmaps them
        // when the lesson is over.
        let mut lesson = Lesson::new(unsafe { ThreadStacks::from_zeroed(pages) });
        let before = HOT.with(|hot| hot.lesson.replace(&raw mut lesson));
        go_through_all_entry_points();
        HOT.with(|hot| hot.lesson.set(before));
        core::hint::black_box(&lesson).frames()
    };
    // SAFETY: mapped above, and used by nobody any more.
    unsafe { libc::munmap(pages.cast(), crate::stack::SIZE) };
    frames
}

#[inline(always)]
fn go_through_all_entry_points() {
    use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
    let layout = Layout::new::<u64>();
    let ours = block();
    let give_back = |block: *mut u8| {
        if !block.is_null() && block != ours {
            // The recorder is not the global allocator of this program.
            // SAFETY: `block` was just allocated with this layout.
            unsafe { dealloc(block, layout) };
        }
    };
    // SAFETY: the layout is not zero-sized; `ours` is only reallocated or freed by an allocator
    // that handed it out.
    unsafe {
        let block = core::hint::black_box(alloc(layout));
        if block == ours {
            let _ = core::hint::black_box(realloc(ours, layout, 16));
            dealloc(core::hint::black_box(ours), layout);
        }
        give_back(block);
        give_back(core::hint::black_box(alloc_zeroed(layout)));
    }
}
