//! The few system calls the recorder needs, in forms that may run anywhere: inside an allocator,
//! in a signal handler, after `fork`. Nothing here allocates, and what changes `errno` is called
//! under [`ErrnoGuard`].

mod files;
mod signals;
mod stderr;
mod text;

use core::ffi::CStr;

pub use files::{Descriptor, Directory, FileSystem};
pub use signals::SignalsBlocked;
pub use stderr::{complain, remember_stderr, stderr_is_the_same, write_stderr};
pub use text::Text;

/// Puts `errno` back when dropped: a successful `malloc` must not change it.
pub struct ErrnoGuard(i32);

impl ErrnoGuard {
    /// Remembers the current `errno`.
    #[inline]
    pub fn save() -> Self {
        // SAFETY: `__errno_location` returns the calling thread's errno, valid for its life.
        Self(unsafe { *libc::__errno_location() })
    }
}

impl Drop for ErrnoGuard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as in `save`.
        unsafe { *libc::__errno_location() = self.0 }
    }
}

/// Last error number of this thread.
pub fn errno() -> i32 {
    // SAFETY: as in `ErrnoGuard::save`.
    unsafe { *libc::__errno_location() }
}

/// Writes the current directory into `buffer`; its length. `None` where it is too long or has no
/// path any more.
pub fn current_directory(buffer: &mut [u8]) -> Option<usize> {
    // The C library's `getcwd` may allocate where the kernel's gives up.
    // SAFETY: the kernel writes no more than the given length.
    let n = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    // The length counts the NUL at the end.
    let length = usize::try_from(n).ok()?.checked_sub(1)?;
    (buffer.first() == Some(&b'/')).then_some(length)
}

/// Hands on the value of an environment variable, if it is set. Set-user-id programs take none.
///
/// The value lies in the environment block, which the program may change: what is to be kept of it
/// is to be copied by `with`, at once.
pub fn with_env<R>(name: &CStr, with: impl FnOnce(Option<&[u8]>) -> R) -> R {
    unsafe extern "C" {
        fn secure_getenv(name: *const libc::c_char) -> *const libc::c_char;
    }
    // SAFETY: `name` is a C string; the result is null or a C string in the environment block.
    let value = unsafe { secure_getenv(name.as_ptr()) };
    if value.is_null() {
        return with(None);
    }
    // SAFETY: not null, hence NUL-terminated, and there until the program changes the variable. No
    // thread of a C program may do that while another is about to copy what `getenv` has found.
    with(Some(unsafe { CStr::from_ptr(value) }.to_bytes()))
}

/// Zeroed private pages of the recorder's own, never part of the profiled heap.
pub fn private_pages(bytes: usize) -> Option<*mut u8> {
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
    let base = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            bytes.next_multiple_of(4096),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    (base != libc::MAP_FAILED).then_some(base.cast())
}

/// The type of the names of limits, in which C libraries differ.
#[cfg(target_env = "gnu")]
pub type Resource = libc::__rlimit_resource_t;
/// The type of the names of limits, in which C libraries differ.
#[cfg(not(target_env = "gnu"))]
pub type Resource = libc::c_int;

/// A limit of this process; `None`: there is none.
pub fn limit(resource: Resource) -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a place for the result.
    let known = unsafe { libc::getrlimit(resource, &raw mut limit) } == 0;
    (known && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Pages that the calling thread was given when it touched them, since it began.
pub fn thread_faults() -> i64 {
    // SAFETY: `rusage` is plain data for which zero is valid.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: `usage` is a place for the result.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_minflt
}

/// Whether the calling thread runs on its alternative signal stack.
pub fn on_signal_stack() -> bool {
    // SAFETY: `stack_t` is plain data for which zero is valid.
    let mut stack: libc::stack_t = unsafe { core::mem::zeroed() };
    // SAFETY: a query: `stack` is a place for the result.
    let known = unsafe { libc::sigaltstack(core::ptr::null(), &raw mut stack) } == 0;
    known && stack.ss_flags & libc::SS_ONSTACK != 0
}

/// 64 random bits; falls back to the clock and the pid where the kernel has none to give.
pub fn random() -> u64 {
    if crate::sandbox::entered() {
        let here = [0_u8; 1].as_ptr() as u64;
        return (crate::clock::ticks().rotate_left(32) ^ here) | 1;
    }
    let mut value = 0u64;
    // SAFETY: the buffer is valid for eight bytes.
    let n = unsafe {
        libc::syscall(
            libc::SYS_getrandom,
            &raw mut value,
            8usize,
            libc::GRND_NONBLOCK,
        )
    };
    if n != 8 {
        value = crate::clock::monotonic_ns().rotate_left(32) ^ u64::from(std::process::id());
    }
    value | 1
}
