//! The memory of a process, as far as it is worth reading.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mapgrow_containers::finder::{Region, Searched};
use mapgrow_system::memory::{Memory, ProcessMemory};

/// Pages as `/proc/PID/pagemap` counts them.
const PAGE: u64 = 4096;
/// Bits of its entries.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// Entries read at once.
const ENTRIES: u64 = 256;

/// The memory of a process that it can write and shares with nobody: there its maps are.
pub struct ProcessRegions {
    memory: ProcessMemory,
    regions: Vec<Region>,
    /// Those of them that no file is behind: what was never touched there is zero.
    nameless: Vec<Region>,
    pagemap: Option<File>,
    /// What lies below the stack pointers of its threads: of calls that are over.
    left: Vec<Region>,
    /// Whether any of its pages was swapped out.
    swaps: bool,
    swapped: AtomicU64,
}

impl ProcessRegions {
    /// That of process `pid`.
    pub fn of(pid: u32) -> io::Result<ProcessRegions> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let swap = status
            .lines()
            .find_map(|line| line.strip_prefix("VmSwap:"))
            .and_then(|text| text.trim().strip_suffix("kB")?.trim().parse().ok());
        let regions: Vec<Region> = maps.lines().filter_map(region).collect();
        let nameless = maps.lines().filter(|line| !line.contains('/'));
        Ok(ProcessRegions {
            memory: ProcessMemory::of(pid),
            left: left(pid, &stacks(&maps)),
            regions,
            nameless: nameless.filter_map(region).collect(),
            pagemap: File::open(format!("/proc/{pid}/pagemap")).ok(),
            swaps: swap != Some(0_u64),
            swapped: AtomicU64::new(0),
        })
    }

    /// Where it lies, in order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Bytes that were swapped out, and left there.
    pub fn swapped(&self) -> u64 {
        self.swapped.load(Relaxed)
    }

    /// Bytes between two addresses whose pages are in memory. `None` when nobody tells.
    pub fn present(&self, from: u64, to: u64) -> Option<u64> {
        let mut bytes = 0;
        let told = self.pages(from, to, &mut |page, entry| {
            if entry & PRESENT != 0 {
                bytes += to.min(page + PAGE) - from.max(page);
            }
        });
        told.then_some(bytes)
    }

    /// Calls `each` with the pages from `from` to `to` and their entries. False when nobody
    /// tells.
    fn pages(&self, from: u64, to: u64, each: &mut dyn FnMut(u64, u64)) -> bool {
        let Some(pagemap) = &self.pagemap else {
            return false;
        };
        let mut page = from / PAGE;
        let end = to.div_ceil(PAGE);
        let mut entries = [0; ENTRIES as usize * 8];
        while page < end {
            let count = (end - page).min(ENTRIES);
            let Some(bytes) = entries.get_mut(..count as usize * 8) else {
                return false;
            };
            if pagemap.read_exact_at(bytes, page * 8).is_err() {
                return false;
            }
            for entry in bytes.as_chunks::<8>().0 {
                each(page * PAGE, u64::from_ne_bytes(*entry));
                page += 1;
            }
        }
        true
    }
}

/// The stacks of threads: that of the first one, and what has a guard below it. Coroutines have
/// their stacks among everything else.
pub fn stacks(maps: &str) -> Vec<Region> {
    /// No guard is larger: what is, is room for something to grow.
    const GUARD: u64 = 1 << 20;
    let mut guard = None;
    let mut stacks = Vec::new();
    for line in maps.lines() {
        let Some((start, end)) = range(line) else {
            continue;
        };
        let guarded = guard == Some(start);
        if let Some(region) = region(line).filter(|_| guarded || line.ends_with("[stack]")) {
            stacks.push(region);
        }
        let closed = line.contains(" ---p ") && end - start <= GUARD;
        guard = closed.then_some(end);
    }
    stacks
}

/// Where the control block of the thread lies that has this stack, at its end: it names itself, twice.
/// `None` where that is not there.
pub fn control_block(memory: &dyn Memory, stack: &Region) -> Option<u64> {
    const SEARCHED: u64 = 64 << 10;
    let start = stack.end.saturating_sub(SEARCHED).max(stack.start);
    let mut bytes = vec![0; (stack.end - start) as usize];
    if !memory.read(start, &mut bytes) {
        return None;
    }
    let words = bytes.as_chunks::<8>().0;
    words.windows(3).enumerate().find_map(|(index, words)| {
        let place = start + index as u64 * 8;
        let itself =
            |word: Option<&[u8; 8]>| word.is_some_and(|&word| u64::from_le_bytes(word) == place);
        (itself(words.first()) && itself(words.get(2))).then_some(place)
    })
}

/// The parts of stacks that are not in use, as far as the kernel tells: of threads that wait.
fn left(pid: u32, stacks: &[Region]) -> Vec<Region> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let pointer = |task: fs::DirEntry| {
        let line = fs::read_to_string(task.path().join("syscall")).ok()?;
        let pointer = line.split_ascii_whitespace().nth_back(1)?;
        u64::from_str_radix(pointer.strip_prefix("0x")?, 16).ok()
    };
    let pointers = tasks
        .into_iter()
        .flatten()
        .filter_map(|task| pointer(task.ok()?));
    below(&pointers.collect::<Vec<_>>(), stacks)
}

/// The parts of `stacks` that lie below stack pointers.
pub fn below(pointers: &[u64], stacks: &[Region]) -> Vec<Region> {
    /// What a function may use below its stack pointer.
    const RED_ZONE: u64 = 128;
    let below = |&pointer: &u64| {
        let after = stacks.partition_point(|stack| stack.start <= pointer);
        let stack = stacks.get(after.checked_sub(1)?)?;
        if pointer >= stack.end {
            return None;
        }
        let end = pointer.saturating_sub(RED_ZONE) / 8 * 8;
        (end > stack.start).then_some(Region { end, ..*stack })
    };
    let mut left: Vec<Region> = pointers.iter().filter_map(below).collect();
    // Of two in one stack what is below both.
    left.sort_unstable_by_key(|left| (left.start, left.end));
    left.dedup_by_key(|left| left.start);
    left
}

/// Adds what lies between `from` and `to`, but for what is `left` out, which is sorted.
pub fn without(left: &[Region], from: u64, to: u64, add: &mut dyn FnMut(u64, u64)) {
    let after = left.partition_point(|left| left.end <= from);
    let within = left.get(after).filter(|left| left.start < to);
    let mut from = from;
    if let Some(left) = within {
        if from < left.start {
            add(from, left.start.min(to));
        }
        from = from.max(left.end);
    }
    if from < to {
        add(from, to);
    }
}

/// A line of `/proc/PID/maps`, if what it is about can hold maps.
fn region(line: &str) -> Option<Region> {
    let (start, end) = range(line)?;
    let mut fields = line.split_ascii_whitespace().skip(1);
    let flags = fields.next()?;
    let device = fields.nth(2).is_some_and(|_| {
        let path = fields.next().unwrap_or_default();
        // Reading a device may do anything.
        path.starts_with("/dev/") && !path.starts_with("/dev/shm/") && path != "/dev/zero"
    });
    let wanted = flags.starts_with("rw") && flags.ends_with('p') && !device;
    wanted.then_some(Region { start, end })
}

/// Where what a line of `/proc/PID/maps` is about begins and ends.
pub fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_ascii_whitespace().next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some((address(start)?, address(end)?))
}

impl ProcessRegions {
    /// Whether no file is behind the page at `page`.
    fn is_nameless(&self, page: u64) -> bool {
        let after = self.nameless.partition_point(|r| r.start <= page);
        let region = after.checked_sub(1).and_then(|at| self.nameless.get(at));
        region.is_some_and(|region| page < region.end)
    }
}

impl Memory for ProcessRegions {
    /// What was swapped out stays there, and what was never touched is not made by reading it.
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let end = address.saturating_add(into.len() as u64);
        let (mut out, mut absent) = (false, Vec::new());
        self.pages(address, end, &mut |page, entry| {
            // (What the kernel just moves elsewhere in memory has the mark, too.)
            out |= self.swaps && entry & SWAPPED != 0;
            if entry & (PRESENT | SWAPPED) == 0 && self.is_nameless(page) {
                absent.push(page);
            }
        });
        if out {
            return false;
        }
        if absent.is_empty() {
            return self.memory.read(address, into);
        }
        let mut at = address;
        while at < end {
            let page = at / PAGE * PAGE;
            let to = end.min(page + PAGE);
            let range = (at - address) as usize..(to - address) as usize;
            let Some(piece) = into.get_mut(range) else {
                return false;
            };
            if absent.contains(&page) {
                piece.fill(0);
            } else if !self.memory.read(at, piece) {
                return false;
            }
            at = to;
        }
        true
    }

    fn read_many(&self, addresses: &[u64], each: usize, into: &mut [u8]) -> bool {
        /// Pages that are asked about to read a few places in them.
        const MOST_ASKED: u64 = 1 << 16;
        if each == 0 || into.len() != addresses.len() * each {
            return false;
        }
        let least = addresses.iter().min().copied().unwrap_or(0);
        let most = addresses.iter().max().copied().unwrap_or(0);
        let most = most.saturating_add(each as u64);
        let mut absent = most - least > MOST_ASKED * PAGE;
        if !absent {
            let told = self.pages(least, most, &mut |_, entry| {
                absent |= entry & PRESENT == 0;
            });
            absent |= !told && self.swaps;
        }
        if !absent {
            return self.memory.read_many(addresses, each, into);
        }
        (addresses.iter().zip(into.chunks_exact_mut(each)))
            .all(|(&address, piece)| self.read(address, piece))
    }
}

impl Searched for ProcessRegions {
    fn parts(&self, from: u64, to: u64, add: &mut dyn FnMut(u64, u64)) {
        let mut run: Option<(u64, u64)> = None;
        let mut runs = Vec::new();
        let told = self.pages(from, to, &mut |page, entry| {
            if entry & SWAPPED != 0 {
                self.swapped.fetch_add(PAGE, Relaxed);
            }
            if entry & PRESENT == 0 {
                runs.extend(run.take());
                return;
            }
            let (start, _) = run.unwrap_or((page, page));
            run = Some((start, page + PAGE));
        });
        if !told {
            runs.push((from, to));
        }
        for (start, end) in runs.into_iter().chain(run) {
            without(&self.left, start.max(from), end.min(to), add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lie_in_writable_memory_of_the_process_alone() {
        let of = |line: &str| region(line).map(|region| (region.start, region.end));
        let heap = "55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0    [heap]";
        assert_eq!(of(heap), Some((0x55d0_c000_0000, 0x55d0_c002_1000)));
        assert_eq!(
            of("7f00-8f00 rw-p 00000000 00:00 0"),
            Some((0x7f00, 0x8f00))
        );
        let file = "7f00-8f00 rw-p 00001000 fe:00 123  /usr/lib/libc.so.6";
        assert!(of(file).is_some());
        for none in [
            "7f00-8f00 r--p 00000000 00:00 0",
            "7f00-8f00 rw-s 00000000 00:01 7  /dev/shm/shared",
            "7f00-8f00 rw-p 00000000 00:06 7  /dev/nvidia0",
            "7f00-8f00 ---p 00000000 00:00 0",
            "nonsense",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn stacks_of_threads_have_a_guard_below_them() {
        let maps = "7e00000-7f00000 rw-p 0 00:00 0\n7f00000-7f01000 ---p 0 00:00 0\n\
            7f01000-8f01000 rw-p 0 00:00 0\n8f01000-9f01000 ---p 0 00:00 0\n\
            9f01000-af01000 rw-p 0 00:00 0\nbf01000-bf41000 rw-p 0 00:00 0   [stack]\n";
        let starts: Vec<u64> = stacks(maps).iter().map(|stack| stack.start).collect();
        assert_eq!(starts, [0x7f0_1000, 0xbf0_1000]);
    }

    #[test]
    fn of_each_stack_is_left_what_lies_below_its_pointers() {
        let stack = |start| Region {
            start,
            end: start + 0x1000,
        };
        let stacks = [stack(0x1000), stack(0x3000), stack(0x9000)];
        let left = below(&[0x9800, 0x2800, 0x1800, 0x1400, 0x3008], &stacks);
        let ends: Vec<(u64, u64)> = left.iter().map(|left| (left.start, left.end)).collect();
        assert_eq!(ends, [(0x1000, 0x1380), (0x9000, 0x9780)]);
        let parts = |from, to| {
            let mut parts = Vec::new();
            without(&left, from, to, &mut |from, to| parts.push((from, to)));
            parts
        };
        assert_eq!(parts(0x1000, 0x2000), [(0x1380, 0x2000)]);
        assert_eq!(parts(0x3000, 0x4000), [(0x3000, 0x4000)]);
        assert_eq!(parts(0x8000, 0xa000), [(0x8000, 0x9000), (0x9780, 0xa000)]);
        assert_eq!(parts(0x9000, 0x9400), []);
    }

    #[test]
    fn what_calls_left_on_a_stack_is_not_read() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("it runs");
        let waits = || fs::read_to_string(format!("/proc/{}/syscall", child.id()));
        while !waits().is_ok_and(|line| line.starts_with("230 ") || line.starts_with("35 ")) {
            std::thread::yield_now();
        }
        let memory = ProcessRegions::of(child.id()).expect("readable");
        let [left] = memory.left.as_slice() else {
            panic!("{:?}", memory.left)
        };
        let mut parts = Vec::new();
        memory.parts(left.start, left.end + 4096, &mut |from, to| {
            parts.push((from, to))
        });
        assert!(parts.iter().all(|&(from, _)| from >= left.end), "{parts:?}");
        assert!(!parts.is_empty());
        child.kill().and_then(|()| child.wait()).expect("ended");
    }

    #[test]
    fn pages_that_were_never_touched_are_not_read() {
        let own = ProcessRegions::of(std::process::id()).expect("readable");
        let block = vec![0_u8; 64 << 20];
        let start = block.as_ptr() as u64;
        let mut parts = 0;
        own.parts(start, start + block.len() as u64, &mut |from, to| {
            parts += to - from;
        });
        // glibc maps a block of this size anew.
        assert!(parts < 4 << 20, "{parts}");
    }
}
