//! Go's maps since 1.24.
//!
//! The header is the number of entries, a random seed, where the directory lies, its length, and
//! two small numbers: the directory has `2^depth` places, and the hash is shifted by
//! `64 - depth`. Its places lead to tables, which say how many entries, slots and free slots they
//! have, and where their groups lie. A group is eight control bytes and eight slots. All entries
//! of the tables are those of the map; those of each table and its tombstones are what its control
//! bytes say.
//!
//! A small map has no directory: the word leads to its only group.
//!
//! No header tells how large a group is. It is the one distance from group to group at which all
//! control bytes are control bytes, and as many as they should be.

use mapgrow_system::memory::Memory;

use super::words::WORDS;
use super::{Figures, Found, FoundFamily, Search};

/// Slots of a group.
const SLOTS: u64 = 8;
/// Most slots of a table.
const LARGEST: u64 = 1024;
/// Most bytes of a slot: larger keys and values are kept elsewhere.
const WIDEST: u64 = 256;
/// Control bytes.
const EMPTY: u8 = 0x80;
const DELETED: u8 = 0xFE;
/// Tables of a map whose groups are looked at.
const LOOKED_AT: usize = 8;
/// Directories are no larger.
const DEEPEST: u64 = 30;
/// Times that a candidate is looked at.
const ATTEMPTS: usize = 4;
/// A seed is random: a smaller one is something else.
const LEAST_SEED: u64 = 1 << 40;

/// Words that may be a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    used: u64,
    directory: u64,
    length: u64,
    depth: u64,
}

impl Candidate {
    /// What the words are, if they can be a map.
    #[inline]
    pub(super) fn of(words: &[u64; WORDS]) -> Option<Self> {
        let [used, seed, directory, length, numbers, ..] = *words;
        let (depth, shift) = (numbers & 0xFF, numbers >> 8 & 0xFF);
        // Whether somebody writes, and whether there may be tombstones.
        if numbers >> 32 != 0 || numbers & 0xFEFE_0000 != 0 || seed < LEAST_SEED {
            return None;
        }
        let small = length == 0 && depth == 0 && shift == 0 && (1..=SLOTS).contains(&used);
        let large = depth < DEEPEST && shift == 64 - depth && length == 1 << depth;
        let sound = (small || large)
            && used < 1 << 40
            && directory.is_multiple_of(8)
            && (4096..1 << 47).contains(&directory);
        sound.then_some(Self {
            used,
            directory,
            length,
            depth,
        })
    }
}

/// One table of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Table {
    used: u64,
    capacity: u64,
    growth_left: u64,
    groups: u64,
}

/// Entries that a table takes before it grows or splits.
fn room(capacity: u64) -> u64 {
    if capacity <= SLOTS {
        capacity - 1
    } else {
        capacity / 8 * 7
    }
}

impl Table {
    fn read(search: &Search<'_>, address: u64, index: u64, depth: u64) -> Option<Self> {
        let [counts, own_index, groups, mask] = search.view.words(address)?;
        let (used, capacity) = (counts & 0xFFFF, counts >> 16 & 0xFFFF);
        let (growth_left, local) = (counts >> 32 & 0xFFFF, counts >> 48 & 0xFF);
        let sound = (SLOTS..=LARGEST).contains(&capacity)
            && capacity.is_power_of_two()
            && mask == capacity / SLOTS - 1
            && used + growth_left <= room(capacity)
            && local <= depth
            && own_index == index
            && groups.is_multiple_of(8);
        search.region(groups, capacity / SLOTS * 8)?;
        sound.then_some(Self {
            used,
            capacity,
            growth_left,
            groups,
        })
    }

    fn tombstones(&self) -> u64 {
        room(self.capacity) - self.used - self.growth_left
    }

    /// Whether the control bytes agree when groups have `stride` bytes.
    fn agrees(&self, search: &Search<'_>, stride: u64) -> bool {
        let (mut full, mut deleted) = (0, 0);
        for group in 0..self.capacity / SLOTS {
            let place = self.groups + group * stride;
            let mut control = [0; SLOTS as usize];
            if search.region(place, stride).is_none() || !search.view.read(place, &mut control) {
                return false;
            }
            for byte in control {
                match byte {
                    EMPTY => {}
                    DELETED => deleted += 1,
                    0..EMPTY => full += 1,
                    _ => return false,
                }
            }
        }
        full == self.used && deleted == self.tombstones()
    }
}

/// What a map holds.
struct Contents {
    figures: Figures,
    /// Bytes of a group, where they are known.
    stride: Option<u64>,
    /// Where its only block lies, if it has one.
    block: Option<u64>,
}

/// Finds out whether the candidate at `header` is a map, and adds it if so.
pub(super) fn prove(search: &mut Search<'_>, header: u64, candidate: Candidate) {
    let known = |search: &Search<'_>, candidate: &Candidate| {
        (search.region(candidate.directory, candidate.length.max(1) * 8)).is_none()
            || search.seen.contains_key(&candidate.directory)
    };
    if known(search, &candidate) {
        return;
    }
    if candidate.length == 0 {
        if let Some(contents) = small(search, &candidate) {
            settle(search, header, &candidate, contents);
        }
        return;
    }
    match tables(search, &candidate) {
        None => {}
        Some(tables) if adds_up(&candidate, &tables) => {
            if let Some(contents) = large(search, &tables) {
                settle(search, header, &candidate, contents);
            }
        }
        Some(_) => search.anew(|search| again_and_again(search, header, candidate)),
    }
}

fn adds_up(candidate: &Candidate, tables: &[Table]) -> bool {
    tables.iter().map(|table| table.used).sum::<u64>() == candidate.used
}

fn again_and_again(search: &mut Search<'_>, header: u64, mut now: Candidate) {
    let mut changed = false;
    for _ in 0..ATTEMPTS {
        let tables = tables(search, &now);
        let Some(after) = (search.view.words(header)).and_then(|words| Candidate::of(&words))
        else {
            break;
        };
        if after == now
            && let Some(tables) = tables.filter(|tables| adds_up(&now, tables))
        {
            // The groups may have changed since: what they do not tell stays unknown.
            if let Some(contents) = large(search, &tables) {
                settle(search, header, &now, contents);
            }
            return;
        }
        if after == now && !changed {
            return;
        }
        changed |= after != now;
        now = after;
    }
    search.finding.changed_while_read += u64::from(changed);
}

/// The tables of a map, each once; `None` when the directory leads to something else.
fn tables(search: &Search<'_>, candidate: &Candidate) -> Option<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    let (mut last, mut at) = (0, 0);
    while at < candidate.length {
        let place = search.view.word(candidate.directory + at * 8)?;
        if place != last {
            tables.push(Table::read(search, place, at, candidate.depth)?);
            last = place;
        }
        at += 1;
    }
    Some(tables)
}

/// What the only group of a small map holds.
fn small(search: &Search<'_>, candidate: &Candidate) -> Option<Contents> {
    let mut control = [0; SLOTS as usize];
    if !search.view.read(candidate.directory, &mut control) {
        return None;
    }
    let full = control.iter().filter(|&&byte| byte < EMPTY).count() as u64;
    let empty = control.iter().filter(|&&byte| byte == EMPTY).count() as u64;
    (full == candidate.used && full + empty == SLOTS).then_some(Contents {
        figures: Figures {
            buckets: SLOTS,
            entries: full,
            tombstones: 0,
            capacity: SLOTS,
            growth_left: empty,
        },
        stride: None,
        block: Some(candidate.directory),
    })
}

/// What the tables of a map hold; `None` when no distance between groups agrees with them.
fn large(search: &Search<'_>, tables: &[Table]) -> Option<Contents> {
    // Of a single group nothing tells where the next would be.
    let told: Vec<&Table> = (tables.iter())
        .filter(|table| table.capacity > SLOTS)
        .take(LOOKED_AT)
        .collect();
    let mut stride = None;
    for size in 0..=WIDEST {
        let next = (size + 1) * SLOTS;
        if told.iter().all(|table| table.agrees(search, next)) && stride.replace(next).is_some() {
            // Several agree.
            stride = None;
            break;
        }
        if size == WIDEST && stride.is_none() {
            return None;
        }
    }
    let sum = |of: fn(&Table) -> u64| tables.iter().map(of).sum::<u64>();
    Some(Contents {
        figures: Figures {
            buckets: sum(|table| table.capacity),
            entries: sum(|table| table.used),
            tombstones: sum(Table::tombstones),
            capacity: sum(|table| room(table.capacity)),
            growth_left: sum(|table| table.growth_left),
        },
        stride: stride.filter(|_| !told.is_empty()),
        block: match tables {
            [only] => Some(only.groups),
            _ => None,
        },
    })
}

fn settle(search: &mut Search<'_>, header: u64, candidate: &Candidate, contents: Contents) {
    let figures = contents.figures;
    let table = candidate.directory;
    let mut found = Found::of(FoundFamily::GoSwissMap, header, table, figures);
    found.block = contents.block;
    // One word of control bytes may be anything, and so may those of an empty map.
    found.doubtful = candidate.length == 0 || candidate.used == 0;
    if let Some(stride) = contents.stride {
        found.bytes = Some(figures.buckets / SLOTS * stride);
        found.occupancy.element_bytes = Some((stride - SLOTS) / SLOTS);
    }
    search.add(found);
}
