//! Where ways to maps begin: the statics of a program and its libraries, and the stacks of threads.

use std::collections::HashSet;

use mapgrow_containers::finder::{Region, Root, Searched};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, elf};

use super::mapped::Mapped;
use super::memory::{control_block, range, stacks};

/// What a way can begin at.
pub enum Start {
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

/// All of them, each with where it lies.
pub struct Places {
    pub starts: Vec<Start>,
    pub roots: Vec<Root>,
}

impl Places {
    /// Those of a process with this memory.
    pub fn of(mapped: &dyn Mapped, memory: &dyn Searched) -> Places {
        let (mut starts, mut roots) = (Vec::new(), Vec::new());
        let extent = |path: &str| data_bytes(mapped, path);
        statics(mapped.maps(), &extent, &mut starts, &mut roots);
        threads(mapped, memory, &mut starts, &mut roots);
        Places { starts, roots }
    }
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
    mapped: &dyn Mapped,
    memory: &dyn Searched,
    starts: &mut Vec<Start>,
    roots: &mut Vec<Root>,
) {
    /// What a function may use below its stack pointer.
    const RED_ZONE: u64 = 128;
    let maps = mapped.maps();
    let stacks = stacks(maps);
    let variables = thread_variables(mapped);
    let first = (maps.lines().find(|line| line.ends_with("[stack]"))).and_then(range);
    let mut known = HashSet::new();
    for thread in mapped.threads() {
        let (name, pointer) = (thread.name, thread.pointer);
        let after = stacks.partition_point(|stack| stack.start <= pointer);
        let Some(stack) = after.checked_sub(1).and_then(|at| stacks.get(at)) else {
            continue;
        };
        // No two threads have the same one.
        if pointer >= stack.end || !known.insert(stack.start) {
            continue;
        }
        let end = match first == Some((stack.start, stack.end)) {
            true => Some(stack.end),
            false => frames_end(memory, stack, variables),
        };
        let Some(end) = end.filter(|&end| end > pointer) else {
            continue;
        };
        starts.push(Start::Stack { thread: name });
        roots.push(Root {
            start: pointer.saturating_sub(RED_ZONE) / 8 * 8,
            end,
            stack: true,
        });
    }
}

/// Where the frames on a stack end: at its end for the first thread, before their own variables for
/// others. The thread's control block follows these; `variables` is how many bytes of them the program
/// and its libraries have.
fn frames_end(memory: &dyn Searched, stack: &Region, variables: u64) -> Option<u64> {
    /// What glibc leaves for libraries that are loaded later.
    const MORE: u64 = 1664;
    control_block(memory, stack)?.checked_sub(variables.checked_add(MORE)?)
}

/// Reads the segments of a file that begins with `header`.
fn segments<T>(
    header: &[u8],
    of: impl FnOnce(&[elf::ProgramHeader64<LittleEndian>]) -> Option<T>,
) -> Option<T> {
    let elf = elf::FileHeader64::<LittleEndian>::parse(header).ok()?;
    of(elf.program_headers(LittleEndian, header).ok()?)
}

/// Bytes that a file takes in memory, from its first byte to the end of its data: 0 of one that is no
/// program or library. `None` where it is not there any more.
fn data_bytes(mapped: &dyn Mapped, path: &str) -> Option<u64> {
    let bytes = segments(&mapped.header(path)?, |segments| {
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
fn thread_variables(mapped: &dyn Mapped) -> u64 {
    const OWN_VARIABLES: elf::ProgramType = elf::PT_TLS;
    let mut files: Vec<&str> = (mapped.maps().lines())
        .filter_map(|line| line.find('/').map(|at| &line[at..]))
        .collect();
    files.sort_unstable();
    files.dedup();
    let of = |path: &str| {
        segments(&mapped.header(path)?, |segments| {
            let own = segments
                .iter()
                .find(|segment| segment.p_type(LittleEndian) == OWN_VARIABLES)?;
            let (size, align) = (own.p_memsz(LittleEndian), own.p_align(LittleEndian));
            Some(size.saturating_add(align).min(1 << 30))
        })
    };
    (files.into_iter().filter_map(of)).fold(0, u64::saturating_add)
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
