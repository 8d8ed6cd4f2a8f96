//! The signal that asks for a dump.

use crate::process::State;
use mapgrow_format::layout::header;
use mapgrow_system::sys::ErrnoGuard;

/// Installs the handler, unless the program was started with the signal ignored or has a handler
/// of its own; the signal number taken, or 0. A program that installs its own later replaces
/// ours.
pub(crate) fn take_signal(signal: i32) -> i32 {
    if signal == 0 {
        return 0;
    }
    // SAFETY: `sigaction` is plain data for which zero is valid.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: a query: `action` is a place for the result.
    let known = unsafe { libc::sigaction(signal, core::ptr::null(), &raw mut action) } == 0;
    if !known || action.sa_sigaction != libc::SIG_DFL {
        return 0;
    }
    action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `action` is a complete description of a handler that makes async-signal-safe calls
    // only.
    let taken = unsafe {
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, core::ptr::null_mut())
    } == 0;
    if taken { signal } else { 0 }
}

extern "C" fn on_signal(_: libc::c_int) {
    let _errno = ErrnoGuard::save();
    let Some(state) = State::get() else { return };
    // Never the one to create a recording or to notice a fork: that is not for a handler.
    if let Some(recording) = crate::process::existing_recording() {
        let _ = super::dump(recording, &state.settings, header::REASON_SIGNAL, |_| ());
    }
}
