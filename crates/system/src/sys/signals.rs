//! Signals kept away for a while, and those that a write would raise.

use super::Descriptor;

/// Keeps all signals from the calling thread until it is dropped. What arrives meanwhile arrives
/// then.
pub struct SignalsBlocked(KernelSignals);

/// A set of signals as the kernel has it: signal n is bit n - 1.
type KernelSignals = u64;

fn change_blocked(new: KernelSignals) -> KernelSignals {
    let mut old: KernelSignals = 0;
    // Not the C library's: that leaves out the signals of its own, and one cancels threads.
    // SAFETY: both sets are valid for their size.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const new,
            &raw mut old,
            size_of::<KernelSignals>(),
        )
    };
    old
}

impl Default for SignalsBlocked {
    fn default() -> Self {
        Self::new()
    }
}

impl SignalsBlocked {
    /// Keeps them from now on.
    pub fn new() -> Self {
        Self(change_blocked(KernelSignals::MAX))
    }

    fn is_pending(&self, signal: i32) -> bool {
        let mut pending: KernelSignals = 0;
        let place = &raw mut pending;
        // SAFETY: the set is valid for its size.
        unsafe { libc::syscall(libc::SYS_rt_sigpending, place, size_of::<KernelSignals>()) };
        pending & 1 << (signal - 1) != 0
    }

    /// Takes away a signal that is pending.
    fn take(&self, signal: i32) {
        let set: KernelSignals = 1 << (signal - 1);
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the set and the time are valid; nobody asks for the details.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const set,
                core::ptr::null::<libc::siginfo_t>(),
                &raw const at_once,
                size_of::<KernelSignals>(),
            )
        };
    }

    /// Writes to a file of the program's. A failure may come with a signal (nobody reads the pipe,
    /// the file is as long as the process may make it): not here.
    pub(super) fn write(&self, fd: i32, bytes: &[u8]) -> bool {
        const RAISED: [i32; 2] = [libc::SIGPIPE, libc::SIGXFSZ];
        let before = RAISED.map(|signal| self.is_pending(signal));
        let written = Descriptor::write_bytes(fd, bytes);
        for (signal, before) in RAISED.into_iter().zip(before) {
            if !before && self.is_pending(signal) {
                self.take(signal);
            }
        }
        written
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        change_blocked(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_killed_by_a_broken_pipe() {
        let mut ends = [0; 2];
        // SAFETY: a place for two descriptors; the default would be to end this process.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::close(ends[0]);
        }
        // SAFETY: nobody else has it.
        let pipe = unsafe { Descriptor::from_raw(ends[1]) };
        let blocked = SignalsBlocked::new();
        assert!(!blocked.write(pipe.number(), b"nobody reads this"));
        assert!(!blocked.is_pending(libc::SIGPIPE));
        drop(blocked);
    }
}
