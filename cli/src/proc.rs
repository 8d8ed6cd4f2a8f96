//! What `/proc` says of a process.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Whether there is such a process.
pub fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// When the process was started, in clock ticks since boot; `None` when there is none, or only
/// what its parent has not yet reaped.
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, parentheses too.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // Field 22 of the line; the state was field 3.
    fields.nth(18)?.parse().ok()
}

/// Our user id.
pub fn own_uid() -> u32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::geteuid() }
}

/// Every process that can be seen.
pub fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whether the recorder is in a process: linked into its program, or loaded beside it. `None` when
/// that cannot be looked at.
pub fn has_recorder(pid: u32) -> Option<bool> {
    // Every recorder knows the names of its settings, stripped ones too.
    const TOLD_BY: &[u8] = b"MAPGROW_MAX_MEMORY";
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    if maps.contains("/libmapgrow") {
        return Some(true);
    }
    contains(fs::File::open(format!("/proc/{pid}/exe")).ok()?, TOLD_BY).ok()
}

/// Whether a file contains some bytes. Reads it in pieces.
fn contains(mut file: impl Read, wanted: &[u8]) -> io::Result<bool> {
    const PIECE: u64 = 1 << 20;
    let finder = memchr::memmem::Finder::new(wanted);
    let mut bytes = Vec::new();
    loop {
        let read = file.by_ref().take(PIECE).read_to_end(&mut bytes)?;
        if finder.find(&bytes).is_some() {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        // What lies across the end of a piece is looked for again.
        let kept = bytes.len().saturating_sub(wanted.len());
        bytes.drain(..kept);
    }
}

/// The processes that a process has started and that still run. None where the kernel does not
/// tell (`CONFIG_PROC_CHILDREN`).
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads.filter_map(|thread| {
        let thread = thread.ok()?;
        fs::read_to_string(thread.path().join("children")).ok()
    });
    lists
        .flat_map(|list| {
            let pids = list.split_ascii_whitespace();
            pids.filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// The file that a process runs; `None` when it is gone, replaced, or not ours to look at.
pub fn executable(pid: u32) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    path.exists().then_some(path)
}

/// Whether the process handles a signal: by default SIGUSR1 ends a program.
pub fn catches(pid: u32, signal: i32) -> bool {
    let caught = status(pid, "SigCgt:").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    caught.is_some_and(|caught| caught >> (signal - 1) & 1 == 1)
}

/// The user with whose rights a process acts.
pub fn user(pid: u32) -> Option<u32> {
    // The real one, the effective one, and two more.
    let users = status(pid, "Uid:")?;
    users.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What `/proc/PID/status` says behind a name.
fn status(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}

/// The environment that a process was started with.
#[derive(Debug)]
pub struct Environment(Vec<u8>);

impl Environment {
    /// A variable's value.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        let mut entries = self.0.split(|&byte| byte == 0);
        entries
            .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .map(OsStr::from_bytes)
    }
}

/// The environment that a process was started with, empty for one that is ending; `None` when it
/// is gone, or not ours to look at.
pub fn environment(pid: u32) -> Option<Environment> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    Some(Environment(bytes))
}

/// Whether a process has a file loaded; `None` when it is ending, gone, or not ours to look at.
pub fn maps(pid: u32, file: &Path) -> Option<bool> {
    let maps = fs::read(format!("/proc/{pid}/maps"))
        .ok()
        .filter(|maps| !maps.is_empty())?;
    Some(memchr::memmem::find(&maps, file.as_os_str().as_bytes()).is_some())
}

/// Whether the process shares our monotonic clock: a time namespace may shift it.
pub fn shares_clock(pid: u32) -> bool {
    let namespace = |who: &str| fs::read_link(format!("/proc/{who}/ns/time")).ok();
    namespace(&pid.to_string()) == namespace("self")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_across_two_pieces_is_found() {
        let mut file = vec![b'x'; (1 << 20) - 3];
        file.extend_from_slice(b"wanted");
        assert!(contains(&file[..], b"wanted").unwrap());
        assert!(!contains(&file[..file.len() - 1], b"wanted").unwrap());
    }

    #[test]
    fn this_process_exists_and_has_a_start_time() {
        let own = std::process::id();
        assert!(exists(own) && all().contains(&own));
        assert!(start_time(own).is_some_and(|ticks| ticks > 0));
        assert!(shares_clock(own));
        assert_eq!(executable(own), std::env::current_exe().ok());
    }
}
