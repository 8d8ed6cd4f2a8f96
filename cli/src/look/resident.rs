//! Where the memory of a process went: what of its resident bytes tables take, and what others.

use std::fs;

use mapgrow_containers::finder::{Finding, Found};
use serde::Serialize;

use super::memory::{ProcessRegions, range, stacks};

/// Tables from this size on are asked for page by page: of a large one that is new, much was never
/// touched.
const LARGE_BYTES: u64 = 64 << 10;

/// Resident bytes of a process by what they are. All but the first add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Resident {
    /// All of them.
    pub resident_bytes: u64,
    /// Of tables that were found and whose size is known.
    pub tables_bytes: u64,
    /// The rest of what the process has mapped to be written to, of no file: other blocks, and what
    /// its allocator holds and nobody uses.
    pub other_heap_bytes: u64,
    /// Of stacks of threads.
    pub stacks_bytes: u64,
    /// Of files as they are on the disk: code, and data that was read.
    pub files_bytes: u64,
    /// Of files' data that the process has changed, statics above all.
    pub statics_bytes: u64,
    /// Of memory that is shared with other processes.
    pub shared_bytes: u64,
    /// Of anything else, generated code for one.
    pub other_bytes: u64,
}

/// Where the memory of process `pid` went; `None` when the kernel does not tell.
pub fn resident(pid: u32, memory: &ProcessRegions, finding: &Finding) -> Option<Resident> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
    let tables = (finding.tables.iter())
        .map(|found| of_table(found, memory))
        .sum();
    divided(&smaps, tables)
}

fn of_table(found: &Found, memory: &ProcessRegions) -> u64 {
    match (found.block, found.bytes) {
        (Some(start), Some(bytes)) if bytes >= LARGE_BYTES => memory
            .present(start, start.saturating_add(bytes))
            .unwrap_or(bytes),
        (_, bytes) => bytes.unwrap_or(0),
    }
}

/// What `/proc/PID/smaps` says, of which tables have `tables` bytes.
fn divided(smaps: &str, tables: u64) -> Option<Resident> {
    let mut sum = Resident::default();
    let stacks = stacks(smaps);
    let mut lines = smaps.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((start, _)) = range(line) else {
            continue;
        };
        let (mut resident, mut anonymous) = (0, 0);
        while let Some(field) = lines.next_if(|line| range(line).is_none()) {
            let bytes = |name| kibibytes(field.strip_prefix(name)?);
            resident = bytes("Rss:").unwrap_or(resident);
            anonymous = bytes("Anonymous:").unwrap_or(anonymous);
        }
        sum.resident_bytes += resident;
        let mut fields = line.split_ascii_whitespace().skip(1);
        let flags = fields.next().unwrap_or("");
        let name = fields.nth(3).unwrap_or("");
        let into = if stacks.iter().any(|stack| stack.start == start) {
            &mut sum.stacks_bytes
        } else if flags.ends_with('s') {
            &mut sum.shared_bytes
        } else if name.starts_with('/') {
            let changed = anonymous.min(resident);
            sum.statics_bytes += changed;
            resident -= changed;
            &mut sum.files_bytes
        } else if flags.starts_with("rw") {
            &mut sum.other_heap_bytes
        } else {
            &mut sum.other_bytes
        };
        *into += resident;
    }
    // Some may lie in what a program has mapped otherwise.
    sum.tables_bytes = tables.min(sum.other_heap_bytes);
    sum.other_heap_bytes -= sum.tables_bytes;
    (sum.resident_bytes > 0).then_some(sum)
}

fn kibibytes(text: &str) -> Option<u64> {
    let number: u64 = text.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resident_byte_is_somebody_s() {
        let smaps = "5000-9000 r-xp 00000000 fe:00 1    /opt/cache\nRss:  8 kB\nAnonymous: 0 kB\n\
            9000-a000 rw-p 00004000 fe:00 1    /opt/cache\nRss:  4 kB\nAnonymous: 4 kB\n\
            a000-f000 rw-p 00000000 00:00 0    [heap]\nRss:  20 kB\nAnonymous: 20 kB\n\
            10000-11000 ---p 00000000 00:00 0 \nRss:  0 kB\n\
            11000-15000 rw-p 00000000 00:00 0 \nRss:  12 kB\n\
            20000-21000 rw-s 00000000 00:01 7  /dev/shm/shared\nRss:  4 kB\n\
            30000-31000 r-xp 00000000 00:00 0  [vdso]\nRss:  4 kB\nVmFlags: rd ex\n";
        let sum = divided(smaps, 12 << 10).expect("it says");
        let kib = |bytes: u64| bytes >> 10;
        assert_eq!(kib(sum.resident_bytes), 52);
        assert_eq!(kib(sum.tables_bytes), 12);
        assert_eq!(kib(sum.other_heap_bytes), 8);
        assert_eq!(kib(sum.stacks_bytes), 12);
        assert_eq!((kib(sum.files_bytes), kib(sum.statics_bytes)), (8, 4));
        assert_eq!((kib(sum.shared_bytes), kib(sum.other_bytes)), (4, 4));
        assert_eq!(divided("nonsense", 0), None);
    }
}
