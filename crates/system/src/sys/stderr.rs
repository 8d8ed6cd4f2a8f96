//! Standard error: written to only while it is what it was at the start.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{SignalsBlocked, Text};

/// What descriptor 2 was at the start: device, inode, and whether that is known.
static STDERR: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Device and inode of descriptor 2.
fn stderr_now() -> Option<[u64; 2]> {
    // SAFETY: `stat` is plain data for which zero is valid.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: `stat` is a place for the result.
    let known = unsafe { libc::fstat(libc::STDERR_FILENO, &raw mut stat) } == 0;
    known.then_some([stat.st_dev, stat.st_ino])
}

/// Notes what standard error is. A program may put another file in its place later, which is then
/// none of ours to write to.
pub fn remember_stderr() {
    let Some([device, inode]) = stderr_now() else {
        return;
    };
    if STDERR[2].load(Ordering::Acquire) == 0 {
        STDERR[0].store(device, Ordering::Relaxed);
        STDERR[1].store(inode, Ordering::Relaxed);
        STDERR[2].store(1, Ordering::Release);
    }
}

/// Whether descriptor 2 is what it was at the start.
pub fn stderr_is_the_same() -> bool {
    STDERR[2].load(Ordering::Acquire) == 1
        && stderr_now().is_some_and(|now| {
            now == [
                STDERR[0].load(Ordering::Relaxed),
                STDERR[1].load(Ordering::Relaxed),
            ]
        })
}

/// Writes to standard error if it is what it was, and whatever becomes of it: no signal is raised
/// when nobody reads it, and a line that would have to wait is not written.
pub fn write_stderr(bytes: &[u8], wait: bool) {
    if !stderr_is_the_same() {
        return;
    }
    let mut ready = libc::pollfd {
        fd: libc::STDERR_FILENO,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one descriptor.
    if wait || unsafe { libc::poll(&raw mut ready, 1, 0) } == 1 {
        SignalsBlocked::new().write(libc::STDERR_FILENO, bytes);
    }
}

/// Writes a line about a setting or a failure to stderr, in one `write`. What is not plain text
/// in it is replaced: a terminal would obey it.
#[cold]
#[inline(never)]
pub fn complain(parts: &[&[u8]]) {
    let mut line = Text::<512>::new();
    line.push(b"mapgrow: ");
    for part in parts {
        line.push_plain(part);
    }
    if line.cut {
        line.truncate(510);
    }
    line.push(b"\n");
    write_stderr(line.as_bytes(), false);
}
