//! Whose a recording is: the process that has its file mapped.
//!
//! A process is known by what it has mapped and by when it was started, never by its id alone. The
//! id in a recording is the one that its process saw: in a container that is another process's
//! here. And a process that has run another program since (`exec`) keeps its id, and does not
//! record any more.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mapgrow_format::layout::header;

use crate::load::Header;
use crate::proc::{all, start_time};

/// Whether a recording's process still records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It has the recording mapped.
    Running,
    /// It runs another program now.
    Replaced,
    /// It is gone.
    Gone,
}

/// What became of a recording's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Whether it still records.
    pub life: Life,
    /// Its id here; `None` when it is gone, or runs where it cannot be seen from here.
    pub pid: Option<u32>,
}

/// A file that a process has mapped, as the process knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Its path when it was mapped.
    pub path: PathBuf,
    /// Where it is mapped, as `/proc/PID/map_files` names it.
    pub range: String,
    device: (u32, u32),
    inode: u64,
}

impl Mapped {
    fn of_line(line: &[u8]) -> Option<Mapped> {
        // `range rights offset device inode      path`: the path may have blanks in it.
        let slash = line.iter().position(|&byte| byte == b'/')?;
        let (fields, path) = line.split_at(slash);
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let mut fields = std::str::from_utf8(fields).ok()?.split_ascii_whitespace();
        let range = fields.next()?.to_owned();
        let (major, minor) = fields.nth(2)?.split_once(':')?;
        let number = |text| u32::from_str_radix(text, 16).ok();
        Some(Mapped {
            path: PathBuf::from(OsStr::from_bytes(path)),
            range,
            device: (number(major)?, number(minor)?),
            inode: fields.next()?.parse().ok()?,
        })
    }

    /// Whether this is the file. On a file system that lies over another the two may differ in
    /// what they say of it: there its name tells, which is a number of 64 random bits.
    pub fn is(&self, file: &File, name: &OsStr) -> bool {
        let Ok(meta) = file.metadata() else {
            return false;
        };
        let device = (libc::major(meta.dev()), libc::minor(meta.dev()));
        let same = (self.device, self.inode) == ((device.0, device.1), meta.ino());
        same || !is_on_tmpfs(file) && self.path.file_name() == Some(name)
    }
}

/// The recordings that a process has mapped; an error where that cannot be looked at.
pub fn mapped_recordings(pid: u32) -> io::Result<Vec<Mapped>> {
    let maps = fs::read(format!("/proc/{pid}/maps"))?;
    let lines = maps.split(|&byte| byte == b'\n');
    let mapped = lines.filter(|line| memchr::memmem::find(line, b"/mapgrow-").is_some());
    Ok(mapped
        .filter_map(Mapped::of_line)
        .filter(|mapped| {
            let name = mapped.path.file_name().and_then(OsStr::to_str);
            name.is_some_and(crate::recordings::is_recording_name)
        })
        .collect())
}

/// What became of the process that writes to a recording of this name.
pub fn holder(file: &File, name: &OsStr, recorded: &Header) -> Holder {
    let claimed = recorded.pid();
    let started = recorded.word(header::PROCESS_STARTTIME);
    // The process of the recorded id, if it is that which the recording speaks of.
    let same = started != 0 && start_time(claimed) == Some(started);
    let ended = Holder {
        life: if same { Life::Replaced } else { Life::Gone },
        pid: None,
    };
    let written_to = is_written_to(file);
    if written_to == Some(false) && is_on_tmpfs(file) {
        return ended;
    }
    let running = |pid| Holder {
        life: Life::Running,
        pid,
    };
    let maps = |pid| mapped_recordings(pid).map(|all| all.iter().any(|one| one.is(file, name)));
    match maps(claimed) {
        Ok(true) => return running(Some(claimed)),
        // One that has changed its user cannot be looked at.
        Err(_) if same => return running(Some(claimed)),
        _ => {}
    }
    let other = all().into_iter().find(|&pid| maps(pid).unwrap_or(false));
    match (other, written_to) {
        (Some(pid), _) => running(Some(pid)),
        (None, Some(true)) => running(None),
        (None, _) => ended,
    }
}

/// Whether some process may write to a file, through a descriptor or a mapping; `None` where the
/// system does not tell: of another user's file, or on some file systems.
///
/// A mapping keeps its file open for writing, wherever its process runs, and after the descriptor
/// was closed. The kernel grants a lease for reading only on a file that nobody writes to.
fn is_written_to(file: &File) -> Option<bool> {
    /// Not among the constants of the `libc` crate; the same on all Linux machines.
    const F_SETSIG: i32 = 10;
    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open; the calls take numbers alone.
    let granted = unsafe {
        // Whoever opens the file for writing while we have the lease makes the kernel send us a
        // signal: one that does nothing, instead of SIGIO, which ends us.
        libc::fcntl(fd, F_SETSIG, libc::SIGURG);
        libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK)
    };
    if granted == 0 {
        // SAFETY: the descriptor is open; the call takes numbers alone.
        unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) };
        return Some(false);
    }
    let error = io::Error::last_os_error();
    (error.kind() == io::ErrorKind::WouldBlock).then_some(true)
}

fn is_on_tmpfs(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|stat| stat.f_type as u64 == libc::TMPFS_MAGIC as u64)
}

/// Opens a recording that a process has mapped: through the process, or at the path that it names.
pub fn open_mapped(pid: u32, mapped: &Mapped, write: bool) -> io::Result<File> {
    // Leads to that very file, but only root may go this way.
    let link = PathBuf::from(format!("/proc/{pid}/map_files/{}", mapped.range));
    let straight = crate::load::open(&link, write, true);
    if let Ok(file) = straight {
        return Ok(file);
    }
    // The process may have another root directory than ours.
    let below = mapped.path.strip_prefix("/").unwrap_or(&mapped.path);
    let in_its_root = Path::new(&format!("/proc/{pid}/root")).join(below);
    let name = mapped.path.file_name().unwrap_or_default();
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for path in [&in_its_root, &mapped.path] {
        match crate::load::open(path, write, false) {
            Ok(file) if mapped.is(&file, name) => return Ok(file),
            Ok(_) => {}
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::OpenOptionsExt;

    #[test]
    fn lines_of_the_map_tell_a_file() {
        let line =
            b"7f00-7f10 rw-s 00000000 00:1b 4242      /dev/shm/a b/mapgrow-1-0.rec (deleted)";
        let mapped = Mapped::of_line(line).unwrap();
        assert_eq!(mapped.path, Path::new("/dev/shm/a b/mapgrow-1-0.rec"));
        assert_eq!((mapped.range.as_str(), mapped.inode), ("7f00-7f10", 4242));
        assert_eq!(mapped.device, (0, 0x1b));
        assert!(Mapped::of_line(b"7f00-7f10 rw-p 00000000 00:00 0   [heap]").is_none());
    }

    #[test]
    fn a_mapping_is_known_after_its_descriptor_was_closed() {
        for directory in ["/dev/shm".into(), std::env::temp_dir()] {
            let path = directory.join(format!("mapgrow-lease-{}", std::process::id()));
            let create = || {
                let mut options = File::options();
                options.read(true).write(true).create(true).mode(0o600);
                options.open(&path).unwrap()
            };
            let file = create();
            file.set_len(4096).unwrap();
            // SAFETY: nobody changes the file.
            let map = unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap();
            drop(file);
            let looked_at = File::open(&path).unwrap();
            let told = is_written_to(&looked_at);
            assert!(told == Some(true) || !is_on_tmpfs(&looked_at), "{told:?}");
            let own = mapped_of(std::process::id(), &path);
            assert!(own.is(&looked_at, path.file_name().unwrap()));
            drop(map);
            let told = is_written_to(&looked_at);
            assert!(told == Some(false) || !is_on_tmpfs(&looked_at), "{told:?}");
            fs::remove_file(&path).unwrap();
        }
    }

    fn mapped_of(pid: u32, path: &Path) -> Mapped {
        let maps = fs::read(format!("/proc/{pid}/maps")).unwrap();
        let mut lines = maps
            .split(|&byte| byte == b'\n')
            .filter_map(Mapped::of_line);
        lines.find(|mapped| mapped.path == path).unwrap()
    }
}
