//! Whose a table is: from what a program names (its statics) and from its stacks, pointers are
//! followed from block to block until one holds the table's header.
//!
//! A word is followed when it is the address at which a block begins that its allocator says is in
//! use: glibc and musl by their words around the block, jemalloc by its records. Other allocators tell no
//! blocks; there only headers in statics and on stacks themselves are known. The shortest way
//! counts, and a static before a stack. Where copies of a header leave several owners possible,
//! it is nobody's.

use std::collections::{HashMap, HashSet};

use super::blocks::Blocks;
use super::{Finding, Region, Searched};

/// Pointers followed from a static, and from a stack, at most.
const STEPS: usize = 4;
const STEPS_FROM_STACK: usize = 2;
/// Blocks remembered, and bytes of them that are read: then it is enough.
const MOST_BLOCKS: usize = 1 << 19;
const MOST_BYTES: u64 = 512 << 20;
/// Bytes read at once.
const CHUNK: usize = 32 << 10;
const PAGE: u64 = 4096;

/// Memory from which pointers are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Whether it is a stack: what lies there may be left over from earlier.
    pub stack: bool,
}

/// How a table's header is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Which root.
    pub root: usize,
    /// Where in it the header lies, or the first pointer on the way.
    pub at: u64,
    /// Bytes of the blocks on the way, as far as their allocator tells; the last of them holds the
    /// header.
    pub blocks: Vec<u64>,
    /// Whether the root holds the header itself.
    pub within: bool,
}

/// A block on some way.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: u64,
    end: u64,
    root: usize,
    at: u64,
    /// The block that leads to it, or itself.
    from: usize,
    steps: usize,
}

struct Walk<'a> {
    within: Blocks<'a>,
    roots: &'a [Root],
    blocks: Vec<Block>,
    known: HashSet<u64>,
    /// Blocks of tables that were found, by what their headers lead to: maps may hold maps.
    tables: HashMap<u64, (u64, u64)>,
    /// Headers, sorted, with the block or root that each was met in.
    headers: Vec<(u64, Option<Met>)>,
    read: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    Root(usize),
    Block(usize),
}

/// Whose the tables found are, as far as it can be told: one for each of `finding.tables`.
/// `regions` and `roots` are sorted.
#[must_use]
pub fn reach(
    memory: &dyn Searched,
    regions: &[Region],
    finding: &Finding,
    roots: &[Root],
) -> Vec<Option<Reach>> {
    let regions = super::words::joined(regions);
    let mut headers: Vec<(u64, Option<Met>)> = (finding.tables.iter())
        .flat_map(|found| found.copies.iter().chain([&found.header]))
        .map(|&header| (header, None))
        .collect();
    headers.sort_unstable_by_key(|&(header, _)| header);
    headers.dedup_by_key(|&mut (header, _)| header);
    let mut walk = Walk {
        within: Blocks::new(memory, &regions, roots, &finding.extents),
        roots,
        blocks: Vec::new(),
        known: HashSet::new(),
        tables: (finding.tables.iter())
            .filter_map(|found| {
                let start = found.block?;
                Some((found.table, (start, start.checked_add(found.bytes?)?)))
            })
            .collect(),
        headers,
        read: 0,
    };
    for (index, root) in roots.iter().enumerate() {
        walk.meet(root.start, root.end, Met::Root(index));
    }
    for stacks in [false, true] {
        walk.follow(stacks);
    }
    // What was not followed might have led there, too.
    if walk.within.view.gave_up() {
        return vec![None; finding.tables.len()];
    }
    (finding.tables.iter())
        .map(|found| walk.owner(found.header, &found.copies))
        .collect()
}

impl Walk<'_> {
    /// Notes what headers lie between two addresses.
    fn meet(&mut self, start: u64, end: u64, met: Met) {
        let first = self.headers.partition_point(|&(header, _)| header < start);
        for (header, place) in self.headers.iter_mut().skip(first) {
            if *header >= end {
                break;
            }
            place.get_or_insert(met);
        }
    }

    /// Follows the pointers of all statics, or all stacks, step by step.
    fn follow(&mut self, stacks: bool) {
        let mut next = self.blocks.len();
        for (index, root) in self.roots.iter().enumerate() {
            if root.stack == stacks {
                self.scan(root.start, root.end, &|at| Block {
                    start: 0,
                    end: 0,
                    root: index,
                    at,
                    from: usize::MAX,
                    steps: 1,
                });
            }
        }
        let steps = if stacks { STEPS_FROM_STACK } else { STEPS };
        while let Some(&block) = self.blocks.get(next) {
            if block.steps < steps {
                self.scan(block.start, block.end, &|_| Block {
                    from: next,
                    steps: block.steps + 1,
                    ..block
                });
            }
            next += 1;
        }
    }

    /// Looks for pointers to blocks; `of` says how each was come by. Pages that were never touched
    /// hold none, and to read them would have the process have them.
    fn scan(&mut self, start: u64, end: u64, of: &dyn Fn(u64) -> Block) {
        let mut parts = Vec::new();
        (self.within.view.searched()).parts(start, end, &mut |from, to| parts.push((from, to)));
        for (from, to) in parts {
            self.scan_part(from, to, of);
        }
    }

    fn scan_part(&mut self, start: u64, end: u64, of: &dyn Fn(u64) -> Block) {
        let mut bytes = [0; CHUNK];
        let mut at = start.next_multiple_of(8);
        while at + 8 <= end && self.read < MOST_BYTES && self.blocks.len() < MOST_BLOCKS {
            let length = (end - at).min(CHUNK as u64 - at % PAGE) as usize / 8 * 8;
            let Some(piece) = bytes.get_mut(..length) else {
                return;
            };
            self.read += length as u64;
            if self.within.view.searched().read(at, piece) {
                for (index, word) in piece.as_chunks::<8>().0.iter().enumerate() {
                    let pointer = u64::from_le_bytes(*word);
                    self.take(pointer, at + index as u64 * 8, of);
                }
            }
            at += length as u64;
        }
    }

    fn take(&mut self, pointer: u64, at: u64, of: &dyn Fn(u64) -> Block) {
        if !pointer.is_multiple_of(8) || self.within.region(pointer).is_none() {
            return;
        }
        if self.known.contains(&pointer) || self.blocks.len() >= MOST_BLOCKS {
            return;
        }
        // A static that leads to the header itself needs no allocator to say so.
        let headed = |walk: &Self| {
            let named = of(at);
            let stack = walk.roots.get(named.root).is_none_or(|root| root.stack);
            let header = walk
                .headers
                .binary_search_by_key(&pointer, |&(header, _)| header);
            (!stack && header.is_ok()).then_some((pointer, pointer + 1))
        };
        let Some((start, end)) = (self.tables.get(&pointer).copied())
            .or_else(|| Some((pointer, self.within.end_of(pointer)?)))
            .or_else(|| headed(self))
        else {
            return;
        };
        self.known.insert(pointer);
        self.blocks.push(Block {
            start,
            end,
            ..of(at)
        });
        self.meet(start, end, Met::Block(self.blocks.len() - 1));
    }

    /// The owner of a table with these headers.
    fn owner(&self, header: u64, copies: &[u64]) -> Option<Reach> {
        let mut owner = None;
        let (mut elsewhere, mut known) = (0, 0);
        let mut on_stack = None;
        for header in copies.iter().copied().chain([header]) {
            let at = self
                .headers
                .binary_search_by_key(&header, |&(header, _)| header)
                .ok()?;
            let met = self.headers.get(at)?.1;
            if let Some(Met::Root(root)) = met
                && self.roots.get(root)?.stack
            {
                on_stack = Some((root, header, on_stack.is_some()));
                continue;
            }
            elsewhere += 1;
            let Some(met) = met else { continue };
            known += 1;
            owner = Some((met, header));
        }
        // A copy elsewhere that nobody leads to may be the one that counts.
        match (elsewhere, known) {
            (0, _) => {
                let (root, at, several) = on_stack?;
                (!several).then_some(Reach {
                    root,
                    at,
                    blocks: Vec::new(),
                    within: true,
                })
            }
            (1, 1) => {
                let (met, header) = owner?;
                self.way(met, header)
            }
            _ => None,
        }
    }

    fn way(&self, met: Met, header: u64) -> Option<Reach> {
        let mut index = match met {
            Met::Root(root) => {
                return Some(Reach {
                    root,
                    at: header,
                    blocks: Vec::new(),
                    within: true,
                });
            }
            Met::Block(index) => index,
        };
        let mut blocks = Vec::new();
        loop {
            let block = self.blocks.get(index)?;
            if block.end > block.start + 1 {
                blocks.push(block.end - block.start);
            }
            if block.from == usize::MAX {
                blocks.reverse();
                return Some(Reach {
                    root: block.root,
                    at: block.at,
                    blocks,
                    within: false,
                });
            }
            index = block.from;
        }
    }
}
