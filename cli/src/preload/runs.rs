//! Directories in which runs keep what their processes record, and which a run that was killed
//! leaves behind.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::process::{self, own_uid};

const PREFIX: &str = "mapgrow-run-";

/// A directory of a run.
#[derive(Debug)]
pub struct RunDirectory {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether there is still a process with the id of the `mapgrow run` that made it.
    pub in_use: bool,
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
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: `statfs` is plain data for which zero is valid.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    let known = unsafe { libc::statfs(path.as_ptr(), &raw mut stat) } == 0;
    known && stat.f_type == libc::TMPFS_MAGIC
}

/// The directories of all runs of this user.
pub fn directories() -> Vec<RunDirectory> {
    let mut parents = memory_directories();
    parents.push(PathBuf::from(format!("/run/user/{}", own_uid())));
    parents.push(std::env::temp_dir());
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
            let pid = maker(entry.file_name().to_str()?)?;
            let path = entry.path();
            // Where everybody may write, anybody may have made it.
            let meta = path.symlink_metadata().ok()?;
            (meta.is_dir() && meta.uid() == own_uid()).then(|| RunDirectory {
                in_use: process::exists(pid),
                path,
            })
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
