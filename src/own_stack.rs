//! A stack of the recorder's own, for work that needs more of one than the program may have left.
//!
//! A thread may have been given 16 KiB, a coroutine 8, a signal handler what the kernel's frame
//! leaves of 2. Starting a recording or writing a dump takes more. So these run on pages of their
//! own, with all signals blocked: no handler of the program runs there, none can jump away and
//! leave the work half done, and none sees a stack pointer that it does not know.
//!
//! (Recording a block stays on the program's stack: it needs little.)

use core::ffi::c_void;

use mapgrow_system::sys::{SignalsBlocked, private_pages};

/// Bytes of the stack; without optimisation all takes more.
const SIZE: usize = if cfg!(debug_assertions) {
    256 << 10
} else {
    64 << 10
};
/// Bytes below it that cannot be written to.
const GUARD: usize = 4 << 10;
/// Zeros above it: who walks the stack there finds no way on, rather than what lies behind.
const ABOVE: usize = 1 << 10;

/// What lies at its lowest place.
const LOWEST: u64 = 0x6d61_7067_726f_7700;

/// What is called on the other stack, and its result.
struct Errand<F, R> {
    work: Option<F>,
    result: Option<R>,
}

extern "C" fn run<F: FnOnce() -> R, R>(errand: *mut c_void) {
    // SAFETY: `with_own_stack` lends its own errand for the time of the call.
    let errand = unsafe { &mut *errand.cast::<Errand<F, R>>() };
    errand.result = errand.work.take().map(|work| work());
}

/// Does `work` on a stack of its own, with all signals blocked. `None` when there is no memory for
/// the stack; nothing was done then.
#[inline(never)]
pub(crate) fn with_own_stack<F: FnOnce() -> R, R>(work: F) -> Option<R> {
    let blocked = SignalsBlocked::new();
    let pages = private_pages(GUARD + SIZE)?;
    // What does not fit shall not write to what lies below.
    // SAFETY: the first of the pages just mapped; nothing is kept there.
    unsafe { libc::mprotect(pages.cast(), GUARD, libc::PROT_NONE) };
    // SAFETY: the fresh pages above it, which nobody else knows.
    let area = unsafe { core::slice::from_raw_parts_mut(pages.add(GUARD).cast(), SIZE / 8) };
    let result = on_stack(&blocked, area, work);
    // SAFETY: mapped above with this size; what ran there has returned, and `area` is not used
    // again.
    unsafe { libc::munmap(pages.cast(), GUARD + SIZE) };
    result
}

/// Does `work` on the stack that `area` is, in the same way. What walks the stack there finds its
/// way on to the caller's.
#[inline(never)]
pub(crate) fn on_stack<F: FnOnce() -> R, R>(
    _blocked: &SignalsBlocked,
    area: &mut [u64],
    work: F,
) -> Option<R> {
    let mut errand = Errand {
        work: Some(work),
        result: None,
    };
    if area.len() * 8 < 2 * ABOVE {
        return None;
    }
    // Were it overwritten, so might be what lies below.
    if let Some(lowest) = area.first_mut() {
        *lowest = LOWEST;
    }
    let end = area.as_mut_ptr_range().end;
    let top = end.wrapping_byte_sub(ABOVE + end as usize % 16);
    // SAFETY: `top` is aligned to 16 and lies in `area`, which is borrowed for this call alone.
    // `run` is `extern "C"`: a panic aborts there. `errand` outlives the call.
    unsafe { call_on(top.cast(), run::<F, R>, (&raw mut errand).cast()) };
    debug_assert!(area.first() == Some(&LOWEST), "the stack was too small");
    errand.result
}

/// Calls `function` with the stack pointer at `top`. A frame pointer tells unwinders the way back.
///
/// # Safety
/// Below `top`, which is aligned to 16, lies enough memory for what is called, and it does not
/// unwind or jump out of the call.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn call_on(
    top: *mut u8,
    function: extern "C" fn(*mut c_void),
    argument: *mut c_void,
) {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdi",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn call_on(
    top: *mut u8,
    function: extern "C" fn(*mut c_void),
    argument: *mut c_void,
) {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x30, -8",
        ".cfi_offset x29, -16",
        "mov x29, sp",
        ".cfi_def_cfa x29, 16",
        "mov sp, x0",
        "mov x0, x2",
        "blr x1",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa sp, 0",
        "ret",
        ".cfi_endproc",
    )
}

/// Elsewhere the stack that is there has to do.
///
/// # Safety
/// None.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe extern "C" fn call_on(
    _: *mut u8,
    function: extern "C" fn(*mut c_void),
    argument: *mut c_void,
) {
    function(argument);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_elsewhere_and_its_result_comes_back() {
        let here = core::hint::black_box([7u8; 64]);
        let (sum, there) = with_own_stack(|| {
            let large = core::hint::black_box([1u8; 8 << 10]);
            let sum: usize = large.iter().map(|&byte| usize::from(byte)).sum();
            (sum + usize::from(here[3]), large.as_ptr() as usize)
        })
        .expect("there is memory");
        assert_eq!(sum, (8 << 10) + 7);
        assert!(there.abs_diff(here.as_ptr() as usize) > 64 << 10);
    }
}
