//! The command that is run: starts it, passes on the signals that we get, and ends this process as
//! it ended.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicI32, Ordering};

use mapgrow_system::sys::ErrnoGuard;

/// Signals that are meant for the command, not for us.
const PASSED_ON: [i32; 8] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGCONT,
];

static CHILD: AtomicI32 = AtomicI32::new(0);
/// A signal that came before there was a command to pass it on to.
static EARLY: AtomicI32 = AtomicI32::new(0);

/// Starts a command with these variables set, and passes signals on to it from then on.
pub fn start(command: &[OsString], variables: &[(&str, OsString)]) -> io::Result<Child> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| io::Error::other("no command is given"))?;
    for signal in PASSED_ON {
        pass_on(signal);
    }
    let child = Command::new(program)
        .arg0(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .spawn()?;
    CHILD.store(child.id() as i32, Ordering::SeqCst);
    let early = EARLY.swap(0, Ordering::SeqCst);
    if early != 0 {
        // SAFETY: the child was just started and not waited for, so its id is its own.
        unsafe { libc::kill(child.id() as i32, early) };
    }
    Ok(child)
}

extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let _errno = ErrnoGuard::save();
    let child = CHILD.load(Ordering::Acquire);
    // What comes from the terminal goes to the whole foreground, the command included.
    // SAFETY: the kernel gives a valid description to handlers installed with `SA_SIGINFO`.
    let from_terminal = unsafe { (*info).si_code } == libc::SI_KERNEL;
    if child == 0 {
        EARLY.store(signal, Ordering::SeqCst);
        // Started just now?
        if CHILD.load(Ordering::SeqCst) == 0 {
            return;
        }
        EARLY.store(0, Ordering::SeqCst);
    }
    let child = CHILD.load(Ordering::SeqCst);
    if child > 0 && !from_terminal {
        // SAFETY: `kill` may be called in a handler; `CHILD` becomes -1 before the child is reaped, so
        // the id is its own.
        unsafe { libc::kill(child, signal) };
    }
}

fn pass_on(signal: i32) {
    // SAFETY: `sigaction` is plain data for which zero is valid; the pointers are to values of
    // the right type, and the handler does what handlers may do.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        // A signal that is ignored (by nohup, say) is so for the command too.
        if action.sa_sigaction == libc::SIG_IGN {
            return;
        }
        action = std::mem::zeroed();
        action.sa_sigaction = on_signal as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

/// Waits for the command.
pub fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    let ended = wait_for_end(child);
    // Ended: signals are for nobody any more. Once it is reaped another process may have its id.
    CHILD.store(-1, Ordering::SeqCst);
    ended.and_then(|()| child.wait())
}

/// Waits until the command has ended, and leaves it to be reaped.
fn wait_for_end(child: &Child) -> io::Result<()> {
    loop {
        // SAFETY: `siginfo_t` is plain data for which zero is valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let how = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: `info` is a place for the result.
        if unsafe { libc::waitid(libc::P_PID, child.id(), &raw mut info, how) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Ends this process as the command ended: with its status, or by the same signal.
pub fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        let no_core = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the limit is valid; the signal's action is the default one from here on, which
        // ends the process, or else we go on.
        unsafe {
            // The command has left its core, ours would replace it.
            libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return ExitCode::from(128u8.saturating_add(signal as u8));
    }
    ExitCode::from(status.code().unwrap_or(1) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_has_ended_can_still_be_reaped() {
        let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
        wait_for_end(&child).unwrap();
        // It has its id still, and takes a signal.
        // SAFETY: the child was not waited for, so its id is its own.
        assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
        assert_eq!(wait(&mut child).unwrap().code(), Some(3));
        assert_eq!(CHILD.load(Ordering::SeqCst), -1);
    }
}
