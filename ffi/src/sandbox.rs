//! `prctl` and `syscall`: the calls by which a program shuts itself into a sandbox, in which each
//! system call that it does not need itself may end it. The recorder has to know.
//!
//! Both do what the C library's do: the system call, and `errno`.

use core::ffi::{c_int, c_long, c_ulong};

use recorder::preload_support::{Entering, Sandbox, prepare_for_sandbox};

use crate::next::next;

const SECCOMP_SET_MODE_STRICT: c_ulong = 0;
const SECCOMP_SET_MODE_FILTER: c_ulong = 1;

/// What a `prctl` shuts the program into.
fn by_prctl(option: c_ulong, argument: c_ulong) -> Option<Sandbox> {
    match (option as c_int, argument) {
        (libc::PR_SET_SECCOMP, mode) if mode == c_ulong::from(libc::SECCOMP_MODE_FILTER) => {
            Some(Sandbox::Filter)
        }
        (libc::PR_SET_SECCOMP, mode) if mode == c_ulong::from(libc::SECCOMP_MODE_STRICT) => {
            Some(Sandbox::Strict)
        }
        (libc::PR_SET_TSC, how) if how == libc::PR_TSC_SIGSEGV as c_ulong => {
            Some(Sandbox::NoCounter)
        }
        _ => None,
    }
}

/// What a system call shuts the program into.
fn by_call(number: c_long, arguments: &[c_ulong; 6]) -> Option<Sandbox> {
    match number {
        libc::SYS_prctl => by_prctl(arguments[0], arguments[1]),
        libc::SYS_seccomp => match arguments[0] {
            SECCOMP_SET_MODE_STRICT => Some(Sandbox::Strict),
            SECCOMP_SET_MODE_FILTER => Some(Sandbox::Filter),
            _ => None,
        },
        _ => None,
    }
}

/// Makes a system call, with the recorder told before and after.
///
/// # Safety
/// As for the call.
unsafe fn call(number: c_long, arguments: &[c_ulong; 6], sandbox: Option<Sandbox>) -> c_long {
    if let Some(sandbox) = sandbox
        && next().is_some()
    {
        prepare_for_sandbox(sandbox);
    }
    let entering = sandbox.map(Entering::begin);
    // SAFETY: number and arguments are the program's own; what they ask for is its duty (this
    // contract).
    let result = unsafe { kernel(number, arguments) };
    const ERRORS: c_long = -4095;
    if (ERRORS..0).contains(&result) {
        if let Some(entering) = entering {
            entering.failed();
        }
        // SAFETY: `__errno_location` returns the calling thread's errno, valid for its life.
        unsafe { *libc::__errno_location() = -result as c_int };
        return -1;
    }
    if let Some(entering) = entering {
        entering.succeeded();
    }
    result
}

/// The system call itself.
///
/// # Safety
/// As for the call.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn kernel(number: c_long, arguments: &[c_ulong; 6]) -> c_long {
    let result;
    // SAFETY: the kernel changes `rax`, `rcx` and `r11`, and memory as the call says.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// `prctl(2)`.
///
/// # Safety
/// As for that function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prctl(
    option: c_int,
    second: c_ulong,
    third: c_ulong,
    fourth: c_ulong,
    fifth: c_ulong,
) -> c_int {
    let option = option as c_ulong;
    let arguments = [option, second, third, fourth, fifth, 0];
    let sandbox = by_prctl(option, second);
    // SAFETY: the program's own call of `prctl` (this contract).
    unsafe { call(libc::SYS_prctl, &arguments, sandbox) as c_int }
}

/// `syscall(2)`. A call takes up to six arguments; what stands where others would is anything.
///
/// # Safety
/// As for that function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    first: c_ulong,
    second: c_ulong,
    third: c_ulong,
    fourth: c_ulong,
    fifth: c_ulong,
    sixth: c_ulong,
) -> c_long {
    let arguments = [first, second, third, fourth, fifth, sixth];
    let sandbox = by_call(number, &arguments);
    // SAFETY: the program's own call (this contract).
    unsafe { call(number, &arguments, sandbox) }
}
