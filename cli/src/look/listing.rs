//! The memory of a core as `/proc/PID/maps` would list it.

use std::collections::HashSet;

use mapgrow_containers::finder::Region;

use super::corefile::{READ, Segment, WRITE};
use super::memory::control_block;
use super::notes::Notes;
use mapgrow_system::memory::Memory;

/// As long as the list of any process that there is.
const MOST: usize = 32 << 20;
const PAGE: u64 = 4096;

/// The lines of such a list. `segments` are sorted, and `memory` has them.
pub fn listed(memory: &dyn Memory, segments: &[Segment], notes: &Notes) -> String {
    let guarded = guarded(memory, segments, notes);
    let first = first_stack(segments, notes).filter(|start| !guarded.contains(start));
    let mut maps = String::new();
    for segment in segments {
        if maps.len() > MOST {
            break;
        }
        let (start, end) = (segment.start, segment.start + segment.length);
        let can = |flag: u32, letter: char| match segment.flags & flag {
            0 => '-',
            _ => letter,
        };
        let (read, write, run) = (can(READ, 'r'), can(WRITE, 'w'), can(1, 'x'));
        let shared = match notes.is_shared(start) {
            true => 's',
            false => 'p',
        };
        let file = notes.file_at(start);
        let offset = file.map_or(0, |(offset, _)| offset);
        let name = match file {
            Some((_, name)) => name,
            None if first == Some(start) => "[stack]",
            None => "",
        };
        // What guards a stack is not in every core, or as if it could be read.
        if guarded.contains(&start) {
            let below = start.saturating_sub(PAGE);
            maps += &format!("{below:x}-{start:x} ---p 00000000 00:00 0\n");
        }
        let line =
            format!("{start:x}-{end:x} {read}{write}{run}{shared} {offset:08x} 00:00 0 {name}");
        maps += line.trim_end();
        maps.push('\n');
    }
    maps
}

/// Where stacks of threads begin, but for the first one: each ends with its thread's control block.
fn guarded(memory: &dyn Memory, segments: &[Segment], notes: &Notes) -> HashSet<u64> {
    let of = |pointer: u64| {
        let after = segments.partition_point(|segment| segment.start <= pointer);
        let segment = segments.get(after.checked_sub(1)?)?;
        let end = segment.start + segment.there;
        let writable = segment.flags & WRITE != 0 && pointer < end;
        writable.then_some((segment.start, end))
    };
    let stacks: HashSet<(u64, u64)> = notes.stacks().into_iter().filter_map(of).collect();
    let is_one =
        |&(start, end): &(u64, u64)| control_block(memory, &Region { start, end }).is_some();
    (stacks.into_iter().filter(is_one))
        .map(|(start, _)| start)
        .collect()
}

/// Where the stack of the first thread begins: it is the last that can be written to, and that thread is
/// on it.
fn first_stack(segments: &[Segment], notes: &Notes) -> Option<u64> {
    let last = segments
        .iter()
        .rfind(|segment| segment.flags & WRITE != 0)?;
    let within = |pointer: u64| (last.start..last.start + last.length).contains(&pointer);
    let of_first = |&(id, pointer): &(u32, u64)| Some(id) == notes.pid && within(pointer);
    notes.threads().iter().any(of_first).then_some(last.start)
}
