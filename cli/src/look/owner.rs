//! Whose a map is: the static, or the thread's stack, that holds it or leads to it.

use std::collections::HashMap;
use std::fs;
use std::io::Read;

use mapgrow_containers::finder::{Finding, Reach, Region, Root, reach};
use mapgrow_report::text::units::bytes;
use mapgrow_system::memory::Memory;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, elf};
use serde::Serialize;

use super::memory::{ProcessRegions, range, stacks};
use super::model::Process;
use super::statics::Statics;

/// Whose a map is.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Owner {
    /// The way to it: `static SESSIONS -> block of 24 KiB -> map`.
    pub path: String,
    /// What it begins at: `static` or `stack`.
    pub kind: &'static str,
    /// The static's name, where the program has names.
    pub symbol: Option<String>,
    /// Nobody reads types yet.
    pub type_name: Option<String>,
}

/// What a way can begin at.
enum Start {
    /// The writable data of a file: its path, and where its first byte was mapped.
    Statics { path: String, base: u64 },
    /// A thread's stack.
    Stack { thread: String },
}

/// Files whose data lead to everything: allocators and loaders.
const PLUMBING: [&str; 8] = [
    "libc.so",
    "libc-",
    "ld-",
    "libjemalloc",
    "libmimalloc",
    "libtcmalloc",
    "libstdc++",
    "libc++",
];

/// Statics that keep what nobody uses any more, for the next one who needs such a thing.
const KEEPERS: [&str; 2] = ["_PyRuntime", "_PyInterpreterState_Main"];

/// Whose the tables found in process `pid` are, one for each.
pub fn owners(pid: u32, memory: &ProcessRegions, finding: &Finding) -> Vec<Option<Owner>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut starts = Vec::new();
    let mut roots = Vec::new();
    statics(
        &maps,
        &|path| data_bytes(pid, path),
        &mut starts,
        &mut roots,
    );
    threads(pid, &maps, memory, &mut starts, &mut roots);
    let reached = reach(memory, memory.regions(), finding, &roots);
    let mut names = HashMap::new();
    let process = Process::live(pid);
    (reached.into_iter())
        .map(|reached| owner(&process, pid, &reached?, &starts, &mut names))
        .collect()
}

fn owner(
    process: &Process,
    pid: u32,
    reached: &Reach,
    starts: &[Start],
    names: &mut HashMap<String, Option<Statics>>,
) -> Option<Owner> {
    let (mut path, kind, symbol) = match starts.get(reached.root)? {
        Start::Stack { thread } => (format!("stack of thread {thread}"), "stack", None),
        Start::Statics { path, base } => {
            let statics = names
                .entry(path.clone())
                .or_insert_with(|| Statics::of(pid, path));
            let symbol = (statics.as_ref()).and_then(|statics| statics.name(reached.at, *base));
            if symbol
                .as_deref()
                .is_some_and(|name| KEEPERS.contains(&name))
            {
                return None;
            }
            let file = match process.exe.as_ref() == Some(path) {
                true => process.name(),
                false => path.rsplit('/').next().unwrap_or(path),
            };
            let text = match &symbol {
                Some(symbol) => format!("static {symbol}"),
                None => format!("static data of {file}"),
            };
            (text, "static", symbol)
        }
    };
    for &size in &reached.blocks {
        path += &format!(" -> block of {}", bytes(size));
    }
    Some(Owner {
        path: path + " -> map",
        kind,
        symbol,
        type_name: None,
    })
}

/// The writable data of files, and what lies behind it without one (`.bss`): up to where the file says
/// that it ends, for anything may be mapped behind it. `extent`: bytes that a file takes in memory.
fn statics(
    maps: &str,
    extent: &dyn Fn(&str) -> Option<u64>,
    starts: &mut Vec<Start>,
    roots: &mut Vec<Root>,
) {
    // Where the first byte of each file was mapped.
    let mut base: Option<(String, u64)> = None;
    let mut behind: Option<u64> = None;
    for line in maps.lines() {
        let Some((start, end)) = range(line) else {
            continue;
        };
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (flags, offset) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        let path = line.find('/').map(|at| line[at..].to_owned());
        let writable = flags.starts_with("rw") && flags.ends_with('p');
        let named = line.split_ascii_whitespace().count() > 5;
        let of_bss = writable && !named && behind == Some(start);
        if let Some(path) = &path
            && u64::from_str_radix(offset, 16) == Ok(0)
            && base.as_ref().is_none_or(|(known, _)| known != path)
        {
            base = Some((path.clone(), start));
        }
        behind = None;
        let Some((file, first)) = &base else { continue };
        if !(of_bss || writable && path.as_ref() == Some(file)) {
            // What cannot be written to may lie between the data and what is behind it.
            if path.as_ref() == Some(file) {
                behind = Some(end);
            }
            continue;
        }
        behind = Some(end);
        let name = file.rsplit('/').next().unwrap_or(file);
        if PLUMBING.iter().any(|plumbing| name.starts_with(plumbing)) {
            continue;
        }
        let own = match of_bss {
            true => extent(file).map_or(end, |bytes| end.min(first.saturating_add(bytes))),
            false => end,
        };
        if own <= start {
            continue;
        }
        starts.push(Start::Statics {
            path: file.clone(),
            base: *first,
        });
        roots.push(Root {
            start,
            end: own,
            stack: false,
        });
    }
}

/// The stacks of threads that wait, from where they are used.
fn threads(
    pid: u32,
    maps: &str,
    memory: &ProcessRegions,
    starts: &mut Vec<Start>,
    roots: &mut Vec<Root>,
) {
    /// What a function may use below its stack pointer.
    const RED_ZONE: u64 = 128;
    let stacks = stacks(maps);
    let variables = thread_variables(pid, maps);
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).ok();
        let pointer = read("syscall").and_then(|line| {
            let pointer = line.split_ascii_whitespace().nth_back(1)?;
            u64::from_str_radix(pointer.strip_prefix("0x")?, 16).ok()
        });
        let Some(pointer) = pointer else { continue };
        let Some(stack) = stacks.iter().find(|r| (r.start..r.end).contains(&pointer)) else {
            continue;
        };
        let end = if maps
            .lines()
            .any(|line| line.ends_with("[stack]") && range(line) == Some((stack.start, stack.end)))
        {
            Some(stack.end)
        } else {
            frames_end(memory, stack, variables)
        };
        let Some(end) = end.filter(|&end| end > pointer) else {
            continue;
        };
        let thread = read("comm").unwrap_or_default().trim_end().to_owned();
        starts.push(Start::Stack { thread });
        roots.push(Root {
            start: (pointer - RED_ZONE) / 8 * 8,
            end,
            stack: true,
        });
    }
}

/// Where the frames on a stack end: at its end for the first thread, before their own variables for
/// others. A thread's control block follows these, and names itself; `variables` is how many bytes
/// of them the program and its libraries have.
fn frames_end(memory: &ProcessRegions, stack: &Region, variables: u64) -> Option<u64> {
    const SEARCHED: u64 = 64 << 10;
    /// What glibc leaves for libraries that are loaded later.
    const MORE: u64 = 1664;
    let start = stack.end.saturating_sub(SEARCHED).max(stack.start);
    let mut bytes = vec![0; (stack.end - start) as usize];
    if !memory.read(start, &mut bytes) {
        return None;
    }
    let words = bytes.as_chunks::<8>().0;
    let block = words.windows(3).enumerate().find_map(|(index, words)| {
        let place = start + index as u64 * 8;
        let itself = |word: &[u8; 8]| u64::from_le_bytes(*word) == place;
        (itself(&words[0]) && itself(&words[2])).then_some(place)
    });
    block?.checked_sub(variables + MORE)
}

/// Reads the segments of a file that is mapped into a process.
fn segments<T>(
    pid: u32,
    path: &str,
    of: impl FnOnce(&[elf::ProgramHeader64<LittleEndian>]) -> Option<T>,
) -> Option<T> {
    let file = fs::File::open(format!("/proc/{pid}/root{path}")).ok()?;
    let mut header = Vec::new();
    file.take(4096).read_to_end(&mut header).ok()?;
    let elf = elf::FileHeader64::<LittleEndian>::parse(&*header).ok()?;
    of(elf.program_headers(LittleEndian, &*header).ok()?)
}

/// Bytes that a file takes in memory, from its first byte to the end of its data: 0 of one that is no
/// program or library. `None` where it is not there any more.
fn data_bytes(pid: u32, path: &str) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/root{path}")).ok()?;
    let bytes = segments(pid, path, |segments| {
        let load = |segment: &&elf::ProgramHeader64<LittleEndian>| {
            segment.p_type(LittleEndian) == elf::PT_LOAD
        };
        let loaded = segments.iter().filter(load);
        let first = loaded.clone().map(|one| one.p_vaddr(LittleEndian)).min()?;
        let end = loaded
            .map(|one| {
                let start = one.p_vaddr(LittleEndian);
                start.saturating_add(one.p_memsz(LittleEndian))
            })
            .max()?;
        end.checked_sub(first / 4096 * 4096)
    });
    Some(bytes.unwrap_or(0))
}

/// Bytes of the variables that each thread has of its own, in all files that are mapped.
fn thread_variables(pid: u32, maps: &str) -> u64 {
    const OWN_VARIABLES: elf::ProgramType = elf::PT_TLS;
    let mut files: Vec<&str> = (maps.lines())
        .filter_map(|line| line.find('/').map(|at| &line[at..]))
        .collect();
    files.sort_unstable();
    files.dedup();
    let of = |path: &str| {
        segments(pid, path, |segments| {
            let own = segments
                .iter()
                .find(|segment| segment.p_type(LittleEndian) == OWN_VARIABLES)?;
            let (size, align) = (own.p_memsz(LittleEndian), own.p_align(LittleEndian));
            Some(size.saturating_add(align).min(1 << 30))
        })
    };
    files.into_iter().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statics_lie_in_the_writable_parts_of_files_and_behind_them() {
        let maps = "5000-6000 r--p 00000000 fe:00 1   /opt/a b/cache\n\
            6000-7000 r-xp 00001000 fe:00 1   /opt/a b/cache\n\
            7000-8000 rw-p 00002000 fe:00 1   /opt/a b/cache\n\
            8000-9000 rw-p 00000000 00:00 0\n\
            9000-a000 rw-p 00000000 00:00 0   [heap]\n\
            b000-c000 r--p 00000000 fe:00 2   /usr/lib/libc.so.6\n\
            c000-d000 rw-p 00001000 fe:00 2   /usr/lib/libc.so.6\n\
            e000-f000 rw-p 00000000 00:00 0\n";
        let (mut starts, mut roots) = (Vec::new(), Vec::new());
        // Of the page behind the data a part is the file's.
        statics(maps, &|_| Some(0x3800), &mut starts, &mut roots);
        let places: Vec<(u64, u64)> = roots.iter().map(|root| (root.start, root.end)).collect();
        assert_eq!(places, [(0x7000, 0x8000), (0x8000, 0x8800)]);
        assert!(starts.iter().all(|start| matches!(
            start,
            Start::Statics { path, base: 0x5000 } if path == "/opt/a b/cache"
        )));
    }
}
