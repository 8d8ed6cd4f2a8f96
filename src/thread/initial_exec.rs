//! [`Hot`] in the preload library: thread-local storage of the initial-exec model.
//!
//! Compiled for a shared library, `thread_local!` asks `__tls_get_addr` for its address. That
//! function may allocate (it enlarges the thread's vector of TLS blocks after a `dlopen`), with
//! the `malloc` that is asking. In the initial-exec model the variable has a fixed distance from
//! the thread pointer, which the loader writes into the library's offset table when the program
//! starts: no call, no allocation, and about a nanosecond less. The price is that the library
//! can only be loaded together with the program, as a preloaded one is. (A program that does
//! open it later takes the few bytes from the reserve that the loader keeps for that.)
//!
//! The stable compiler has no option for this model, so the variable is defined and addressed in
//! assembly. All of its bytes are zero at first, which is [`Hot::new`].

use core::arch::{asm, global_asm};

use super::Hot;

/// Its symbol: two versions of this crate in one program must not share it.
macro_rules! symbol {
    () => {
        concat!("__mapgrow_hot_", env!("CARGO_PKG_VERSION"))
    };
}

global_asm!(
    ".pushsection .tbss.mapgrow_hot, \"awT\", @nobits",
    ".p2align 4",
    concat!(".globl ", symbol!()),
    concat!(".hidden ", symbol!()),
    concat!(".type ", symbol!(), ", @object"),
    concat!(".size ", symbol!(), ", {size}"),
    concat!(symbol!(), ":"),
    ".zero {size}",
    ".popsection",
    size = const size_of::<Hot>(),
);

const _: () = assert!(align_of::<Hot>() <= 16);

/// Stands for the variable of the calling thread.
pub(crate) struct Key;

/// The calling thread's [`Hot`].
pub(crate) static HOT: Key = Key;

impl Key {
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Hot) -> R) -> R {
        let hot: *const Hot;
        // SAFETY: adds the variable's offset, a word that the loader wrote before any code of
        // this library ran, to the thread pointer, which x86_64 keeps at `fs:0` too. Neither
        // changes while a thread lives.
        unsafe {
            asm!(
                "mov {hot}, qword ptr fs:[0]",
                concat!("add {hot}, qword ptr [rip + ", symbol!(), "@GOTTPOFF]"),
                hot = out(reg) hot,
                options(pure, nomem, nostack),
            );
        }
        // SAFETY: the variable of this thread, as large and as aligned as the type, zero at
        // first (integers, null pointers, and an enum whose variant 0 exists: a valid value).
        // Others never see it, and references to it do not outlive the call.
        f(unsafe { &*hot })
    }
}
