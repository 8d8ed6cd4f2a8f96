//! Independent truth: the system's unwinder, a counting allocator, painted stack.

use super::super::{Registers, Return};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// Counts each thread's allocations.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: `layout` is not zero-sized: `GlobalAlloc`'s contract, which is `System`'s too.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this `layout`, and is freed once.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(not(loom))]
#[global_allocator]
static COUNTING: Counting = Counting;

/// What this thread has allocated so far, in calls.
pub(super) fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// The stack outside the frame in which `here` was captured, from the system's unwinder.
pub(super) fn returns(here: &Registers) -> Vec<Return> {
    let mut found = Vec::new();
    // SAFETY: the platform's unwinder keeps no global state that would need a lock.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            let slot = (frame.sp() as u64).wrapping_sub(8);
            let pc = frame.ip() as u64;
            if pc != 0 && (!found.is_empty() || slot >= here.sp) {
                found.push(Return { slot, pc });
            }
            true
        });
    }
    found
}

/// Walks the stack with the system's unwinder and throws the result away.
pub(super) fn system_walk() {
    // SAFETY: the platform's unwinder keeps no global state that would need a lock.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            black_box((frame.sp(), frame.ip()));
            true
        });
    }
}

/// Equality with a message that shows where two stacks part.
#[track_caller]
pub(super) fn assert_same(got: &[Return], expected: &[Return]) {
    if got == expected {
        return;
    }
    let at = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let show = |stack: &[Return]| -> Vec<String> {
        let name = |pc: u64| {
            let mut name = String::new();
            backtrace::resolve(pc as usize as *mut _, |symbol| {
                name = format!("{:?}", symbol.name());
            });
            name
        };
        stack
            .iter()
            .skip(at.saturating_sub(1))
            .take(4)
            .map(|r| format!("{r:x?} {}", name(r.pc)))
            .collect()
    };
    panic!(
        "{} frames, expected {}; they part at {at}:\n{:#?}\nexpected\n{:#?}",
        got.len(),
        expected.len(),
        show(got),
        show(expected)
    );
}

/// Bytes of stack that `work` uses below this function.
#[inline(never)]
pub(super) fn stack_use(work: &mut dyn FnMut()) -> usize {
    const PAINTED: usize = 64 * 1024;
    const PAINT: u8 = 0xA7;
    #[inline(never)]
    fn paint() -> usize {
        let mut area = [PAINT; PAINTED];
        black_box(&mut area).as_ptr() as usize
    }
    let bottom = paint();
    work();
    let untouched = (0..PAINTED)
        // SAFETY: stack of this thread, below the current frame, painted a moment ago.
        .take_while(|i| unsafe { ((bottom + i) as *const u8).read_volatile() } == PAINT)
        .count();
    PAINTED - untouched
}
