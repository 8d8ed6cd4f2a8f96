//! Directories in which runs keep what their processes record, and which a run that was killed
//! leaves behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::directory::Directory;
use crate::holder::Life;
use crate::proc::own_uid;
use crate::recordings;

const PREFIX: &str = "mapgrow-run-";

/// A directory of a run, which is ours.
#[derive(Debug)]
pub struct RunDirectory(Directory);

impl RunDirectory {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Whether the `mapgrow run` that made it goes on: it keeps a lock.
    pub fn in_use(&self) -> bool {
        self.0.is_locked()
    }

    /// Removes it with all that is in it; false where a process that the run has started still
    /// records there, or has left a recording that nobody has removed.
    pub fn clear(&self) -> io::Result<bool> {
        if self.in_use() || !recordings::within(&self.0).is_empty() {
            return Ok(false);
        }
        // The directory is ours and lies where others cannot put another in its place; links in it
        // are removed, not followed.
        fs::remove_dir_all(self.path()).map(|()| true)
    }
}

/// Removes a directory of a run that has ended, unless a process still records there.
pub fn remove(directory: &Directory) {
    let running = |one: &recordings::RecordingFile| one.life == Life::Running;
    if !recordings::within(directory).iter().any(running) {
        let _ = fs::remove_dir_all(directory.path());
    }
}

/// The name of a directory of the run that this process is.
pub fn name(pid: u32, unique: &str) -> String {
    format!("{PREFIX}{pid}-{unique}")
}

/// Directories that lie in memory, the first to be used: the one that the user names, wherever it
/// lies, then those on tmpfs. A mapped file on a disk stalls who writes to it.
pub fn memory_directories() -> Vec<PathBuf> {
    let variable = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let on_tmpfs = [variable("XDG_RUNTIME_DIR"), Some(PathBuf::from("/dev/shm"))];
    variable("MAPGROW_DIR")
        .into_iter()
        .chain(on_tmpfs.into_iter().flatten().filter(|path| is_tmpfs(path)))
        .collect()
}

fn is_tmpfs(path: &Path) -> bool {
    // The C libraries differ in the type of the one and of the other.
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type as u64 == libc::TMPFS_MAGIC as u64)
}

/// Directories on disk, the first to be used.
pub fn disk_directories() -> Vec<PathBuf> {
    vec![
        std::env::temp_dir(),
        PathBuf::from("/tmp"),
        PathBuf::from("/var/tmp"),
    ]
}

/// The directories of all runs of this user.
pub fn directories() -> Vec<RunDirectory> {
    let mut parents = memory_directories();
    parents.push(PathBuf::from(format!("/run/user/{}", own_uid())));
    parents.extend(disk_directories());
    parents.sort();
    parents.dedup();
    parents.iter().flat_map(|parent| below(parent)).collect()
}

fn below(parent: &Path) -> Vec<RunDirectory> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            maker(entry.file_name().to_str()?)?;
            // Where everybody may write, anybody may have made it.
            Directory::own(&entry.path()).ok().map(RunDirectory)
        })
        .collect()
}

/// The process that a directory's name tells.
fn maker(name: &str) -> Option<u32> {
    let (pid, unique) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let made = !unique.is_empty() && unique.bytes().all(|byte| byte.is_ascii_hexdigit());
    made.then(|| pid.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_who_made_them() {
        assert_eq!(maker(&name(42, "18a0ff")), Some(42));
        for other in [
            "mapgrow-run-42",
            "mapgrow-run-x-1",
            "mapgrow-0",
            "mapgrow-run-42-zz",
        ] {
            assert_eq!(maker(other), None, "{other}");
        }
    }
}
