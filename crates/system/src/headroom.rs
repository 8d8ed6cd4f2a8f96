//! How much more memory a process can have: what its control groups, its own limit and the
//! machine leave it.
//!
//! All of it is read from `/proc` and `/sys/fs/cgroup` with `open`, `read` and `close` alone, and
//! hardly any stack: so it may be done in a signal handler, where a dump takes it along, and
//! from outside for any process.
//!
//! # Control groups
//!
//! `/proc/PID/cgroup` names the process' groups; each level up to the root may have a limit, and
//! the one that leaves least counts. A level that is not to be seen (a container shows its own
//! group as the root) is skipped. Page cache that is not in active use is given back before
//! anybody is killed, and does not count as used. Swap is left out: who has to swap a hash map
//! has lost already.

use crate::sys::{Descriptor, Text};
use mapgrow_format::headroom::{Bound, Headroom};

/// Longest path that is looked at; a deeper group is not found, and unknown.
const PATH: usize = 1024;
/// Bytes of `/proc/PID/cgroup` that are looked at.
const GROUPS: usize = 2048;
/// Version 1 writes its largest number for no limit.
const NO_LIMIT: u64 = 1 << 60;

/// One version of the control groups' file system.
struct Version {
    /// Where it is mounted, by convention.
    root: &'static [u8],
    limit: &'static [u8],
    used: &'static [u8],
    /// Line of `memory.stat` with the bytes of page cache that can be given back.
    reclaimable: &'static [u8],
}

const V1: Version = Version {
    root: b"/sys/fs/cgroup/memory",
    limit: b"/memory.limit_in_bytes",
    used: b"/memory.usage_in_bytes",
    reclaimable: b"total_inactive_file",
};
const V2: Version = Version {
    root: b"/sys/fs/cgroup",
    limit: b"/memory.max",
    used: b"/memory.current",
    reclaimable: b"inactive_file",
};

/// Room to work in, for callers whose stack has none.
pub struct Scratch {
    path: Text<PATH>,
    groups: [u8; GROUPS],
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            path: Text::new(),
            groups: [0; GROUPS],
        }
    }

    /// The first number in a file, behind `key`.
    fn field(&mut self, file: &[&[u8]], key: &[u8]) -> Option<u64> {
        field(path(&mut self.path, file), key)
    }

    /// The same in a file of `/proc/PID`.
    fn of_process(&mut self, pid: Option<u32>, name: &[u8], key: &[u8]) -> Option<u64> {
        field(of_process(&mut self.path, pid, name), key)
    }
}

/// What process `pid` can still have; `None` stands for this process.
#[must_use]
pub fn of(pid: Option<u32>) -> Headroom {
    read(pid, &mut Scratch::new())
}

/// As [`of`], with hardly any stack.
pub fn read(pid: Option<u32>, scratch: &mut Scratch) -> Headroom {
    let machine = scratch.field(&[b"/proc/meminfo"], b"MemAvailable");
    Headroom {
        control_group: control_group(pid, scratch),
        address_space: address_space(pid, scratch),
        machine: machine.map(kibibytes),
    }
}

fn path<'a>(path: &'a mut Text<PATH>, parts: &[&[u8]]) -> &'a Text<PATH> {
    path.clear();
    for part in parts {
        path.push(part);
    }
    path
}

/// `/proc/PID/name`.
fn of_process<'a>(path: &'a mut Text<PATH>, pid: Option<u32>, name: &[u8]) -> &'a Text<PATH> {
    path.clear();
    path.push(b"/proc/");
    match pid {
        Some(pid) => path.push_decimal(u64::from(pid)),
        None => path.push(b"self"),
    };
    path.push(name)
}

fn kibibytes(number: u64) -> u64 {
    number.saturating_mul(1024)
}

/// Threads of this process, the calling one included; with hardly any stack.
pub fn threads(scratch: &mut Scratch) -> Option<u64> {
    scratch.of_process(None, b"/status", b"Threads")
}

fn address_space(pid: Option<u32>, scratch: &mut Scratch) -> Option<Bound> {
    let limit = scratch.of_process(pid, b"/limits", b"Max address space")?;
    let used = scratch.of_process(pid, b"/status", b"VmSize")?;
    Some(Bound {
        limit,
        used: kibibytes(used),
    })
}

fn control_group(pid: Option<u32>, scratch: &mut Scratch) -> Option<Bound> {
    let file = open(of_process(&mut scratch.path, pid, b"/cgroup"))?;
    let length = file.read_up_to(&mut scratch.groups);
    drop(file);
    let groups = scratch.groups.get(..length)?;
    let mut best: Option<Bound> = None;
    // `4:memory:/a/b`, or `0::/a/b` in version 2.
    for line in groups.split(|&byte| byte == b'\n') {
        let mut parts = line.splitn(3, |&byte| byte == b':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let mut names = controllers.split(|&byte| byte == b',');
        let version = if controllers.is_empty() {
            &V2
        } else if names.any(|name| name == b"memory") {
            &V1
        } else {
            continue;
        };
        let bound = tightest(version, group, &mut scratch.path);
        best = best.into_iter().chain(bound).min_by_key(Bound::left);
    }
    best
}

/// The bound that leaves least, of a control group and those around it.
fn tightest(version: &Version, group: &[u8], file: &mut Text<PATH>) -> Option<Bound> {
    let mut best: Option<Bound> = None;
    let mut group = group.strip_suffix(b"/").unwrap_or(group);
    loop {
        let mut of_level =
            |name: &[u8], key: &[u8]| field(path(file, &[version.root, group, name]), key);
        let limit = of_level(version.limit, b"").filter(|&limit| limit < NO_LIMIT);
        let bound = limit.and_then(|limit| {
            let used = of_level(version.used, b"")?;
            let cache = of_level(b"/memory.stat", version.reclaimable).unwrap_or(0);
            let used = used.saturating_sub(cache);
            Some(Bound { limit, used })
        });
        best = best.into_iter().chain(bound).min_by_key(Bound::left);
        let Some(up) = group.iter().rposition(|&byte| byte == b'/') else {
            return best;
        };
        group = group.get(..up)?;
    }
}

fn open(path: &Text<PATH>) -> Option<Descriptor> {
    Descriptor::open(path.as_c_str()?, libc::O_RDONLY, 0)
}

/// The first number of the first line that begins with `key`: `key: 12 kB`, `key 12`.
fn field(path: &Text<PATH>, key: &[u8]) -> Option<u64> {
    let file = open(path)?;
    let mut finder = Finder::new(key);
    let mut buffer = [0; 128];
    loop {
        let length = file.read_up_to(&mut buffer);
        for &byte in buffer.get(..length)? {
            if finder.see(byte) {
                return finder.number;
            }
        }
        if length < buffer.len() {
            return finder.number;
        }
    }
}

/// Looks for a number in text that comes byte by byte.
struct Finder<'a> {
    key: &'a [u8],
    /// Bytes of the line that agree with the key; `None` once one did not.
    agreed: Option<usize>,
    number: Option<u64>,
}

impl<'a> Finder<'a> {
    fn new(key: &'a [u8]) -> Self {
        Self {
            key,
            agreed: Some(0),
            number: None,
        }
    }

    /// Takes the next byte; true when the number, if there is one, is complete.
    fn see(&mut self, byte: u8) -> bool {
        let Some(agreed) = self.agreed else {
            self.agreed = (byte == b'\n').then_some(0);
            return false;
        };
        match self.key.get(agreed) {
            Some(&wanted) if wanted == byte => self.agreed = Some(agreed + 1),
            Some(_) => self.agreed = (byte == b'\n').then_some(0),
            None if byte.is_ascii_digit() => {
                let digit = u64::from(byte - b'0');
                let number = self.number.unwrap_or(0);
                self.number = Some(number.saturating_mul(10).saturating_add(digit));
            }
            None if self.number.is_some() || byte == b'\n' => return true,
            // The name goes on, or there are blanks.
            None if byte.is_ascii_alphanumeric() || byte == b'_' => {
                self.agreed = if self.key.is_empty() {
                    Some(agreed)
                } else {
                    None
                };
            }
            None => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, key: &str) -> Option<u64> {
        let mut finder = Finder::new(key.as_bytes());
        text.bytes().any(|byte| finder.see(byte));
        finder.number
    }

    #[test]
    fn fields_are_found_where_they_are() {
        let stat = "inactive_file_x 1\ntotal_inactive_file 2\ninactive_file 34\n";
        assert_eq!(find(stat, "inactive_file"), Some(34));
        assert_eq!(find(stat, "total_inactive_file"), Some(2));
        assert_eq!(find(stat, "missing"), None);
        assert_eq!(
            find("MemFree:  7 kB\nMemAvailable:   8123 kB\n", "MemAvailable"),
            Some(8123)
        );
        assert_eq!(find("max\n", ""), None);
        assert_eq!(find("268435456\n", ""), Some(268_435_456));
        assert_eq!(find("99999999999999999999999\n", ""), Some(u64::MAX));
        let limits = "Max stack size  8388608 unlimited bytes\nMax address space  unlimited  unlimited  bytes\n";
        assert_eq!(find(limits, "Max stack size"), Some(8_388_608));
        assert_eq!(find(limits, "Max address space"), None);
    }

    #[test]
    fn this_process_has_some_memory_left() {
        let own = of(None);
        assert!(own.machine.is_some_and(|left| left > 1 << 20), "{own:?}");
        assert!(own.left().is_some());
        let seen = of(Some(std::process::id()));
        assert_eq!(seen.address_space.is_some(), own.address_space.is_some());
        assert_eq!(seen.control_group.is_some(), own.control_group.is_some());
    }
}
