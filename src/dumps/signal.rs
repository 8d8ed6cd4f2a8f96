//! The signal that asks for a dump.

use super::{Ending, leave};
use crate::config::AtExit;
use crate::life::{State, existing_recording};
use mapgrow_format::layout::header;
use mapgrow_system::sys::ErrnoGuard;

/// A handler.
type Handler = extern "C" fn(libc::c_int);

/// Takes the signal that asks for a dump, unless the program was started with it ignored or has a
/// handler of its own; the signal number taken, or 0. A program that installs its own later
/// replaces ours.
pub(crate) fn take_signal(signal: i32) -> i32 {
    if signal != 0 && take(signal, on_signal) {
        signal
    } else {
        0
    }
}

/// Takes SIGTERM in the same way: a service that has no handler for it ends by it, and its last
/// dump is the one that is missed most.
pub(crate) fn take_term() {
    take(libc::SIGTERM, on_term);
}

/// What is done at a signal now.
fn disposition(signal: i32) -> Option<libc::sigaction> {
    // SAFETY: `sigaction` is plain data for which zero is valid.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: a query: `action` is a place for the result.
    let known = unsafe { libc::sigaction(signal, core::ptr::null(), &raw mut action) } == 0;
    known.then_some(action)
}

fn take(signal: i32, handler: Handler) -> bool {
    let Some(mut action) = disposition(signal) else {
        return false;
    };
    if action.sa_sigaction != libc::SIG_DFL {
        return false;
    }
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // No handler of the program's runs within ours: it may jump away.
    // SAFETY: `action` is initialised; the handler calls only what is async-signal-safe.
    unsafe {
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, core::ptr::null_mut()) == 0
    }
}

extern "C" fn on_signal(_: libc::c_int) {
    let _errno = ErrnoGuard::save();
    let Some(state) = State::get() else { return };
    // Never the one to create a recording or to notice a fork: that is not for a handler.
    // One of another process is a copy: see `header::STATE_FORKS_UNSEEN`.
    let recording = existing_recording();
    if let Some(recording) = recording.filter(|recording| recording.is_of_this_process()) {
        let _ = super::dump(recording, &state.settings, header::REASON_SIGNAL, |_| ());
    }
}

/// Dumps, and ends the process by the same signal.
extern "C" fn on_term(signal: libc::c_int) {
    let _errno = ErrnoGuard::save();
    // A program that took the signal later may call what it found there, us: it ends as it likes.
    let Some(mut action) = disposition(signal) else {
        return;
    };
    if action.sa_sigaction != on_term as Handler as usize {
        return;
    }
    // A report is printed at an orderly end alone.
    if State::get().is_some_and(|state| state.settings.at_exit == AtExit::Dump) {
        leave(Ending::Sudden);
    }
    action.sa_sigaction = libc::SIG_DFL;
    // SAFETY: the default action; the signal is blocked until this handler returns, and ends the
    // process then.
    unsafe {
        libc::sigaction(signal, &raw const action, core::ptr::null_mut());
        libc::syscall(
            libc::SYS_tgkill,
            libc::getpid(),
            libc::syscall(libc::SYS_gettid),
            signal,
        );
    }
}
