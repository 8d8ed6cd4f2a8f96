//! Dumps: where they lie, which is the newest, and writing one.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::directory::{Directory, Written};
use crate::failure::{Failure, plain};
use crate::proc::own_uid;

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

/// The newest dump, of one process or of any, in a directory of ours.
pub fn newest(pid: Option<u32>) -> Option<PathBuf> {
    let directories = directories().into_iter();
    let own = directories.filter_map(|path| Directory::own(&path).ok());
    own.flat_map(|directory| {
        let found = found(&directory, pid).into_iter();
        let path = directory.path().to_owned();
        found.map(move |(written, name)| (written, path.join(name)))
    })
    .max()
    .map(|(_, path)| path)
}

/// The dumps in a directory, of one process or of any: regular files of ours, named as dumps are.
fn found(directory: &Directory, pid: Option<u32>) -> Vec<(Written, OsString)> {
    let names = directory.names().into_iter();
    let named = names.filter(|name| {
        let of = name.to_str().and_then(pid_of);
        of.is_some_and(|of| pid.is_none_or(|pid| pid == of))
    });
    named
        .filter_map(|name| Some((directory.written(&name)?, name)))
        .collect()
}

/// Removes the oldest dumps of a directory beyond a number.
fn prune(directory: &Directory, keep: usize) {
    let mut found = found(directory, None);
    found.sort();
    for (_, name) in found.iter().take(found.len().saturating_sub(keep)) {
        // Another process may have been faster.
        let _ = directory.remove(name);
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

/// Writes a dump under a new name of the usual form; gives its path. `keep`: removes the oldest
/// beyond this number.
pub fn write(
    program: &str,
    pid: u32,
    bytes: &[u8],
    keep: Option<usize>,
) -> Result<PathBuf, Failure> {
    let mut refused = None;
    for path in directories() {
        match Directory::make(&path, 0o700) {
            Ok(directory) => {
                let path = write_numbered(&directory, program, pid, bytes)?;
                if let Some(keep) = keep {
                    prune(&directory, keep);
                }
                return Ok(path);
            }
            Err(error) => {
                refused.get_or_insert((path, error));
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

fn write_numbered(
    directory: &Directory,
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
        let name = format!("{program}-{seconds}-{pid}-{number}.mapgrow");
        let path = directory.path().join(&name);
        match directory.write_new(OsStr::new(&name), bytes) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::file("write", &path, &error)),
        }
    }
    Err(Failure::new(format!(
        "{} has too many dumps of process {pid}: name a file with `-o FILE`",
        directory.path().display()
    )))
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
