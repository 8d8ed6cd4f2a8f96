//! Takes the signal on a stack that has hardly any room beyond what the kernel itself needs; and
//! with an argument, ends in a handler on such a stack.

use mapgrow::MapGrow;
use std::collections::HashMap;

#[global_allocator]
static ALLOC: MapGrow = MapGrow::new();

/// What a handler may use: a quarter of the alternative stack that Rust gives each thread.
const ROOM: usize = 2048;

/// What a handler that ends the program needs besides: the library's own work at the end.
const ROOM_TO_EXIT: usize = 4096;

extern "C" fn exit_now(_: libc::c_int) {
    // SAFETY: no other thread is there, and no lock is held.
    unsafe { libc::exit(0) };
}

/// What the kernel says that a signal's frame takes on this processor.
fn frame_size() -> usize {
    // SAFETY: `getauxval` has no preconditions.
    match unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } {
        0 => libc::MINSIGSTKSZ,
        size => size as usize,
    }
}

/// Makes memory whose lower neighbour cannot be touched the calling thread's signal stack.
fn take_small_stack(room: usize) {
    let size = frame_size() + room;
    let pages = size.next_multiple_of(4096);
    // SAFETY: fresh memory, whose first page is then made untouchable, and whose end becomes the
    // signal stack; both calls are checked.
    unsafe {
        let base = libc::mmap(
            std::ptr::null_mut(),
            pages + 4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(base, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(base, 4096, libc::PROT_NONE), 0);
        // As near to the untouchable page as the kernel allows the stack to be.
        let stack = libc::stack_t {
            ss_sp: base.byte_add(4096),
            ss_flags: 0,
            ss_size: size,
        };
        assert_eq!(libc::sigaltstack(&raw const stack, std::ptr::null_mut()), 0);
    }
}

fn main() {
    let map: HashMap<u64, u64> = (0..10_000).map(|n| (n, n)).collect();
    if std::env::args().len() > 1 {
        println!("{}", map.len());
        take_small_stack(ROOM_TO_EXIT);
        // SAFETY: `action` is a complete description of a handler.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = exit_now as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_ONSTACK;
            assert_eq!(
                libc::sigaction(libc::SIGTERM, &raw const action, std::ptr::null_mut()),
                0
            );
            libc::raise(libc::SIGTERM);
        }
        unreachable!("the handler ends the program");
    }
    take_small_stack(ROOM);
    for _ in 0..3 {
        // SAFETY: a signal to ourselves, which the recorder handles.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    }
    println!("{}", map.len());
}
