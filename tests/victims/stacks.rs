//! Allocates tables from hundreds of stacks that are easily taken for one another, and counts
//! for itself how often from which.
//!
//! `victim_stacks COUNT` prints one line for each stack: where it ran, the functions on it from
//! the outermost inwards, and how many tables were allocated from it. Frames with over-aligned
//! locals, frames of the C library that grow as they run (`qsort` sorts in an `alloca` buffer),
//! coroutines on stacks of their own and handlers on a signal stack are among them. All of them
//! meet at the same leaf, many at the same stack pointer.

use std::cell::Cell;
use std::collections::HashMap;
use std::hint::black_box;
use std::ptr::null_mut;

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

const KINDS: u64 = 5;
const DEPTH: u32 = 4;
const PATHS: usize = KINDS.pow(DEPTH) as usize;
const NAMES: [&str; KINDS as usize] = ["one", "two", "aligned", "large", "sorted"];

/// What is left to do on the way to the leaf.
#[derive(Clone, Copy)]
struct Way {
    path: u64,
    depth: u32,
    repeat: u64,
}

#[inline(never)]
fn leaf(repeat: u64) -> u64 {
    for _ in 0..repeat {
        black_box(HashMap::<u64, u64>::with_capacity(100));
    }
    repeat
}

/// One step down. The result is used after the call, so that no call becomes a jump.
#[inline(always)]
fn step(way: Way) -> u64 {
    if way.depth == 0 {
        return leaf(way.repeat);
    }
    let next = Way {
        path: way.path / KINDS,
        depth: way.depth - 1,
        repeat: way.repeat,
    };
    match way.path % KINDS {
        0 => frame_one(next),
        1 => frame_two(next),
        2 => frame_aligned(next),
        3 => frame_large(next),
        _ => frame_sorted(next),
    }
}

#[inline(never)]
fn frame_one(way: Way) -> u64 {
    black_box(step(way)) + black_box(1)
}

/// The same frame as [`frame_one`], at another address.
#[inline(never)]
fn frame_two(way: Way) -> u64 {
    black_box(step(way)) + black_box(2)
}

#[repr(align(256))]
struct Aligned([u8; 256]);

/// The frame moves the stack pointer by an amount that depends on where it is.
#[inline(never)]
fn frame_aligned(way: Way) -> u64 {
    let local = black_box(Aligned([3; 256]));
    let result = step(way);
    black_box(&local);
    result + u64::from(local.0[0])
}

/// Room for stale return addresses.
#[inline(never)]
fn frame_large(way: Way) -> u64 {
    let local: [u64; 100];
    if way.path.is_multiple_of(2) {
        local = black_box([way.path; 100]);
        black_box(&local);
    }
    let result = step(way);
    black_box(result)
}

thread_local! {
    static SORTED: Cell<(Option<Way>, u64)> = const { Cell::new((None, 0)) };
}

extern "C" fn compare(_: *const libc::c_void, _: *const libc::c_void) -> libc::c_int {
    // The first comparison goes on, the others have nothing to do.
    if let (Some(way), _) = SORTED.take() {
        let result = step(way);
        SORTED.set((None, result));
    }
    0
}

/// Goes on below the C library.
#[inline(never)]
fn frame_sorted(way: Way) -> u64 {
    let mut items = [[0u8; 40]; 9];
    SORTED.set((Some(way), 0));
    let items_used = 2 + way.path as usize % 8;
    // SAFETY: the array has at least `items_used` elements of 40 bytes; the comparison ignores
    // them.
    unsafe {
        libc::qsort(items.as_mut_ptr().cast(), items_used, 40, Some(compare));
    }
    black_box(SORTED.take().1)
}

#[inline(never)]
fn on_the_main_stack(way: Way) -> u64 {
    black_box(step(way)) + black_box(10)
}

#[inline(never)]
fn on_another_thread(way: Way) -> u64 {
    black_box(step(way)) + black_box(11)
}

thread_local! {
    static WAY: Cell<Option<Way>> = const { Cell::new(None) };
    static CONTEXTS: Cell<[*mut libc::ucontext_t; 2]> = const { Cell::new([null_mut(); 2]) };
}

#[inline(never)]
fn on_a_signal_stack(way: Way) -> u64 {
    black_box(step(way)) + black_box(12)
}

/// Raised by the program itself, never in the midst of an allocation.
extern "C" fn on_signal(_: libc::c_int) {
    if let Some(way) = WAY.take() {
        on_a_signal_stack(way);
    }
}

fn install_handler(stack: &mut [u8]) {
    // SAFETY: the stack and both structures outlive the calls, and the stack is used as one
    // until the program ends.
    unsafe {
        let alternate = libc::stack_t {
            ss_sp: stack.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: stack.len(),
        };
        assert_eq!(libc::sigaltstack(&alternate, null_mut()), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_NODEFER;
        assert_eq!(libc::sigaction(libc::SIGUSR2, &action, null_mut()), 0);
    }
}

#[inline(never)]
fn on_a_coroutine(way: Way) -> u64 {
    black_box(step(way)) + black_box(13)
}

extern "C" fn coroutine() {
    loop {
        if let Some(way) = WAY.take() {
            on_a_coroutine(way);
        }
        let [main, own] = CONTEXTS.get();
        // SAFETY: `main` was saved by the swap that came here.
        unsafe { libc::swapcontext(own, main) };
    }
}

struct Coroutines {
    // A context points into itself: it must not move.
    #[allow(clippy::vec_box)]
    contexts: Vec<Box<libc::ucontext_t>>,
    main: Box<libc::ucontext_t>,
    _stacks: Vec<Vec<u8>>,
}

impl Coroutines {
    fn new(count: usize) -> Coroutines {
        let mut stacks: Vec<Vec<u8>> = (0..count).map(|_| vec![0; 256 << 10]).collect();
        // SAFETY: a context is plain data; `getcontext` and `makecontext` fill it in, and its
        // stack lives as long as it does.
        let fresh = || unsafe { Box::new(std::mem::zeroed::<libc::ucontext_t>()) };
        let mut contexts = Vec::new();
        for stack in &mut stacks {
            let mut context = fresh();
            // SAFETY: see above.
            unsafe {
                assert_eq!(libc::getcontext(&mut *context), 0);
                context.uc_stack.ss_sp = stack.as_mut_ptr().cast();
                context.uc_stack.ss_size = stack.len();
                libc::makecontext(&mut *context, coroutine, 0);
            }
            contexts.push(context);
        }
        Coroutines {
            contexts,
            main: fresh(),
            _stacks: stacks,
        }
    }

    fn run(&mut self, which: u64, way: Way) {
        let which = which as usize % self.contexts.len();
        let own: *mut libc::ucontext_t = &mut *self.contexts[which];
        let main: *mut libc::ucontext_t = &mut *self.main;
        CONTEXTS.set([main, own]);
        WAY.set(Some(way));
        // SAFETY: both contexts are set up, and the coroutine swaps back.
        unsafe { libc::swapcontext(main, own) };
    }
}

struct Counts(Vec<[u64; PATHS]>);

const PLACES: [&str; 4] = [
    "on_the_main_stack",
    "on_another_thread",
    "on_a_signal_stack",
    "on_a_coroutine",
];

fn print(counts: &Counts) {
    for (place, counts) in PLACES.iter().zip(&counts.0) {
        for (path, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let mut line = String::from(*place);
            let mut rest = path;
            for _ in 0..DEPTH {
                line += " frame_";
                line += NAMES[rest % KINDS as usize];
                rest /= KINDS as usize;
            }
            println!("{line} {count}");
        }
    }
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 16
}

fn next_way(state: &mut u64) -> Way {
    let r = random(state);
    Way {
        path: r % PATHS as u64,
        depth: DEPTH,
        repeat: 1 + (r >> 32) % 16,
    }
}

fn main() {
    let count: u64 = std::env::args()
        .nth(1)
        .map_or(100_000, |n| n.parse().expect("a number"));
    let other = std::thread::spawn(move || {
        let mut counts = vec![0; PATHS];
        let (mut state, mut done) = (0x1234_5678_9ABC_DEF1, 0);
        while done < count / 4 {
            let way = next_way(&mut state);
            on_another_thread(way);
            counts[way.path as usize] += way.repeat;
            done += way.repeat;
        }
        counts
    });
    let mut signal_stack = vec![0; 256 << 10];
    install_handler(&mut signal_stack);
    let mut coroutines = Coroutines::new(3);
    let mut counts = Counts(vec![[0; PATHS]; PLACES.len()]);
    let (mut state, mut done) = (88_172_645_463_325_252, 0);
    while done < count / 4 * 3 {
        let way = next_way(&mut state);
        let place = match random(&mut state) % 3 {
            0 => {
                on_the_main_stack(way);
                0
            }
            1 => {
                WAY.set(Some(way));
                // SAFETY: the signal is handled, and nothing is under way here.
                unsafe { libc::raise(libc::SIGUSR2) };
                2
            }
            n => {
                coroutines.run(n + random(&mut state), way);
                3
            }
        };
        counts.0[place][way.path as usize] += way.repeat;
        done += way.repeat;
    }
    let theirs = other.join().expect("the other thread ends well");
    counts.0[1].copy_from_slice(&theirs);
    print(&counts);
}
