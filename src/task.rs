//! Threads as the kernel knows them: ids and names. Nothing is asked in a sandbox.

use crate::sandbox;
use mapgrow_format::layout::thread;

/// Id of the calling thread; 0 where the system must not be asked.
pub(crate) fn own_tid() -> i32 {
    if sandbox::entered() {
        return 0;
    }
    // SAFETY: `gettid` has no preconditions.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// The calling thread and its process: the latter's id in bits 32..64, for another process may see
/// this memory, a child of `fork` as a copy and one of `vfork` itself. 0 where the system must not
/// be asked.
pub(crate) fn own_identity() -> u64 {
    match own_tid() {
        0 => 0,
        tid => u64::from(std::process::id()) << 32 | u64::from(tid as u32),
    }
}

/// Whether an identity, as [`own_identity`] gives it, is that of a thread of this process that has
/// ended. False for threads of other processes, of which nothing is known.
pub(crate) fn has_ended(identity: u64) -> bool {
    identity != 0
        && !sandbox::entered()
        && identity >> 32 == u64::from(std::process::id())
        && is_gone(identity as u32 as i32)
}

/// Whether no thread of this process has that id.
pub(crate) fn is_gone(tid: i32) -> bool {
    if sandbox::entered() {
        return false;
    }
    // SAFETY: signal 0 is only a question.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) };
    answer == -1 && mapgrow_system::sys::errno() == libc::ESRCH
}

/// Name of the calling thread, as words for its slot.
pub(crate) fn own_name() -> [u64; thread::NAME_WORDS] {
    let mut name = [0u8; 16];
    if sandbox::entered() {
        return [0; thread::NAME_WORDS];
    }
    // SAFETY: `PR_GET_NAME` writes at most 16 bytes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let mut words = [0; thread::NAME_WORDS];
    for (word, bytes) in words.iter_mut().zip(name.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or([0; 8]));
    }
    words
}
