//! Frames of every kind that compilers and runtimes make.

use super::{EntryFrames, Outcome, Owned, Registers, check, referee, repeat};
use corosensei::{Coroutine, CoroutineResult, stack::DefaultStack};
use std::arch::{asm, global_asm};
use std::cell::Cell;
use std::ffi::c_void;
use std::hint::black_box;

/// What the assembly frames call.
pub(super) type Callback = unsafe extern "C" fn(*mut c_void);

// A frame of variable size; one that realigns its stack the way gcc does, with the CFA stored
// in memory; and one that uses the frame pointer register for something else.
global_asm!(
    ".pushsection .text.mapgrow_test_frames,\"ax\",@progbits",
    ".globl mapgrow_test_variable_frame",
    ".hidden mapgrow_test_variable_frame",
    "mapgrow_test_variable_frame:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "sub rsp, rdx",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "leave",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".globl mapgrow_test_realigned_frame",
    ".hidden mapgrow_test_realigned_frame",
    "mapgrow_test_realigned_frame:",
    ".cfi_startproc",
    "lea r10, [rsp + 8]",
    ".cfi_def_cfa r10, 0",
    "and rsp, -128",
    "push qword ptr [r10 - 8]",
    "push rbp",
    // rbp is saved at rbp + 0.
    ".cfi_escape 0x10, 6, 2, 0x76, 0",
    "mov rbp, rsp",
    "push r10",
    // The CFA is the word at rbp - 8.
    ".cfi_escape 0x0f, 3, 0x76, 0x78, 6",
    "sub rsp, 232",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "mov r10, qword ptr [rbp - 8]",
    ".cfi_def_cfa r10, 0",
    "leave",
    "lea rsp, [r10 - 8]",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".globl mapgrow_test_other_use_frame",
    ".hidden mapgrow_test_other_use_frame",
    "mapgrow_test_other_use_frame:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "rdtsc",
    "mov rbp, rax",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "pop rbp",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
    ".globl mapgrow_test_intricate_frame",
    ".hidden mapgrow_test_intricate_frame",
    "mapgrow_test_intricate_frame:",
    ".cfi_startproc",
    "sub rsp, 24",
    // The CFA is rsp + 31 + 1, with an addition that our rules do not know.
    ".cfi_escape 0x0f, 4, 0x77, 31, 0x31, 0x22",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "add rsp, 24",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".popsection",
);

unsafe extern "C" {
    /// Calls `call(argument)` from a frame with `bytes` (a multiple of 16) of room below it.
    #[link_name = "mapgrow_test_variable_frame"]
    pub(super) fn variable_frame(call: Callback, argument: *mut c_void, bytes: usize);
    /// Calls `call(argument)` from a frame that was realigned to 128 bytes.
    #[link_name = "mapgrow_test_realigned_frame"]
    pub(super) fn realigned_frame(call: Callback, argument: *mut c_void);
    /// Calls `call(argument)` with the time in the frame pointer register.
    #[link_name = "mapgrow_test_other_use_frame"]
    pub(super) fn other_use_frame(call: Callback, argument: *mut c_void);
    /// Calls `call(argument)` from a frame whose CFA is an expression not handled here.
    #[link_name = "mapgrow_test_intricate_frame"]
    fn intricate_frame(call: Callback, argument: *mut c_void);
}

#[repr(align(256))]
struct Aligned([u8; 256]);

/// Calls `inner` from a frame that Rust realigned to 256 bytes.
#[inline(never)]
pub(super) fn aligned_frame(inner: &mut dyn FnMut()) {
    let mut local = Aligned([1; 256]);
    black_box(&mut local);
    inner();
    black_box(&mut local.0);
}

/// Calls `inner` from `levels` frames further in, each time from one of four places in the same
/// frame as two bits of `path` say.
#[inline(never)]
pub(super) fn switchboard(levels: u32, path: u32, inner: &mut dyn FnMut()) {
    if levels == 0 {
        inner();
        black_box(());
        return;
    }
    let (next, rest) = (levels - 1, path >> 2);
    // SAFETY: no effect; different code around the calls keeps them apart.
    unsafe {
        match path & 3 {
            0 => {
                asm!("nop");
                switchboard(next, rest, inner);
                asm!("nop");
            }
            1 => {
                asm!("nop", "nop");
                switchboard(next, rest, inner);
                asm!("nop", "nop");
            }
            2 => {
                asm!("nop", "nop", "nop");
                switchboard(next, rest, inner);
                asm!("nop", "nop", "nop");
            }
            _ => {
                asm!("nop", "nop", "nop", "nop");
                switchboard(next, rest, inner);
                asm!("nop", "nop", "nop", "nop");
            }
        }
    }
}

/// Calls the closure that `argument` points to.
pub(super) unsafe extern "C" fn call_closure(argument: *mut c_void) {
    // SAFETY: callers pass a pointer to such a reference.
    let closure = unsafe { &mut *argument.cast::<&mut dyn FnMut()>() };
    closure();
    black_box(());
}

/// A closure as an argument for [`call_closure`].
pub(super) fn argument(closure: &mut &mut dyn FnMut()) -> *mut c_void {
    (&raw mut *closure).cast()
}

thread_local! {
    static IN_HANDLER: Cell<*mut c_void> = const { Cell::new(std::ptr::null_mut()) };
}

extern "C" fn handler(_: i32) {
    let argument = IN_HANDLER.replace(std::ptr::null_mut());
    if !argument.is_null() {
        // SAFETY: set by `in_signal_handler` on this thread, which waits.
        unsafe { call_closure(argument) };
    }
}

/// The signal that the tests use.
const SIGNAL: i32 = libc::SIGURG;

/// Sets up the signal handler, and for this thread a stack for it.
pub(super) fn prepare_signals() {
    // SAFETY: plain calls with initialised arguments; the stack is leaked, so it stays valid.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_NODEFER;
        assert_eq!(
            libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut()),
            0
        );
        let memory = vec![0_u8; 1 << 20].leak();
        let stack = libc::stack_t {
            ss_sp: memory.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: 1 << 20,
        };
        assert_eq!(libc::sigaltstack(&raw const stack, std::ptr::null_mut()), 0);
    }
}

/// Calls `inner` in a signal handler, on the signal stack.
#[inline(never)]
pub(super) fn in_signal_handler(inner: &mut dyn FnMut()) {
    let mut inner = inner;
    IN_HANDLER.set(argument(&mut inner));
    // SAFETY: the handler was set up by `prepare_signals`.
    unsafe { libc::pthread_kill(libc::pthread_self(), SIGNAL) };
    assert!(IN_HANDLER.get().is_null(), "the handler has run");
}

/// Calls `inner` in a coroutine on `stack`, and gives the stack back.
#[inline(never)]
pub(super) fn in_coroutine(stack: DefaultStack, inner: &mut dyn FnMut()) -> DefaultStack {
    let mut inner = inner;
    let inner = argument(&mut inner) as usize;
    let mut coroutine = Coroutine::<(), (), (), _>::with_stack(stack, move |_, ()| {
        // SAFETY: the closure outlives the coroutine, which is done when this function returns.
        unsafe { call_closure(inner as *mut c_void) };
    });
    assert!(matches!(coroutine.resume(()), CoroutineResult::Return(())));
    coroutine.into_stack()
}

/// Stacks for [`in_coroutine`].
pub(super) fn coroutine_stacks(count: usize) -> Vec<DefaultStack> {
    (0..count)
        .map(|_| DefaultStack::new(1 << 18).expect("a stack"))
        .collect()
}

/// Checks what `wrap` puts around a capture, three times; the later ones must be known.
fn thrice(mut wrap: impl FnMut(usize, &mut dyn FnMut())) {
    let mut stacks = Owned::new();
    stacks.check_all = true;
    let entry = EntryFrames::new();
    repeat(black_box(3), &mut |round| {
        wrap(round, &mut || {
            let outcome = check(&mut stacks, &entry);
            assert_eq!(
                outcome == Outcome::Checked,
                round > 0,
                "{round} {outcome:?}"
            );
        });
    });
}

#[test]
fn frames_of_variable_size() {
    for bytes in black_box([0, 16, 4096, 64]) {
        thrice(|_, inner| {
            let mut inner = inner;
            // SAFETY: the callback gets the argument it expects.
            unsafe { variable_frame(call_closure, argument(&mut inner), bytes) }
        });
    }
}

#[test]
fn realigned_frames() {
    thrice(|_, inner| {
        let mut inner = inner;
        // SAFETY: the callback gets the argument it expects.
        unsafe { realigned_frame(call_closure, argument(&mut inner)) }
    });
    thrice(|_, inner| aligned_frame(inner));
    thrice(|_, inner| aligned_frame(&mut || aligned_frame(inner)));
}

#[test]
fn a_register_put_to_other_use_does_not_matter() {
    thrice(|_, inner| {
        let mut inner = inner;
        // SAFETY: the callback gets the argument it expects.
        unsafe { other_use_frame(call_closure, argument(&mut inner)) }
    });
}

#[test]
fn signal_handlers_on_their_own_stack() {
    prepare_signals();
    thrice(|_, inner| in_signal_handler(inner));
    thrice(|_, inner| in_signal_handler(&mut || in_signal_handler(inner)));
}

#[test]
fn coroutines_on_their_own_stack() {
    let mut stacks = coroutine_stacks(2);
    let mut run = |inner: &mut dyn FnMut()| {
        let stack = stacks.pop().expect("a stack");
        let stack = in_coroutine(stack, inner);
        stacks.push(stack);
    };
    thrice(|_, inner| run(inner));
    let mut other = coroutine_stacks(1);
    thrice(|_, inner| {
        run(&mut || {
            let stack = other.pop().expect("a stack");
            other.push(in_coroutine(stack, inner));
        });
    });
}

#[test]
fn a_stack_of_every_kind_of_frame() {
    prepare_signals();
    let mut stacks = coroutine_stacks(1);
    thrice(|_, inner| {
        let mut variable = || {
            let mut inner: &mut dyn FnMut() = &mut || inner();
            // SAFETY: the callback gets the argument it expects.
            unsafe { variable_frame(call_closure, argument(&mut inner), 80) };
        };
        let mut realigned = || {
            let mut inner: &mut dyn FnMut() = &mut || in_signal_handler(&mut variable);
            // SAFETY: the callback gets the argument it expects.
            unsafe { realigned_frame(call_closure, argument(&mut inner)) };
        };
        let stack = stacks.pop().expect("a stack");
        stacks.push(in_coroutine(stack, &mut || aligned_frame(&mut realigned)));
    });
}

#[test]
fn what_the_rules_cannot_do_is_left_to_the_system() {
    let mut stacks = Owned::new();
    let entry = EntryFrames::new();
    repeat(black_box(3), &mut |_| {
        let mut inner: &mut dyn FnMut() = &mut || {
            assert_eq!(check(&mut stacks, &entry), Outcome::Fallback);
        };
        // SAFETY: the callback gets the argument it expects.
        unsafe { intricate_frame(call_closure, argument(&mut inner)) };
    });
}

/// A copy of a function without unwind tables, in memory that belongs to no object.
fn generated_frame() -> unsafe extern "C" fn(Callback, *mut c_void) {
    // sub rsp, 8; mov rax, rdi; mov rdi, rsi; call rax; add rsp, 8; ret
    const CODE: [u8; 17] = [
        0x48, 0x83, 0xec, 8, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0xff, 0xd0, 0x48, 0x83, 0xc4, 8,
        0xc3,
    ];
    // SAFETY: fresh memory of a page, made executable once the code is in it.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let page = libc::mmap(std::ptr::null_mut(), 4096, writable, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        page.cast::<[u8; 17]>().write(CODE);
        assert_eq!(
            libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC),
            0
        );
        std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Callback, *mut c_void)>(page)
    }
}

#[test]
fn a_stack_ends_at_generated_code_and_says_so() {
    let generated = generated_frame();
    let mut stacks = Owned::new();
    stacks.check_all = true;
    let entry = EntryFrames::new();
    repeat(black_box(3), &mut |round| {
        let mut inner: &mut dyn FnMut() = &mut || {
            let here = Registers::here();
            let expected = referee::returns(&here);
            // SAFETY: the registers are those of this closure, which is running.
            let capture = unsafe { stacks.capture(&here, &entry) };
            assert!(capture.truncated);
            referee::assert_same(capture.returns(), &expected);
            let last = capture.returns().last().expect("a frame");
            assert_eq!(last.pc, generated as *const () as u64 + 12);
            // It is kept all the same: the system's unwinder is not asked again.
            let outcome = [Outcome::Miss, Outcome::Checked, Outcome::Checked][round];
            assert_eq!(capture.outcome, outcome);
        };
        // SAFETY: the callback gets the argument it expects.
        unsafe { generated(call_closure, argument(&mut inner)) };
    });
}
