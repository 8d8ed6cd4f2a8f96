//! Processes that cannot be looked at: a sentence for each, with what to do.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use mapgrow_containers::finder::Region;

use super::memory::ProcessRegions;
use crate::failure::{Failure, plain};
use mapgrow_system::memory::Memory;

/// Flag of the threads of the kernel itself, in field 9 of `/proc/PID/stat`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What tells a program from one that is started in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    exe: Option<PathBuf>,
    /// When the process was started, and where its stack begins.
    start: [Option<String>; 2],
}

/// Refuses what has no maps to look at.
pub fn check(pid: u32) -> Result<Identity, Failure> {
    let Some(fields) = stat(pid) else {
        return Err(gone(pid));
    };
    if fields
        .first()
        .is_some_and(|state| matches!(state.as_str(), "Z" | "X"))
    {
        return Err(Failure::new(format!(
            "process {pid} has ended and waits to be collected by its parent: it has no memory \
             any more; look at a process while it runs"
        )));
    }
    let flags: u64 = fields
        .get(6)
        .and_then(|flags| flags.parse().ok())
        .unwrap_or(0);
    if flags & KERNEL_THREAD != 0 {
        return Err(Failure::new(format!(
            "{pid} is a thread of the kernel: it has no maps; choose a process of a program"
        )));
    }
    if is_32_bit(pid) {
        return Err(Failure::new(format!(
            "process {pid} is a 32-bit program: its maps have another layout, which `look` does \
             not know; run a 64-bit build of it"
        )));
    }
    Ok(identity(pid, &fields))
}

/// Refuses a process that may not be read.
pub fn readable(pid: u32, memory: &ProcessRegions) -> Result<(), Failure> {
    let Some(Region { start, .. }) = memory.regions().first() else {
        return Err(gone(pid));
    };
    let mut tried = memory
        .regions()
        .iter()
        .rev()
        .take(8)
        .map(|region| region.start);
    if tried.any(|address| memory.read(address, &mut [0])) || memory.read(*start, &mut [0]) {
        return Ok(());
    }
    if stat(pid).is_none() {
        return Err(gone(pid));
    }
    Err(refused(pid))
}

/// Refuses what was not the same process all the time.
pub fn still(pid: u32, before: &Identity) -> Result<(), Failure> {
    match stat(pid) {
        Some(fields) if identity(pid, &fields) == *before => Ok(()),
        Some(_) => Err(Failure::new(format!(
            "process {pid} began another program while it was looked at: look again"
        ))),
        None => Err(Failure::new(format!(
            "process {pid} ended while it was looked at"
        ))),
    }
}

/// What it means that `/proc/PID/maps` cannot be read.
pub fn unreadable(pid: u32, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::PermissionDenied => refused(pid),
        io::ErrorKind::NotFound => gone(pid),
        _ if stat(pid).is_none() => gone(pid),
        _ => Failure::new(format!(
            "cannot read what process {pid} has mapped: {}; is /proc mounted?",
            plain(error)
        )),
    }
}

fn gone(pid: u32) -> Failure {
    Failure::new(format!(
        "there is no process {pid}: it has ended, or it is in another container; `ps` lists \
         those that can be seen"
    ))
}

fn refused(pid: u32) -> Failure {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let yama = match scope.trim() {
        "1" | "2" => {
            " On this machine the same user is not enough, since kernel.yama.ptrace_scope is set: \
             `sudo sysctl kernel.yama.ptrace_scope=0` changes that."
        }
        "3" => {
            " On this machine nobody may, since kernel.yama.ptrace_scope is 3, until it is booted \
             anew."
        }
        _ => "",
    };
    Failure::new(format!(
        "the memory of process {pid} may not be read: run mapgrow as the user whose process it \
         is, as root, or with CAP_SYS_PTRACE (in a container: `--cap-add=SYS_PTRACE`).{yama}"
    ))
}

fn identity(pid: u32, fields: &[String]) -> Identity {
    Identity {
        exe: fs::read_link(format!("/proc/{pid}/exe")).ok(),
        start: [19, 25].map(|at| fields.get(at).cloned()),
    }
}

/// The fields of `/proc/PID/stat` from the third on, which is the state.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in parentheses may hold anything, parentheses too.
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

fn is_32_bit(pid: u32) -> bool {
    // The identification of an ELF file: magic, then 1 for 32 bits.
    let mut ident = [0; 5];
    fs::File::open(format!("/proc/{pid}/exe"))
        .and_then(|mut file| file.read_exact(&mut ident))
        .is_ok_and(|()| ident == *b"\x7fELF\x01")
}
