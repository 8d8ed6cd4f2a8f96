//! The few system calls the recorder needs, in forms that may run anywhere: inside an allocator,
//! in a signal handler, after `fork`. Nothing here allocates, and what changes `errno` is called
//! under [`ErrnoGuard`].

use core::ffi::CStr;

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
        self.cut = false;
    }

    /// Shortens the text to its first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
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

/// Writes a line about a setting or a failure to stderr, in one `write`.
pub fn complain(parts: &[&[u8]]) {
    let mut line = Text::<512>::new();
    line.push(b"mapgrow: ");
    for part in parts {
        line.push(part);
    }
    if line.cut {
        line.truncate(510);
    }
    line.cut = false;
    line.push(b"\n");
    let bytes = line.as_bytes();
    // SAFETY: the buffer is valid for its length; a failure to complain is not worth more.
    unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
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
        unsafe { libc::close(self.0) };
    }
}

impl Descriptor {
    /// `open` with `O_CLOEXEC`.
    pub fn open(path: &CStr, flags: i32, mode: u32) -> Option<Self> {
        // SAFETY: `path` is a C string.
        let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, mode) };
        (fd >= 0).then(|| Self(fd))
    }

    /// Writes all bytes, going on after interruptions and short writes.
    pub fn write_all(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            // SAFETY: the buffer is valid for its length.
            let n = unsafe { libc::write(self.0, bytes.as_ptr().cast(), bytes.len()) };
            match n {
                n if n > 0 => bytes = bytes.get(n as usize..).unwrap_or(&[]),
                -1 if errno() == libc::EINTR => {}
                _ => return false,
            }
        }
        true
    }

    /// Writes memory that other threads may be changing: only the kernel reads it.
    pub fn write_raw(&self, mut start: *const u8, mut length: usize) -> bool {
        while length > 0 {
            // SAFETY: the kernel checks the range, and fails where it cannot be read.
            let n = unsafe { libc::write(self.0, start.cast(), length) };
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
            let n = unsafe { libc::read(self.0, rest.as_mut_ptr().cast(), rest.len()) };
            match n {
                n if n > 0 => done += n as usize,
                -1 if errno() == libc::EINTR => {}
                _ => break,
            }
        }
        done
    }
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
        let flags = flags | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: `name` is a C string.
        let fd = unsafe { libc::openat(self.0.0, name.as_ptr(), flags, 0o600) };
        (fd >= 0).then(|| Descriptor(fd))
    }

    /// Whether it lies in memory.
    pub fn is_on_tmpfs(&self) -> bool {
        // SAFETY: `statfs` is plain data for which zero is valid.
        let mut stat: libc::statfs = unsafe { core::mem::zeroed() };
        // SAFETY: the descriptor is open and `stat` a place for the result.
        let known = unsafe { libc::fstatfs(self.0.0, &raw mut stat) } == 0;
        // The C libraries differ in the type of the one and of the other.
        known && stat.f_type as u64 == libc::TMPFS_MAGIC as u64
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
