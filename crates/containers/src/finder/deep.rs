//! What the values of maps hold elsewhere: blocks that words of their elements lead to, and what leads
//! on from there.
//!
//! A word is followed when it is the address at which a block in use begins ([`Blocks`]), up to
//! [`STEPS`] blocks from the element. A block that several elements of a map lead to counts once; one
//! that several maps lead to is shared. Maps within maps are not followed: each stands for itself.
//!
//! Of a large map a part is followed. Which, the address of the block decides, the same way for all
//! maps: so a block that two maps share is followed from both or from none. Of containers of nodes it
//! is some of the nodes instead.

use std::collections::{HashMap, HashSet};

use mapgrow_system::memory::Memory;

use super::blocks::Blocks;
use super::elements::{Nodes, Slots, headers, picked};
use super::reach::Root;
use super::{Finding, Found, Region, Searched, words};

/// Blocks followed from an element, one behind the other.
pub const STEPS: usize = 4;
/// Words of a map's elements that are looked at as addresses, and of all maps.
const PER_MAP: u64 = 1 << 17;
const ALL_MAPS: u64 = 1 << 20;
/// Blocks remembered: then it is enough.
const MOST_BLOCKS: usize = 1 << 20;
/// Bytes of a block read at once.
const CHUNK: u64 = 32 << 10;
/// Nobody's, and of several maps.
const NOBODY: u32 = u32::MAX;
const SHARED: u32 = u32::MAX - 1;

/// What the values of a map hold beyond its table.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Deep {
    /// Bytes of blocks that lead from this map alone, of those that were followed: as many as can be
    /// used of each.
    pub bytes: u64,
    /// Standard error of that.
    pub error_bytes: u64,
    /// Bytes of blocks that other maps lead to as well, and its standard error.
    pub shared_bytes: u64,
    /// Standard error of that.
    pub shared_error_bytes: u64,
    /// Whether all elements were followed.
    pub complete: bool,
}

/// What the values of each of `finding.tables` hold; `None` where blocks are not known, or where it
/// was too much. `regions` and `roots` are sorted; blocks do not lie in roots.
#[must_use]
pub fn deep(
    memory: &dyn Searched,
    regions: &[Region],
    finding: &Finding,
    roots: &[Root],
) -> Vec<Option<Deep>> {
    let regions = words::joined(regions);
    let mut walk = Walk {
        blocks: Blocks::new(memory, &regions, roots, &finding.extents),
        tables: finding
            .tables
            .iter()
            .filter_map(|found| found.block)
            .collect(),
        nodes: HashMap::new(),
        headers: headers(finding),
        ids: HashMap::new(),
        list: Vec::new(),
    };
    let share = share(finding);
    // What holds most first, lest it be too much for all of them.
    let mut order: Vec<usize> = (0..finding.tables.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(finding.tables.get(at).map(|found| found.bytes)));
    for &at in &order {
        walk.follow_nodes(finding.tables.get(at));
    }
    let mut plans = Vec::new();
    for at in order {
        let Some(found) = finding.tables.get(at) else {
            continue;
        };
        let Some(plan) = walk.begin(found, share) else {
            continue;
        };
        let own = plans.len() as u32;
        walk.go(&plan.starts, own * 2, &mut |walk, _, block| {
            walk.claim(block, own)
        });
        if walk.gave_up() {
            break;
        }
        plans.push((at, plan));
    }
    for (own, (at, plan)) in (0..).zip(&plans) {
        if let Some(found) = finding.tables.get(*at).filter(|_| plan.part < 1.0) {
            walk.meet_others(found, plan, own);
        }
    }
    let mut deep = vec![None; finding.tables.len()];
    for (own, (at, plan)) in (0..).zip(&plans) {
        if let Some(deep) = deep.get_mut(*at) {
            *deep = Some(walk.sum(plan, own));
        }
    }
    deep
}

/// How much of what all maps hold can be followed.
fn share(finding: &Finding) -> f64 {
    let words = |found: &Found| {
        let each = Slots::of(found).map_or(1, |slots| slots.words());
        found
            .occupancy
            .entries
            .value
            .saturating_mul(each)
            .min(PER_MAP)
    };
    let all = finding
        .tables
        .iter()
        .map(words)
        .fold(0, u64::saturating_add);
    (ALL_MAPS as f64 / all.max(1) as f64).min(1.0)
}

/// A block that was met.
struct Block {
    start: u64,
    end: u64,
    /// The map that leads to it.
    owner: u32,
    /// The walk that was here last.
    seen: u32,
    /// What it leads to, once somebody asked.
    next: Option<Box<[u32]>>,
}

/// What is followed of a map.
struct Plan {
    /// The share of its blocks, or nodes.
    part: f64,
    /// Blocks that its elements lead to, each with what it is sampled with.
    starts: Vec<(u64, u32)>,
}

struct Walk<'a> {
    blocks: Blocks<'a>,
    /// Blocks of the tables themselves, and of nodes.
    tables: HashSet<u64>,
    /// The nodes of each container that has some, by its header.
    nodes: HashMap<u64, (Nodes, Vec<(u64, u64)>)>,
    headers: Vec<(u64, u64)>,
    ids: HashMap<u64, u32>,
    list: Vec<Block>,
}

impl Walk<'_> {
    /// Notes where the nodes of a container are: they are its own, and what still names them in memory
    /// that is used anew leads to no value.
    fn follow_nodes(&mut self, found: Option<&Found>) {
        let Some(found) = found.filter(|found| found.family.has_nodes()) else {
            return;
        };
        let most = MOST_BLOCKS.saturating_sub(self.tables.len()) as u64;
        let mut nodes = Vec::new();
        let followed = Nodes::follow(&self.blocks, found, most.max(PER_MAP), &mut |start, end| {
            nodes.push((start, end));
        });
        if let Some(followed) = followed.filter(|_| nodes.len() <= MOST_BLOCKS) {
            nodes.sort_unstable();
            self.tables.extend(nodes.iter().map(|&(start, _)| start));
            self.nodes.insert(found.header, (followed, nodes));
        }
    }

    fn gave_up(&self) -> bool {
        self.blocks.view.gave_up() || self.list.len() >= MOST_BLOCKS
    }

    /// The block in use that begins at an address, if one does.
    fn block(&mut self, address: u64) -> Option<u32> {
        if !address.is_multiple_of(8) || self.blocks.region(address).is_none() {
            return None;
        }
        if let Some(&known) = self.ids.get(&address) {
            return Some(known);
        }
        if self.tables.contains(&address) || self.list.len() >= MOST_BLOCKS {
            return None;
        }
        let end = self.blocks.end_of(address)?;
        let id = self.list.len() as u32;
        self.ids.insert(address, id);
        self.list.push(Block {
            start: address,
            end,
            owner: NOBODY,
            seen: NOBODY,
            next: None,
        });
        Some(id)
    }

    /// Whether a place lies in the header of a container.
    fn in_header(&self, place: u64) -> bool {
        let after = self.headers.partition_point(|&(start, _)| start <= place);
        let header = after.checked_sub(1).and_then(|at| self.headers.get(at));
        header.is_some_and(|&(_, end)| place < end)
    }

    /// The blocks that the elements of a map lead to, or a part of them.
    fn begin(&mut self, found: &Found, share: f64) -> Option<Plan> {
        // Where the allocator does not know the table it knows nothing else.
        let table = found.block?;
        self.blocks.end_of(table)?;
        if let Some(slots) = Slots::of(found) {
            let (entries, each) = (found.occupancy.entries.value, slots.words());
            let all = entries.saturating_mul(each).max(1);
            let part = share.min(PER_MAP as f64 / all as f64).min(1.0);
            let mut only_numbers = each == 1;
            let mut wanted = Vec::new();
            slots.each_word(&self.blocks.view, &mut |place, word| {
                only_numbers &= word < entries;
                if word >= 4096 && picked(word, part) {
                    wanted.push((place, word));
                }
            })?;
            // Those of an index into something else, or nothing but small numbers.
            if only_numbers && entries > 0 {
                return None;
            }
            wanted.retain(|&(place, _)| !self.in_header(place));
            return Some(self.plan(part, wanted.into_iter().map(|(_, word)| (word, word))));
        }
        let (followed, nodes) = self.nodes.remove(&found.header)?;
        let entries = found.occupancy.entries.value.max(1);
        let most = PER_MAP as f64 * share / entries as f64;
        let (part, of_all) = match followed.all {
            true => (most.min(1.0), most),
            false => (followed.followed as f64 / entries as f64, 1.0),
        };
        let (mut wanted, mut last) = (Vec::new(), Vec::new());
        // A block that has more than others was not asked for with more.
        let sizes = nodes.iter().map(|&(start, end)| end.saturating_sub(start));
        let size = sizes.min().unwrap_or(0).max(16);
        for &(start, _) in nodes.iter().filter(|&&(start, _)| picked(start, of_all)) {
            // The first word is the next node.
            let words = self.words(start + 8, start + size - 8);
            wanted.extend(words.into_iter().map(|(_, word)| (start, word)));
            last.push((start, self.blocks.view.word(start + size - 8)?));
        }
        // The last word may be room beyond what was asked for, with whatever was there before: it is
        // followed where it names a block in every node.
        if last.iter().all(|&(_, word)| self.block(word).is_some()) {
            wanted.append(&mut last);
        }
        Some(self.plan(part, wanted))
    }

    /// What follows of words, each with what it is sampled with.
    fn plan(&mut self, part: f64, wanted: impl IntoIterator<Item = (u64, u64)>) -> Plan {
        let mut wanted: Vec<(u64, u64)> = wanted.into_iter().collect();
        // What lies side by side is read at once.
        wanted.sort_unstable_by_key(|&(_, word)| word);
        let blocks = wanted.into_iter();
        let blocks = blocks.filter_map(|(unit, word)| Some((unit, self.block(word)?)));
        let mut starts: Vec<(u64, u32)> = blocks.collect();
        starts.sort_unstable();
        starts.dedup();
        Plan { part, starts }
    }

    /// What may be addresses between two places, each with its own place.
    fn words(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut words = Vec::new();
        let mut parts = Vec::new();
        match end - start > CHUNK {
            // Pages that were never touched hold none.
            true => (self.blocks.view.searched()).parts(start, end, &mut |from, to| {
                parts.push((from.next_multiple_of(8), to));
            }),
            false => parts.push((start, end)),
        }
        let mut bytes = Vec::new();
        for (from, to) in parts {
            for at in (from..to).step_by(CHUNK as usize) {
                bytes.resize((to.min(at + CHUNK) - at) as usize / 8 * 8, 0);
                if !self.blocks.view.read(at, &mut bytes) {
                    continue;
                }
                for (word, place) in bytes.as_chunks::<8>().0.iter().zip((at..).step_by(8)) {
                    let word = u64::from_le_bytes(*word);
                    let likely = word.is_multiple_of(8) && self.blocks.region(word).is_some();
                    if likely && !self.in_header(place) {
                        words.push((place, word));
                    }
                }
            }
        }
        words
    }

    /// Visits all that `starts` lead to, each once, with the start that led to it.
    fn go(
        &mut self,
        starts: &[(u64, u32)],
        stamp: u32,
        each: &mut dyn FnMut(&mut Self, usize, u32),
    ) {
        // Whoever comes by a second time meets nothing new.
        let bounded = stamp.is_multiple_of(2);
        let mut now = Vec::new();
        for (index, &(_, start)) in starts.iter().enumerate() {
            now.push((start, 1));
            while let Some((id, steps)) = now.pop() {
                if bounded && (self.gave_up() || !self.blocks.view.affords(8)) {
                    return;
                }
                let Some(block) = self.list.get_mut(id as usize) else {
                    continue;
                };
                if block.seen == stamp {
                    continue;
                }
                block.seen = stamp;
                each(self, index, id);
                if steps < STEPS {
                    now.extend(self.next(id).iter().map(|&next| (next, steps + 1)));
                }
            }
        }
    }

    /// What a block leads to.
    fn next(&mut self, id: u32) -> Box<[u32]> {
        let Some(block) = self.list.get(id as usize) else {
            return Box::default();
        };
        if let Some(next) = &block.next {
            return next.clone();
        }
        let (start, end) = (block.start, block.end);
        let words = self.words(start, end);
        let next: Box<[u32]> = words
            .into_iter()
            .filter_map(|(_, word)| self.block(word))
            .collect();
        if let Some(block) = self.list.get_mut(id as usize) {
            block.next = Some(next.clone());
        }
        next
    }

    /// Notes that a map leads to a block.
    fn claim(&mut self, block: u32, own: u32) {
        if let Some(block) = self.list.get_mut(block as usize) {
            block.owner = match block.owner {
                NOBODY => own,
                owner if owner == own => own,
                _ => SHARED,
            };
        }
    }

    /// What a map leads to that chance did not pick of it may have been met from others.
    fn meet_others(&mut self, found: &Found, plan: &Plan, own: u32) {
        let Some(slots) = Slots::of(found) else {
            return;
        };
        let mut met = Vec::new();
        let ids = &self.ids;
        let read = slots.each_word(&self.blocks.view, &mut |_, word| {
            if let Some(&id) = ids.get(&word)
                && !picked(word, plan.part)
            {
                met.push((word, id));
            }
        });
        if read.is_some() {
            self.go(&met, own * 2, &mut |walk, _, block| walk.claim(block, own));
        }
    }

    fn sum(&mut self, plan: &Plan, own: u32) -> Deep {
        let mut sums = [Sum::default(), Sum::default()];
        self.go(&plan.starts, own * 2 + 1, &mut |walk, start, block| {
            let Some(block) = walk.list.get(block as usize) else {
                return;
            };
            let unit = plan.starts.get(start).map_or(0, |&(unit, _)| unit);
            if let Some(sum) = sums.get_mut(usize::from(block.owner == SHARED)) {
                sum.add(unit, block.end - block.start);
            }
        });
        let [(bytes, error_bytes), (shared_bytes, shared_error_bytes)] =
            sums.map(|sum| sum.of_all(plan.part));
        Deep {
            bytes,
            error_bytes,
            shared_bytes,
            shared_error_bytes,
            complete: plan.part >= 1.0,
        }
    }
}

/// A sum over what was picked by chance.
#[derive(Debug, Default)]
struct Sum {
    /// What of it belongs together, and how much that is.
    unit: Option<u64>,
    of_unit: f64,
    all: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, unit: u64, bytes: u64) {
        if self.unit.replace(unit) != Some(unit) {
            self.squares += self.of_unit * self.of_unit;
            self.of_unit = 0.0;
        }
        self.of_unit += bytes as f64;
        self.all += bytes as f64;
    }

    /// The sum over everything and its standard error, where `part` of all was picked.
    fn of_all(self, part: f64) -> (u64, u64) {
        let squares = self.squares + self.of_unit * self.of_unit;
        let error = ((1.0 - part).max(0.0) * squares).sqrt() / part;
        ((self.all / part).round() as u64, error.ceil() as u64)
    }
}
