//! Ends of a program that run no destructors: `_exit`, `_Exit` and `quick_exit`. A child of `fork`
//! mostly ends so, and would leave its recording behind as if it had been killed.
//!
//! The functions are defined in the program itself, before the C library's. What ends it by a
//! system call of its own passes them by. The preload library has its own (`ffi/src/leave.rs`).

use core::ffi::c_int;

use super::exit::{Ending, leave};

/// Makes `quick_exit` come by here. In a constructor, because registering takes a lock, under
/// which the C library may allocate.
#[used]
#[unsafe(link_section = ".init_array")]
pub(super) static AT_START: extern "C" fn() = at_start;

extern "C" fn at_start() {
    unsafe extern "C" {
        fn at_quick_exit(function: extern "C" fn()) -> c_int;
    }
    // SAFETY: `on_quick_exit` lies in this object, and the C library drops the entry when the
    // object is unloaded. The first to be registered runs last.
    unsafe { at_quick_exit(on_quick_exit) };
}

extern "C" fn on_quick_exit() {
    leave(Ending::Sudden);
}

/// `_exit(2)`.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
unsafe extern "C" fn _exit(status: c_int) -> ! {
    leave(Ending::Sudden);
    loop {
        // SAFETY: `exit_group` takes a number and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}

/// `_Exit(3)`: the same function. Both, since a C library that is linked statically has them in one
/// object.
///
/// # Safety
/// None beyond the C calling convention.
#[unsafe(no_mangle)]
unsafe extern "C" fn _Exit(status: c_int) -> ! {
    // SAFETY: `_exit` takes any number.
    unsafe { _exit(status) }
}
