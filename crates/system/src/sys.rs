//! The few system calls the recorder needs, in forms that may run anywhere: inside an allocator,
//! in a signal handler, after `fork`. Nothing here allocates, and what changes `errno` is called
//! under [`ErrnoGuard`].

use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};

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

/// A byte string of bounded length that is built in place: paths and messages.
/// What does not fit is cut and remembered in `cut`.
#[derive(Clone)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
    cut: bool,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Text<N> {
    /// An empty text.
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
            cut: false,
        }
    }

    /// Appends bytes; one place is kept for the terminating NUL.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            match self.bytes.get_mut(self.len) {
                Some(place) if self.len + 1 < N => *place = byte,
                _ => {
                    self.cut = true;
                    return self;
                }
            }
            self.len += 1;
        }
        self
    }

    /// Appends bytes that come from elsewhere: whatever is no plain text is shown as `?`.
    pub fn push_plain(&mut self, bytes: &[u8]) -> &mut Self {
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                let character = if character.is_control() {
                    '?'
                } else {
                    character
                };
                self.push(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            if !chunk.invalid().is_empty() {
                self.push(b"?");
            }
        }
        self
    }

    /// Appends a decimal number.
    pub fn push_decimal(&mut self, mut value: u64) -> &mut Self {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        let digits = digits;
        self.push(&digits[at..])
    }

    /// Appends 16 hexadecimal digits.
    pub fn push_hex(&mut self, value: u64) -> &mut Self {
        for shift in (0..16).rev() {
            let digit = ((value >> (shift * 4)) & 15) as usize;
            self.push(&b"0123456789abcdef"[digit..=digit]);
        }
        self
    }

    /// Empties the text, to be built anew.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Shortens the text to its first `len` bytes; these are whole, whatever was cut behind
    /// them.
    pub fn truncate(&mut self, len: usize) {
        if self.len >= len {
            self.cut = false;
        }
        while self.len > len {
            self.len -= 1;
            self.bytes[self.len] = 0;
        }
    }

    /// What was built so far.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The text as a C string; `None` when it was cut or holds a NUL.
    pub fn as_c_str(&self) -> Option<&CStr> {
        if self.cut {
            return None;
        }
        CStr::from_bytes_with_nul(self.bytes.get(..=self.len)?).ok()
    }
}

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
    fn write(&self, fd: i32, bytes: &[u8]) -> bool {
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

/// An environment variable. Set-user-id programs take none.
///
/// The value points into the environment block and must be copied before the program can change
/// it.
pub fn env(name: &CStr) -> Option<&'static [u8]> {
    unsafe extern "C" {
        fn secure_getenv(name: *const libc::c_char) -> *const libc::c_char;
    }
    // SAFETY: `name` is a C string; the result is null or a C string in the environment block.
    let value = unsafe { secure_getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: not null, hence NUL-terminated.
    Some(unsafe { CStr::from_ptr(value) }.to_bytes())
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

/// Closes the descriptor when dropped.
pub struct Descriptor(pub i32);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is owned by this value.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

impl Descriptor {
    /// `open` with `O_CLOEXEC`.
    pub fn open(path: &CStr, flags: i32, mode: u32) -> Option<Self> {
        Self::open_at(libc::AT_FDCWD, path, flags, mode)
    }

    /// `openat` with `O_CLOEXEC`. (Opening, reading, writing and closing a file are points at which
    /// the C library lets a thread be cancelled: the calls here are the kernel's own.)
    fn open_at(directory: i32, path: &CStr, flags: i32, mode: u32) -> Option<Self> {
        let flags = flags | libc::O_CLOEXEC;
        // SAFETY: `path` is a C string.
        let fd = unsafe { libc::syscall(libc::SYS_openat, directory, path.as_ptr(), flags, mode) };
        (fd >= 0).then(|| Self(fd as i32))
    }

    /// Writes all bytes, going on after interruptions and short writes.
    pub fn write_all(&self, bytes: &[u8]) -> bool {
        Self::write_bytes(self.0, bytes)
    }

    fn write_bytes(fd: i32, bytes: &[u8]) -> bool {
        Self::write_from(fd, bytes.as_ptr(), bytes.len())
    }

    /// Writes memory that other threads may be changing: only the kernel reads it.
    pub fn write_raw(&self, start: *const u8, length: usize) -> bool {
        Self::write_from(self.0, start, length)
    }

    fn write_from(fd: i32, mut start: *const u8, mut length: usize) -> bool {
        while length > 0 {
            // Not the C library's: that is a point at which a thread can be cancelled.
            // SAFETY: the kernel checks the range, and fails where it cannot be read.
            let n = unsafe { libc::syscall(libc::SYS_write, fd, start, length) };
            match n {
                n if n > 0 => {
                    start = start.wrapping_add(n as usize);
                    length -= n as usize;
                }
                -1 if errno() == libc::EINTR => {}
                _ => return false,
            }
        }
        true
    }

    /// Reads until the buffer is full or the file ends; the number of bytes read.
    pub fn read_up_to(&self, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            // SAFETY: the buffer is valid for its length.
            let n = unsafe { libc::syscall(libc::SYS_read, self.0, rest.as_mut_ptr(), rest.len()) };
            match n {
                n if n > 0 => done += n as usize,
                -1 if errno() == libc::EINTR => {}
                _ => break,
            }
        }
        done
    }
}

/// What a directory lies in.
#[derive(Debug, Clone, Copy)]
pub struct FileSystem {
    /// Whether its files are memory, and never written to a disk.
    pub in_memory: bool,
    /// Bytes that this user can still have there.
    pub free_bytes: u64,
}

/// A directory, open. All that is done in it goes through the descriptor: whoever may change the
/// path cannot put another directory in its place meanwhile.
pub struct Directory(Descriptor);

impl Directory {
    /// Opens a directory of this user's own, which is made unless it is there. `None` where
    /// something else is there: a link, what another user owns or may write to.
    pub fn private(path: &CStr) -> Option<Self> {
        // SAFETY: `path` is a C string. That it exists already is the usual case.
        unsafe { libc::mkdir(path.as_ptr(), 0o700) };
        Self::own(path)
    }

    /// The same, without making it.
    pub fn own(path: &CStr) -> Option<Self> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let directory = Descriptor::open(path, flags, 0)?;
        // SAFETY: `stat` is plain data for which zero is valid.
        let mut stat: libc::stat = unsafe { core::mem::zeroed() };
        // SAFETY: the descriptor is open and `stat` a place for the result.
        let known = unsafe { libc::fstat(directory.0, &raw mut stat) } == 0;
        // SAFETY: `geteuid` has no preconditions.
        let ours = stat.st_uid == unsafe { libc::geteuid() } && stat.st_mode & 0o022 == 0;
        (known && ours).then(|| Self(directory))
    }

    /// Opens a directory that the user named, whoever owns it, to make files in it.
    pub fn named(path: &CStr) -> Option<Self> {
        // One that may be written to need not be readable.
        Descriptor::open(path, libc::O_PATH | libc::O_DIRECTORY, 0).map(Self)
    }

    /// Makes a file for this user alone that was not there; `flags` say how it is opened.
    pub fn create(&self, name: &CStr, flags: i32) -> Option<Descriptor> {
        let flags = flags | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        Descriptor::open_at(self.0.0, name, flags, 0o600)
    }

    /// Opens a file of it to be read; no link is followed, and nothing is waited for.
    pub fn open(&self, name: &CStr) -> Option<Descriptor> {
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        Descriptor::open_at(self.0.0, name, flags, 0)
    }

    /// Makes a file for this user alone that has no name until [`name_new`](Self::name_new) gives
    /// it one, and is gone if that never happens. Not every file system can.
    pub fn create_nameless(&self) -> Option<Descriptor> {
        Descriptor::open_at(self.0.0, c".", libc::O_TMPFILE | libc::O_WRONLY, 0o600)
    }

    /// Names a file without a name, replacing nothing; `errno` is `EEXIST` when the name is taken.
    pub fn name_new(&self, file: &Descriptor, name: &CStr) -> bool {
        let mut path = Text::<32>::new();
        path.push(b"/proc/self/fd/").push_decimal(file.0 as u64);
        path.as_c_str().is_some_and(|path| {
            let flags = libc::AT_SYMLINK_FOLLOW;
            // SAFETY: both are C strings.
            unsafe {
                libc::linkat(
                    libc::AT_FDCWD,
                    path.as_ptr(),
                    self.0.0,
                    name.as_ptr(),
                    flags,
                ) == 0
            }
        })
    }

    /// What the file system it lies in is like; `None` when that is not known.
    pub fn file_system(&self) -> Option<FileSystem> {
        // SAFETY: `statfs` is plain data for which zero is valid.
        let mut stat: libc::statfs = unsafe { core::mem::zeroed() };
        // SAFETY: the descriptor is open and `stat` a place for the result.
        if unsafe { libc::fstatfs(self.0.0, &raw mut stat) } != 0 {
            return None;
        }
        // The C libraries differ in the type of the one and of the other.
        let in_memory = stat.f_type as u64 == libc::TMPFS_MAGIC as u64;
        // A tmpfs without a bound of its own says that it has no blocks at all.
        let free_bytes = if in_memory && stat.f_blocks == 0 {
            u64::MAX
        } else {
            (stat.f_bavail as u64).saturating_mul(stat.f_bsize as u64)
        };
        Some(FileSystem {
            in_memory,
            free_bytes,
        })
    }

    /// What an entry is, links not followed.
    pub fn stat(&self, name: &CStr) -> Option<libc::stat> {
        // SAFETY: `stat` is plain data for which zero is valid.
        let mut stat: libc::stat = unsafe { core::mem::zeroed() };
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        // SAFETY: `name` is a C string and `stat` a place for the result.
        let found = unsafe { libc::fstatat(self.0.0, name.as_ptr(), &raw mut stat, flags) } == 0;
        found.then_some(stat)
    }

    /// Takes a file's name away.
    pub fn remove(&self, name: &CStr) -> bool {
        // SAFETY: `name` is a C string.
        unsafe { libc::unlinkat(self.0.0, name.as_ptr(), 0) == 0 }
    }

    /// Renames without replacing; `errno` is `EEXIST` when the name is taken.
    pub fn rename_new(&self, from: &CStr, to: &CStr) -> bool {
        const RENAME_NOREPLACE: libc::c_uint = 1;
        let fd = self.0.0;
        // SAFETY: both are C strings.
        let renamed = unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                fd,
                from.as_ptr(),
                fd,
                to.as_ptr(),
                RENAME_NOREPLACE,
            )
        } == 0;
        if renamed || errno() == libc::EEXIST {
            return renamed;
        }
        // File systems without that flag: a link never replaces either.
        // SAFETY: both are C strings.
        let linked = unsafe { libc::linkat(fd, from.as_ptr(), fd, to.as_ptr(), 0) } == 0;
        linked && self.remove(from)
    }

    /// Calls `visit` with the name of each entry, through a buffer on the stack, once for an open
    /// directory; `false` when it cannot be read.
    pub fn each_entry(&self, mut visit: impl FnMut(&CStr)) -> bool {
        // `linux_dirent64`: u64 inode, i64 offset, u16 record length, u8 type, then the name.
        const RECORD_LENGTH_AT: usize = 16;
        const NAME_AT: usize = 19;
        let mut buffer = [0u8; 2048];
        loop {
            // SAFETY: the kernel writes at most the given length into the buffer.
            let n = unsafe {
                libc::syscall(
                    libc::SYS_getdents64,
                    self.0.0,
                    buffer.as_mut_ptr(),
                    buffer.len(),
                )
            };
            if n <= 0 {
                return n == 0;
            }
            let mut rest = buffer.get(..n as usize).unwrap_or(&[]);
            while let Some(length) = rest.get(RECORD_LENGTH_AT..RECORD_LENGTH_AT + 2) {
                let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
                let Some(record) = rest.get(..length).filter(|_| length > NAME_AT) else {
                    return false;
                };
                if let Ok(name) = CStr::from_bytes_until_nul(&record[NAME_AT..]) {
                    visit(name);
                }
                rest = rest.get(length..).unwrap_or(&[]);
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_not_overrun() {
        let mut text = Text::<8>::new();
        text.push(b"abc").push_decimal(1234);
        assert_eq!(text.as_bytes(), b"abc1234");
        assert_eq!(text.as_c_str(), Some(c"abc1234"));
        text.push(b"x");
        assert_eq!(text.as_c_str(), None);
    }

    #[test]
    fn a_text_that_was_cut_can_be_built_anew() {
        let mut text = Text::<8>::new();
        text.push(b"much too long");
        assert_eq!(text.as_c_str(), None);
        text.truncate(0);
        text.push(b"short");
        assert_eq!(text.as_c_str(), Some(c"short"));
    }

    #[test]
    fn what_comes_from_elsewhere_is_shown_plainly() {
        let mut text = Text::<64>::new();
        text.push_plain("a\u{1b}[31m\nb\u{85}é".as_bytes())
            .push_plain(b"\xff\xfez");
        assert_eq!(text.as_bytes(), "a?[31m?b?é??z".as_bytes());
    }

    #[test]
    fn nobody_is_killed_by_a_broken_pipe() {
        let mut ends = [0; 2];
        // SAFETY: a place for two descriptors; the default would be to end this process.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::close(ends[0]);
        }
        let pipe = Descriptor(ends[1]);
        let blocked = SignalsBlocked::new();
        assert!(!blocked.write(pipe.0, b"nobody reads this"));
        assert!(!blocked.is_pending(libc::SIGPIPE));
        drop(blocked);
    }

    #[test]
    fn numbers_read_back() {
        let mut text = Text::<64>::new();
        text.push_decimal(0)
            .push(b" ")
            .push_decimal(u64::MAX)
            .push(b" ")
            .push_hex(0xab);
        assert_eq!(text.as_bytes(), b"0 18446744073709551615 00000000000000ab");
    }

    #[test]
    fn a_directory_lists_what_is_in_it() {
        let mut seen = 0;
        let directory = Directory::own(c"/proc/self/fd").expect("it is ours");
        assert!(directory.each_entry(|_| seen += 1));
        assert!(seen > 2);
        assert!(Directory::own(c"/nonexistent").is_none());
    }

    #[test]
    fn only_a_directory_of_ours_is_taken() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let base = std::env::temp_dir().join(format!("mapgrow-own-{}", std::process::id()));
        let c = |name: &str| {
            let path = base.join(name);
            std::ffi::CString::new(path.to_str().expect("plain")).expect("no NUL")
        };
        std::fs::create_dir(&base).expect("made");
        assert!(Directory::own(&c("new")).is_none());
        assert!(Directory::private(&c("new")).is_some());
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(base.join("new"), permissions).expect("ours");
        };
        mode(0o755);
        assert!(Directory::private(&c("new")).is_some());
        for open in [0o775, 0o757, 0o1777] {
            mode(open);
            assert!(Directory::private(&c("new")).is_none(), "{open:o}");
        }
        mode(0o700);
        symlink(base.join("new"), base.join("link")).expect("linked");
        assert!(Directory::private(&c("link")).is_none());
        std::fs::write(base.join("file"), b"").expect("written");
        assert!(Directory::private(&c("file")).is_none());
        std::fs::remove_dir_all(&base).expect("ours");
    }
}
