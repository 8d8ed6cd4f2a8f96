//! Ways to leave a program that run no destructors: `_exit`, `quick_exit`, and the `exec`
//! family, after which the memory that the recording lies in is gone.
//!
//! All are only noticed: they go on to the C library unchanged.

use core::ffi::c_int;

#[cfg(target_arch = "x86_64")]
use recorder::preload_support::before_exec;
use recorder::preload_support::before_exit;

use crate::next::next;
#[cfg(target_arch = "x86_64")]
use crate::next::{exec, next_soon};
use crate::python;

/// Makes `quick_exit` come by here. In a constructor, because registering takes a lock, under
/// which the C library may allocate.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = at_start;

extern "C" fn at_start() {
    recorder::preload_support::at_start();
    unsafe extern "C" {
        fn at_quick_exit(function: extern "C" fn()) -> c_int;
    }
    // SAFETY: the function stays where it is: a preloaded library is never unloaded. The first
    // to be registered runs last.
    unsafe { at_quick_exit(on_quick_exit) };
    // So that a child of `fork` has no need to ask the loader.
    let _ = next();
    python::look();
}

extern "C" fn on_quick_exit() {
    before_exit();
}

/// `_exit(2)`.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _exit(status: c_int) -> ! {
    before_exit();
    loop {
        // SAFETY: `exit_group` takes a number and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}

/// `_Exit(3)`.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _Exit(status: c_int) -> ! {
    // SAFETY: `_exit` takes any number.
    unsafe { _exit(status) }
}

#[cfg(target_arch = "x86_64")]
extern "C" fn leaving() {
    // This may be the program's first call into the library: then the C library's functions have
    // still to be found.
    let _ = next_soon();
    before_exec();
}

/// The `exec` family. Some take any number of arguments: every register that may hold one is
/// kept, the stack is left as it was found, and the function goes on into the C library's.
#[cfg(target_arch = "x86_64")]
macro_rules! pass_through {
    ($($name:ident => $next:ident)*) => {
        $(
            /// The function of that name in `exec(3)`.
            ///
            /// # Safety
            /// As for that function.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name() {
                core::arch::naked_asm!(
                    ".cfi_startproc",
                    "push rdi",
                    "push rsi",
                    "push rdx",
                    "push rcx",
                    "push r8",
                    "push r9",
                    "push rax",
                    ".cfi_adjust_cfa_offset 56",
                    "call {leaving}",
                    "pop rax",
                    "pop r9",
                    "pop r8",
                    "pop rcx",
                    "pop rdx",
                    "pop rsi",
                    "pop rdi",
                    ".cfi_adjust_cfa_offset -56",
                    "jmp qword ptr [rip + {next}]",
                    ".cfi_endproc",
                    leaving = sym leaving,
                    next = sym exec::$next,
                )
            }
        )*
    };
}

#[cfg(target_arch = "x86_64")]
pass_through! {
    execve => EXECVE
    execv => EXECV
    execvp => EXECVP
    execvpe => EXECVPE
    fexecve => FEXECVE
    execl => EXECL
    execlp => EXECLP
    execle => EXECLE
}
