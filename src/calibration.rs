//! Which functions lie between a caller of the allocator and the recorder in this build: the
//! language's shims, what the optimiser left of our own. No stack begins with them.
//!
//! They are found by going that way once with every entry point. No names are needed, so it works
//! in stripped programs too. Meanwhile the allocator hands out blocks of the calibration's own: the
//! backend may not be ready to be asked.

use std::alloc::Layout;

use crate::recording::private_pages;
use crate::stack::{EntryFrames, Registers, ThreadStacks};
use crate::thread::HOT;

/// Blocks that may be asked for at a time: a `realloc` that is made of the other calls has two.
const STAND_INS: usize = 2;
/// Bytes of one, and its alignment: enough for what is asked for here, whatever an allocator in
/// front of this one adds to it.
const STAND_IN_BYTES: usize = 256;
const STAND_IN_ALIGN: usize = 64;
const _: () = assert!(align_of::<StandIn>() == STAND_IN_ALIGN);

#[repr(align(64))]
struct StandIn([u8; STAND_IN_BYTES]);

/// What a calibration works with; lent to the thread's [`HOT`] for its time.
pub(crate) struct Lesson {
    frames: EntryFrames,
    stacks: *mut ThreadStacks,
    stand_ins: [StandIn; STAND_INS],
    handed_out: usize,
}

/// The lesson of the calling thread; null unless it is calibrating.
#[inline]
fn lesson() -> *mut Lesson {
    HOT.with(|hot| hot.lesson.get().cast())
}

/// Whether the calling thread is calibrating.
#[inline]
pub(crate) fn calibrating() -> bool {
    !lesson().is_null()
}

/// A block of zeroes for the calling thread, if it is calibrating. `None` where it would not fit.
#[inline]
pub(crate) fn stand_in(layout: Layout) -> Option<*mut u8> {
    if calibrating() { lend(layout) } else { None }
}

#[cold]
fn lend(layout: Layout) -> Option<*mut u8> {
    let lesson = lesson();
    if lesson.is_null() || layout.size() > STAND_IN_BYTES || layout.align() > STAND_IN_ALIGN {
        return None;
    }
    // SAFETY: not null only while `calibrate` lends its value on this same thread; no other
    // reference to these fields is there, and the block before this one stays as it is.
    unsafe {
        let next = (*lesson).handed_out;
        (*lesson).handed_out = (next + 1) % STAND_INS;
        let block = (&raw mut (*lesson).stand_ins[next].0).cast::<u8>();
        block.write_bytes(0, STAND_IN_BYTES);
        Some(block)
    }
}

/// Whether a block came from [`stand_in`].
#[inline]
pub(crate) fn is_stand_in(block: *mut u8) -> bool {
    calibrating() && is_lent(block)
}

#[cold]
fn is_lent(block: *mut u8) -> bool {
    let lesson = lesson();
    if lesson.is_null() {
        return false;
    }
    // SAFETY: as in `stand_in`; only the place of the field is taken.
    let start = unsafe { &raw const (*lesson).stand_ins }.addr();
    (start..start + size_of::<[StandIn; STAND_INS]>()).contains(&block.addr())
}

/// Adds the functions between `from`, inside the recorder, and the calibrating function to the
/// ones being learnt.
///
/// # Safety
/// `from` was read in a function of the calling thread that has not returned.
pub(crate) unsafe fn learn(from: &Registers) {
    const DEPTH: usize = 16;
    let lesson = lesson();
    if lesson.is_null() {
        return;
    }
    let mut starts = [0; DEPTH];
    // SAFETY: `calibrate` lends its lesson and the stacks in it to this thread alone; the registers
    // belong to an active function, as this one's contract says.
    let count = unsafe { (*(*lesson).stacks).function_starts(from, &mut starts) };
    let starts = starts.get(..count).unwrap_or(&[]);
    let own = calibrate as fn() -> EntryFrames as usize as u64;
    if let Some(end) = starts.iter().position(|&start| start == own) {
        for &start in starts.iter().take(end) {
            // SAFETY: `calibrate` lends its lesson to this thread alone.
            unsafe { (*lesson).frames.insert(start) };
        }
    }
}

/// The functions between a caller of `malloc` and the recorder in the preload library: all that
/// it consists of.
pub(crate) fn own_object() -> EntryFrames {
    let mut frames = EntryFrames::new();
    let here = own_object as fn() -> EntryFrames as usize as u64;
    if let Some(mapping) = crate::stack::mapping(here) {
        frames.insert_object(&mapping);
    }
    frames
}

/// Those between a caller of the global allocator and the recorder.
#[inline(never)]
pub(crate) fn calibrate() -> EntryFrames {
    use std::alloc::{alloc, alloc_zeroed, dealloc, realloc};
    let Some(pages) = private_pages(crate::stack::SIZE) else {
        return EntryFrames::new();
    };
    let mut lesson = Lesson {
        frames: EntryFrames::new(),
        // SAFETY: fresh zeroed pages, page aligned, used by this thread alone until they are
        // unmapped below.
        stacks: unsafe { ThreadStacks::from_zeroed(pages) },
        stand_ins: [const { StandIn([0; STAND_IN_BYTES]) }; STAND_INS],
        handed_out: 0,
    };
    let before = HOT.with(|hot| hot.lesson.replace((&raw mut lesson).cast()));
    let layout = Layout::new::<u64>();
    let longer = Layout::new::<[u64; 2]>();
    // SAFETY: the layouts are not of size zero, and each block is given back with the one that it
    // has. (Where another allocator is the program's, it serves these, and nothing is learnt.)
    unsafe {
        let block = core::hint::black_box(alloc(layout));
        if !block.is_null() {
            let moved = core::hint::black_box(realloc(block, layout, longer.size()));
            match moved.is_null() {
                true => dealloc(block, layout),
                false => dealloc(moved, longer),
            }
        }
        let zeroed = core::hint::black_box(alloc_zeroed(layout));
        if !zeroed.is_null() {
            dealloc(zeroed, layout);
        }
    }
    HOT.with(|hot| hot.lesson.set(before));
    let frames = core::hint::black_box(&mut lesson).frames;
    // SAFETY: mapped above with this size; `lesson.stacks`, which points there, is not used again.
    unsafe { libc::munmap(pages.cast(), crate::stack::SIZE) };
    frames
}
