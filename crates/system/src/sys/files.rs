//! Descriptors and directories.

use core::ffi::CStr;

use super::{Text, errno};

/// Closes the descriptor when dropped.
pub struct Descriptor(i32);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own: nobody else closes it, or uses it from here on.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

impl Descriptor {
    /// Takes over a descriptor.
    ///
    /// # Safety
    /// It is open, and nobody else closes it, or uses it once this is dropped.
    pub unsafe fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// Its number, for calls that take one; it stays this value's own.
    pub fn number(&self) -> i32 {
        self.0
    }

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

    pub(super) fn write_bytes(fd: i32, bytes: &[u8]) -> bool {
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

    /// Holds the file: [`is_held`](Self::is_held) says so, in every process of the machine, until
    /// this descriptor and all mappings of the file that were made from it are gone.
    pub fn hold(&self) -> bool {
        self.lock(libc::LOCK_SH)
    }

    /// Whether somebody holds the file. Asked once: this descriptor may hold it from then on.
    pub fn is_held(&self) -> bool {
        !self.lock(libc::LOCK_EX)
    }

    fn lock(&self, kind: i32) -> bool {
        // SAFETY: the descriptor is open.
        unsafe { libc::flock(self.0, kind | libc::LOCK_NB) == 0 }
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

#[cfg(test)]
mod tests {
    use super::*;

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
