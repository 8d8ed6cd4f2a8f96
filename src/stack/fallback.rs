//! The slow way: the `backtrace` crate, that is the system's own unwinder.
//!
//! It understands every rule, and code that registered its tables at run time (JIT compilers),
//! at some microseconds for each stack. It is asked only when our own walk got stuck, and its
//! answer is used only when it reached further.

use super::cache::RuleCache;
use super::rules::Kind;
use super::walk::{Scratch, Stop};
use super::{EntryFrames, Return, arch, loader};
use crate::own_stack::on_stack;
use crate::sandbox;
use core::ffi::c_void;
use mapgrow_system::sys::SignalsBlocked;

unsafe extern "C" {
    fn _Unwind_Backtrace(trace: *const c_void, argument: *mut c_void) -> i32;
}

/// A stack for the system's unwinder, which keeps tables of registers there and may have symbols
/// to look up: 2 to 4 KiB. (More where this code is not optimised.)
pub(super) type UnwinderStack = [u64; if cfg!(debug_assertions) { 8192 } else { 2048 }];

/// Whether the system's unwinder may be called from the stack in `scratch`.
///
/// It takes a lock when tables were registered at run time, and allocates while it holds it. So
/// not when it is itself on the stack; and where it is linked into the program itself, its
/// frames cannot be told from the program's, so never.
fn may_ask(scratch: &Scratch) -> bool {
    let unwinder = _Unwind_Backtrace as *const () as u64;
    let Some(object) = loader::mapping(unwinder) else {
        return false;
    };
    !object.contains(&(may_ask as *const () as u64))
        && !scratch
            .returns()
            .iter()
            .any(|frame| object.contains(&frame.pc))
}

/// Calls `each` with the frames from the innermost one that `scratch` knows, outwards, until it
/// returns false.
///
/// # Safety
/// Must be called from inside the frames that `scratch` holds.
unsafe fn trace(first_slot: u64, mut each: impl FnMut(Return) -> bool) {
    let mut inside = true;
    // SAFETY: the unwinder of ELF systems keeps no global state that two runs could share.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            let slot = (frame.sp() as u64).wrapping_sub(8);
            inside = inside && slot != first_slot;
            let pc = frame.ip() as u64;
            inside || (pc != 0 && each(Return { slot, pc }))
        });
    }
}

/// Replaces the stack in `scratch` by what the system's unwinder finds, if that is more. Returns
/// whether it was.
///
/// # Safety
/// Must be called from inside the frames that `scratch` holds, on the thread that `rules`
/// belongs to.
#[cold]
#[inline(never)]
pub(super) unsafe fn extend(
    scratch: &mut Scratch,
    rules: &mut RuleCache,
    entry: &EntryFrames,
    unwinder: &mut UnwinderStack,
) -> bool {
    // To block signals may be forbidden.
    if scratch.first.slot == 0 || sandbox::entered() || !may_ask(scratch) {
        return false;
    }
    // SAFETY: we are inside the frames of `scratch` (`call_on` leaves a frame pointer that leads back),
    // on the thread that owns `rules` (this contract).
    let mut extend = || unsafe { extend_here(scratch, rules, entry) };
    if !sandbox::SEEN {
        return extend();
    }
    let blocked = SignalsBlocked::new();
    on_stack(&blocked, unwinder, extend).unwrap_or(false)
}

/// # Safety
/// As for [`extend`].
unsafe fn extend_here(scratch: &mut Scratch, rules: &mut RuleCache, entry: &EntryFrames) -> bool {
    let first_slot = scratch.first.slot;
    let known = scratch.met;
    let mut found = 0;
    // SAFETY: we are inside the frames of `scratch` (this contract).
    unsafe {
        trace(first_slot, |_| {
            found += 1;
            found <= known
        });
    }
    if found <= known {
        return false;
    }
    // SAFETY: we are inside the frames of `scratch`, on the thread that owns `rules` (this contract).
    unsafe { replace(scratch, rules, entry, first_slot) };
    true
}

/// Takes the stack outside the captured registers from the system's unwinder alone.
///
/// # Safety
/// As for [`extend`].
#[cold]
#[inline(never)]
pub(super) unsafe fn walk(scratch: &mut Scratch, rules: &mut RuleCache, entry: &EntryFrames) {
    let inside = scratch.start.sp;
    let mut first_slot = 0;
    // SAFETY: the unwinder of ELF systems keeps no global state that two runs could share.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            first_slot = (frame.sp() as u64).wrapping_sub(8);
            first_slot < inside
        });
    }
    // SAFETY: we are inside the frames of `scratch`, on the thread that owns `rules` (this contract).
    unsafe { replace(scratch, rules, entry, first_slot) };
}

/// Takes the stack from the system's unwinder, from the frame outwards that was returned to
/// from `first_slot`.
///
/// # Safety
/// As for [`extend`].
unsafe fn replace(
    scratch: &mut Scratch,
    rules: &mut RuleCache,
    entry: &EntryFrames,
    first_slot: u64,
) {
    scratch.reset();
    rules.begin_walk();
    let mut leading = true;
    let mut room = true;
    // SAFETY: we are inside the frames of `scratch` (this contract). Return addresses come from this
    // thread's active frames, so their objects stay loaded.
    unsafe {
        trace(first_slot, |frame| {
            if leading {
                let rule = rules.rule(frame.pc.wrapping_sub(1));
                let start = match rule.kind {
                    Kind::NoInfo => 0,
                    _ => frame
                        .pc
                        .wrapping_sub(1)
                        .wrapping_sub(u64::from(rule.into_function)),
                };
                if entry.contains(start) {
                    return true;
                }
                leading = false;
                scratch.caller_function_start = start;
            }
            room = scratch.push(frame).is_ok();
            room
        });
    }
    let outermost = scratch.returns().last().is_some_and(|last| {
        // SAFETY: a return address of an active frame of this thread: its object stays loaded.
        let rule = unsafe { rules.rule(last.pc.wrapping_sub(1)) };
        rule.kind == Kind::Outermost || !arch::OWN_UNWINDER
    });
    // The system's unwinder ends in silence where it knows no further.
    scratch.stop = match (room, outermost) {
        (false, _) => Stop::Limit,
        (true, false) => Stop::NoInfo,
        (true, true) => Stop::Outermost,
    };
}
