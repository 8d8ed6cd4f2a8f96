//! Directories in which runs keep what their processes record, and which a run that was killed
//! leaves behind.

use std::fs;
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

/// Directories that lie in memory.
pub fn memory_directories() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    runtime
        .filter(|path| path.is_absolute())
        .into_iter()
        .chain([PathBuf::from("/dev/shm")])
        .collect()
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
