//! Counts the instructions that a pair of alloc and free executes which needs no record: a child
//! goes through pairs, and its parent steps through it one instruction at a time. Prints the least
//! of several pairs for each kind, without the recorder and with it. (Now and then a pair takes
//! more, when the thread's totals are due.)

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;

use mapgrow::MapGrow;

/// Always has the same block to give.
struct One;

static mut BLOCK: [u64; 512] = [0; 512];

// SAFETY: blocks overlap, but nobody here looks at what is in one.
unsafe impl GlobalAlloc for One {
    #[inline(never)]
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        (&raw mut BLOCK).cast()
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        black_box(block);
    }
}

static BARE: One = One;
static RECORDED: MapGrow<One> = MapGrow::with_backend(One);

/// What is counted. Inlined wherever it is done: a call would be counted, too.
trait Pair {
    fn go_through(&self);
}

/// A pair of a block whose size the compiler knows.
struct Known<'a, A>(&'a A);

impl<A: GlobalAlloc> Pair for Known<'_, A> {
    #[inline(always)]
    fn go_through(&self) {
        let layout = Layout::new::<[u64; 8]>();
        // SAFETY: the layout has a size, and the block is freed with it.
        unsafe { self.0.dealloc(black_box(self.0.alloc(layout)), layout) }
    }
}

/// A pair of a block whose size it does not know.
struct Unknown<'a, A>(&'a A);

impl<A: GlobalAlloc> Pair for Unknown<'_, A> {
    #[inline(always)]
    fn go_through(&self) {
        let layout = Layout::array::<u8>(black_box(64)).expect("it is small");
        // SAFETY: as above.
        unsafe { self.0.dealloc(black_box(self.0.alloc(layout)), layout) }
    }
}

fn go_through(pair: &impl Pair) {
    const WARM_UP: usize = 100;
    const MEASURED: usize = 20;
    for _ in 0..WARM_UP {
        pair.go_through();
    }
    // SAFETY: asks to be traced by the parent, which takes what stops this process from now on.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }, 0);
    for _ in 0..MEASURED {
        stop();
        pair.go_through();
    }
    stop();
}

#[inline(never)]
fn stop() {
    // SAFETY: the parent lets it go on.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Steps until the child stops itself again; `None` when it has ended.
fn steps_to_stop(child: libc::pid_t) -> Option<u64> {
    let mut steps = 0;
    loop {
        let mut status = 0;
        // SAFETY: the child is traced by this process, and is stopped.
        let stepped = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, child, 0, 0) } == 0;
        // SAFETY: `status` may be written to.
        if !stepped || unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
            return None;
        }
        if !libc::WIFSTOPPED(status) {
            return None;
        }
        if libc::WSTOPSIG(status) == libc::SIGSTOP {
            return Some(steps);
        }
        steps += 1;
    }
}

/// The least number of instructions from one stop to the next.
fn instructions(pair: &impl Pair) -> u64 {
    // SAFETY: there is one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        go_through(pair);
        // SAFETY: ends the child, of which nothing is to be left.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` may be written to.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert!(libc::WIFSTOPPED(status), "the child cannot be traced");
    std::iter::from_fn(|| steps_to_stop(child))
        .min()
        .expect("the child stops")
}

fn main() {
    let kinds = [
        (
            "known",
            instructions(&Known(&BARE)),
            instructions(&Known(&RECORDED)),
        ),
        (
            "unknown",
            instructions(&Unknown(&BARE)),
            instructions(&Unknown(&RECORDED)),
        ),
    ];
    for (kind, bare, recorded) in kinds {
        println!("{kind} {bare} {recorded}");
    }
}
