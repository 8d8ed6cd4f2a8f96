//! Directories, opened once: all that is done in one goes through its descriptor, and no link in
//! it is followed. What lies where others may write is not trusted for its name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat};

use crate::proc::own_uid;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

/// What a file in a directory of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// When it was last written to, seconds and nanoseconds.
    pub at: (i64, i64),
}

impl Directory {
    /// Opens a directory that the user named, whoever owns it, to make a file in it.
    pub fn named(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Directory {
            fd: rustix::fs::open(path, flags, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// Opens a directory of ours: no link, owned by us, nobody else may write to it.
    pub fn own(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        if stat.st_uid != own_uid() {
            return Err(io::Error::other("it belongs to another user"));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(io::Error::other("others could write into it"));
        }
        Ok(Directory {
            fd,
            path: path.to_owned(),
        })
    }

    /// The same, made with what is missing above it.
    pub fn make(path: &Path, mode: u32) -> io::Result<Directory> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)?;
        Directory::own(path)
    }

    /// A new directory of ours in one that others may write to, such as `/tmp`, if it is one in
    /// which they cannot put another in its place.
    pub fn new_in(parent: &Path, name: &str) -> io::Result<Directory> {
        if !is_safe(parent)? {
            return Err(io::Error::other("others could replace what is made in it"));
        }
        let path = parent.join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Directory::own(&path)
    }

    /// A new directory in this one. A `mode` with rights for others is given whatever the umask.
    pub fn new_within(&self, name: &str, mode: u32) -> io::Result<Directory> {
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        let directory = Directory {
            fd,
            path: self.path.join(name),
        };
        directory.set_mode(mode)?;
        Ok(directory)
    }

    /// Gives the directory other rights.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode))?)
    }

    /// Its path when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all that is in it.
    pub fn names(&self) -> Vec<OsString> {
        let Ok(entries) = Dir::read_from(&self.fd) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().to_bytes();
                (name != b"." && name != b"..").then(|| OsStr::from_bytes(name).to_owned())
            })
            .collect()
    }

    /// Opens a regular file of ours. Whatever else has its name, this does not block.
    pub fn open(&self, name: &OsStr, write: bool) -> io::Result<File> {
        let file = self.open_of_anybody(name, write)?;
        match file.metadata()?.uid() == own_uid() {
            true => Ok(file),
            false => Err(io::Error::other("it belongs to another user")),
        }
    }

    /// Opens a regular file, whoever owns it.
    pub fn open_of_anybody(&self, name: &OsStr, write: bool) -> io::Result<File> {
        let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, access | flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(File::from(fd)),
            _ => Err(io::Error::other("it is no regular file")),
        }
    }

    /// When a regular file of ours was written; `None` for anything else.
    pub fn written(&self, name: &OsStr) -> Option<Written> {
        let stat = self.stat(name).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        (regular && stat.st_uid == own_uid()).then_some(Written {
            at: (stat.st_mtime, stat.st_mtime_nsec as i64),
        })
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(rustix::fs::statat(
            &self.fd,
            name,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Writes a file for us alone that was not there before, all of it or nothing.
    pub fn write_new(&self, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
        self.write_new_for(name, bytes, 0o600)
    }

    /// The same for those whom `mode` lets.
    pub fn write_new_for(&self, name: &OsStr, bytes: &[u8], mode: u32) -> io::Result<()> {
        let temporary = format!(".mapgrow-{:016x}.tmp", random());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        let fd = rustix::fs::openat(&self.fd, &temporary, flags, mode)?;
        let written = File::from(fd).write_all(bytes).and_then(|()| {
            // A link never replaces what is there, a rename does.
            let (fd, flags) = (&self.fd, AtFlags::empty());
            Ok(rustix::fs::linkat(fd, &temporary, fd, name, flags)?)
        });
        let removed = self.remove(OsStr::new(&temporary));
        written.and(removed)
    }

    /// Takes a file's name away.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Takes the name of an open file away, if it still is that file's.
    pub fn remove_this(&self, name: &OsStr, file: &File) -> io::Result<()> {
        let (now, open) = (self.stat(name)?, rustix::fs::fstat(file)?);
        if (now.st_dev, now.st_ino) != (open.st_dev, open.st_ino) {
            return Err(io::Error::other("another file has its name by now"));
        }
        self.remove(name)
    }

    /// Removes the directory, which is empty.
    pub fn remove_self(&self) -> io::Result<()> {
        std::fs::remove_dir(&self.path)
    }

    /// Tells others that somebody uses the directory, until it is dropped or the process ends.
    pub fn lock(&self) -> io::Result<()> {
        let operation = FlockOperation::NonBlockingLockShared;
        Ok(rustix::fs::flock(&self.fd, operation)?)
    }

    /// Whether somebody uses the directory.
    pub fn is_locked(&self) -> bool {
        let operation = FlockOperation::NonBlockingLockExclusive;
        match rustix::fs::flock(&self.fd, operation) {
            Ok(()) => {
                let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
                false
            }
            Err(error) => error == rustix::io::Errno::WOULDBLOCK,
        }
    }
}

/// Writes a file that was not there before where the user says, all of it or nothing.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Directory::named(directory)?.write_new(name, bytes)
}

/// A number that nobody can guess.
pub fn random() -> u64 {
    // Keyed by the system's random numbers.
    RandomState::new().hash_one(std::process::id())
}

/// Whether nobody but us and root can change where a path leads: each directory on the way belongs
/// to one of us, and others may write to it only if they can take away their own files alone.
pub fn is_safe(path: &Path) -> io::Result<bool> {
    let real = path.canonicalize()?;
    for directory in real.ancestors() {
        let meta = directory.symlink_metadata()?;
        let ours = meta.uid() == own_uid() || is_root(meta.uid());
        let sticky = meta.mode() & 0o1000 != 0;
        if !ours || meta.mode() & 0o022 != 0 && !sticky && !is_own_group(&meta) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a user is root, as far as can be told: in a user namespace whoever has no number there
/// is shown as one and the same, the machine's root among them.
fn is_root(user: u32) -> bool {
    let number = |path: &str| {
        std::fs::read_to_string(path)
            .ok()?
            .trim()
            .parse::<u32>()
            .ok()
    };
    let all_have_numbers = || {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
    };
    let nobody = || number("/proc/sys/kernel/overflowuid");
    user == 0 || nobody() == Some(user) && !all_have_numbers()
}

/// Whether only our own group, or root's, may write to it beside its owner.
fn is_own_group(meta: &std::fs::Metadata) -> bool {
    let own = rustix::process::getegid().as_raw();
    meta.mode() & 0o002 == 0 && (meta.gid() == own || meta.gid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Base(PathBuf);

    impl Base {
        fn new(name: &str) -> Base {
            let name = format!("mapgrow-directory-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Base(path)
        }
    }

    impl Drop for Base {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_what_others_cannot_write_to_is_ours() {
        let base = Base::new("own");
        let path = base.0.join("a/b");
        assert!(Directory::own(&path).is_err());
        assert!(Directory::make(&path, 0o700).is_ok());
        assert!(is_safe(&path).unwrap());
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        for open in [0o770, 0o707, 0o1777] {
            mode(open);
            assert!(Directory::own(&path).is_err(), "{open:o}");
        }
        mode(0o707);
        assert!(!is_safe(&path).unwrap());
        mode(0o755);
        assert!(Directory::own(&path).is_ok());
        symlink(&path, base.0.join("link")).unwrap();
        assert!(Directory::own(&base.0.join("link")).is_err());
        assert!(Directory::new_in(&base.0, "link").is_err());
        assert!(Directory::new_in(&base.0, "new").is_ok());
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_replaced() {
        let base = Base::new("files");
        let directory = Directory::own(&base.0).unwrap();
        let name = OsStr::new("file");
        directory.write_new(name, b"first").unwrap();
        assert!(directory.write_new(name, b"second").is_err());
        assert_eq!(std::fs::read(base.0.join("file")).unwrap(), b"first");
        symlink("file", base.0.join("link")).unwrap();
        let fifo = std::ffi::CString::new(base.0.join("fifo").as_os_str().as_bytes()).unwrap();
        // SAFETY: a C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        std::fs::create_dir(base.0.join("directory")).unwrap();
        for other in ["link", "fifo", "directory", "absent"] {
            assert!(directory.open(OsStr::new(other), false).is_err(), "{other}");
            assert!(directory.written(OsStr::new(other)).is_none(), "{other}");
        }
        assert_eq!(directory.names().len(), 4, "no temporary file stays");
        let open = directory.open(name, false).unwrap();
        directory.remove(name).unwrap();
        directory.write_new(name, b"another").unwrap();
        assert!(directory.remove_this(name, &open).is_err());
        let open = directory.open(name, false).unwrap();
        assert!(directory.remove_this(name, &open).is_ok());
    }

    #[test]
    fn a_lock_tells_that_a_directory_is_in_use() {
        let base = Base::new("lock");
        let used = Directory::own(&base.0).unwrap();
        let looked_at = Directory::own(&base.0).unwrap();
        assert!(!looked_at.is_locked());
        used.lock().unwrap();
        assert!(looked_at.is_locked());
        drop(used);
        assert!(!looked_at.is_locked());
    }
}
