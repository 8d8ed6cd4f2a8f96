//! [`Hot`] in thread-local storage of the initial-exec model.
//!
//! In that model the variable has a fixed distance from the thread pointer, which the linker knows
//! for a program, and which the loader writes into a library's offset table when it is loaded: no
//! call, no allocation. `thread_local!` gives it neither for certain. Compiled for a shared
//! library, that asks `__tls_get_addr`, which may allocate (it enlarges the thread's vector of TLS
//! blocks after a `dlopen`) with the `malloc` that is asking; in a program whether its accessor is
//! inlined into the allocator is left to chance. The price is that a library with this allocator
//! in it is loaded together with the program. (One that is opened later takes the few bytes from
//! the reserve that the loader keeps for that.)
//!
//! The stable compiler has no option for this model, so the variable is defined and addressed in
//! assembly, as [`Hot::new`] has it: zero but for the words in front. A countdown is one
//! instruction on that variable, and nothing but its distance is ever kept in a register: so a
//! coroutine that goes on in another thread counts in that one.

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use super::super::hot::{Hot, SPENT, SPENT_WORDS};

/// Its symbol: two versions of this crate in one program must not share it.
macro_rules! symbol {
    () => {
        concat!("__mapgrow_hot_", env!("CARGO_PKG_VERSION"))
    };
}

global_asm!(
    ".pushsection .tdata.mapgrow_hot, \"awT\", @progbits",
    ".p2align 4",
    concat!(".globl ", symbol!()),
    concat!(".hidden ", symbol!()),
    concat!(".type ", symbol!(), ", @object"),
    concat!(".size ", symbol!(), ", {size}"),
    concat!(symbol!(), ":"),
    ".rept {words}",
    ".quad {spent}",
    ".endr",
    ".zero {size} - {words} * 8",
    ".popsection",
    size = const size_of::<Hot>(),
    words = const SPENT_WORDS,
    spent = const SPENT,
);

const _: () = assert!(align_of::<Hot>() <= 16);

/// Stands for the variable of the calling thread.
pub(crate) struct Key;

/// The calling thread's [`Hot`].
pub(crate) static HOT: Key = Key;

/// Distance of the variable from the thread pointer: the same in all threads.
#[inline(always)]
fn distance() -> usize {
    let distance;
    // SAFETY: reads a word that the linker or the loader wrote before any code of this object ran.
    unsafe {
        asm!(
            concat!("mov {distance}, qword ptr [rip + ", symbol!(), "@GOTTPOFF]"),
            distance = out(reg) distance,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    distance
}

impl Key {
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Hot) -> R) -> R {
        let hot: *const Hot;
        // SAFETY: adds the variable's distance to the thread pointer, which x86_64 keeps at `fs:0`
        // too. Neither changes while a thread lives.
        unsafe {
            asm!(
                "mov {hot}, qword ptr fs:[0]",
                concat!("add {hot}, qword ptr [rip + ", symbol!(), "@GOTTPOFF]"),
                hot = out(reg) hot,
                options(nomem, nostack),
            );
        }
        // SAFETY: this thread's variable, large and aligned as the type; all zero but for the
        // countdowns, which is valid. No other thread reaches it; a signal handler of this thread
        // uses the same `Cell`s and leaves `busy` as it found it.
        f(unsafe { &*hot })
    }
}

/// Takes `size` off the countdown in field `FIELD`; false when it is below 0 then.
#[inline(always)]
fn count_down<const FIELD: usize>(size: usize) -> bool {
    // SAFETY: changes a word of the calling thread's variable, in one instruction.
    unsafe {
        asm!(
            "sub qword ptr fs:[{distance} + {field}], {size}",
            "js {spent}",
            distance = in(reg) distance(),
            field = const FIELD,
            size = in(reg) size,
            spent = label { return false },
            options(nostack),
        );
    }
    true
}

/// Counts bytes allocated; false when the countdown has run out.
#[inline(always)]
pub(crate) fn count_allocated(size: usize) -> bool {
    count_down::<{ offset_of!(Hot, allocate_countdown) }>(size)
}

/// Counts bytes of a table-shaped block; false when the countdown has run out.
#[inline(always)]
pub(crate) fn count_table(size: usize) -> bool {
    count_down::<{ offset_of!(Hot, tables_countdown) }>(size)
}

/// Counts bytes freed; false when the countdown has run out.
#[inline(always)]
pub(crate) fn count_freed(size: usize) -> bool {
    count_down::<{ offset_of!(Hot, free_countdown) }>(size)
}

/// Whether the countdown of bytes freed has not run out.
#[cfg(feature = "preload")]
#[inline(always)]
pub(crate) fn frees_pass() -> bool {
    // SAFETY: reads a word of the calling thread's variable.
    unsafe {
        asm!(
            "cmp qword ptr fs:[{distance} + {field}], 0",
            "js {spent}",
            distance = in(reg) distance(),
            field = const offset_of!(Hot, free_countdown),
            spent = label { return false },
            options(nostack, readonly),
        );
    }
    true
}
