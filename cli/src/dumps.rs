//! Dumps: where they lie, which is the newest, and writing one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::{Failure, plain};
use crate::process::own_uid;

/// Directories in which a process puts its dumps, the first that it can use.
pub fn directories() -> Vec<PathBuf> {
    let uid = own_uid();
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    [
        variable("XDG_STATE_HOME").map(|path| path.join("mapgrow")),
        variable("HOME").map(|path| path.join(".local/state/mapgrow")),
        Some(PathBuf::from(format!("/var/tmp/mapgrow-{uid}"))),
        Some(PathBuf::from(format!("/tmp/mapgrow-{uid}"))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The newest dump, of one process or of any.
pub fn newest(pid: Option<u32>) -> Option<PathBuf> {
    let uid = own_uid();
    directories()
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let of = pid_of(path.file_name()?.to_str()?)?;
            let meta = path.symlink_metadata().ok()?;
            let ours = meta.is_file() && meta.uid() == uid && pid.is_none_or(|pid| pid == of);
            ours.then_some((meta.mtime(), meta.mtime_nsec(), path))
        })
        .max()
        .map(|(_, _, path)| path)
}

/// Removes the oldest dumps of a directory beyond a number.
pub fn prune(directory: &Path, keep: usize) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            pid_of(path.file_name()?.to_str()?)?;
            let meta = path.symlink_metadata().ok()?;
            (meta.is_file() && meta.uid() == own_uid())
                .then(|| (meta.mtime(), meta.mtime_nsec(), path))
        })
        .collect();
    found.sort();
    for (_, _, path) in found.iter().take(found.len().saturating_sub(keep)) {
        // Another process may have been faster.
        let _ = fs::remove_file(path);
    }
}

/// The process that a dump's name tells: `<program>-<unix seconds>-<pid>-<n>.mapgrow`.
fn pid_of(name: &str) -> Option<u32> {
    let mut parts = name.strip_suffix(".mapgrow")?.rsplitn(4, '-');
    let number = parts.next()?;
    let pid = parts.next()?;
    let seconds = parts.next()?;
    parts.next()?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(number) && digits(seconds))
        .then(|| pid.parse().ok())
        .flatten()
}

/// Writes a dump under a new name of the usual form; gives the name.
pub fn write(program: &str, pid: u32, bytes: &[u8]) -> Result<PathBuf, Failure> {
    let mut refused = None;
    for directory in directories() {
        match prepare(&directory) {
            Ok(()) => return write_numbered(&directory, program, pid, bytes),
            Err(error) => {
                refused.get_or_insert((directory, error));
            }
        }
    }
    Err(match refused {
        Some((directory, error)) => Failure::new(format!(
            "cannot put a dump into {}: {}; name a file with `-o FILE`",
            directory.display(),
            plain(&error)
        )),
        None => Failure::new("there is no directory for dumps: name a file with `-o FILE`"),
    })
}

/// Makes the directory, and makes sure that it is ours alone: some lie where all may write.
fn prepare(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let meta = directory.symlink_metadata()?;
    let private = meta.is_dir() && meta.uid() == own_uid() && meta.mode() & 0o022 == 0;
    if private {
        Ok(())
    } else {
        Err(io::Error::other("others could write into it"))
    }
}

fn write_numbered(
    directory: &Path,
    program: &str,
    pid: u32,
    bytes: &[u8],
) -> Result<PathBuf, Failure> {
    /// Nobody takes as many dumps of one process in one second.
    const MOST_NUMBERS: u32 = 10_000;
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let program = if program.is_empty() {
        "unknown"
    } else {
        program
    };
    for number in 1..MOST_NUMBERS {
        let path = directory.join(format!("{program}-{seconds}-{pid}-{number}.mapgrow"));
        match write_new(&path, bytes) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::file("write", &path, &error)),
        }
    }
    Err(Failure::new(format!(
        "{} has too many dumps of process {pid}: name a file with `-o FILE`",
        directory.display()
    )))
}

/// Writes a file that was not there before, all of it or nothing.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(temporary_name);
    let written = write_temporary(&temporary, bytes)
        // A link never replaces what is there, a rename does.
        .and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    written.and(removed)
}

fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let create = || -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
    };
    let mut file = match create() {
        // Left by a process of our own id that was killed here.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        other => other?,
    };
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_process() {
        assert_eq!(pid_of("my-tool-1760000000-4242-1.mapgrow"), Some(4242));
        assert_eq!(pid_of("1760000000-4242-1.mapgrow"), None);
        assert_eq!(pid_of("tool-x-4242-1.mapgrow"), None);
        assert_eq!(pid_of("tool-1760000000-4242-1.mapgrow.tmp"), None);
    }
}
