//! The block that a table lies in, as its allocator describes it.
//!
//! glibc keeps the size of a block in the word before it, and three flags in its low bits. The
//! end of a hashbrown table is known from its header, and where it begins follows from the size
//! of an element: that size is right for which the word before says what the block would have.
//! The block behind says whether this one is in use.

use super::{Search, Searched, word};
use crate::occupancy::Block;
use mapgrow_system::memory::MANY;

/// Sizes of the data part that are tried: up to elements of so many bytes, with 16 buckets or
/// more.
const TRIED: u64 = 1 + 1024;
/// Sizes tried first: nearly all elements are no larger.
const USUAL: u64 = 64;
/// Flags in a size.
const IN_USE_BEFORE: u64 = 1;
const MAPPED: u64 = 2;
const FLAGS: u64 = 7;
/// Smallest block with its header, and what sizes are multiples of.
const LEAST: u64 = 32;
const UNIT: u64 = 16;
const PAGE: u64 = 4096;

/// A table's block.
#[derive(Debug, Clone, Copy)]
pub(super) struct InBlock {
    /// Where it begins.
    pub address: u64,
    /// As the container asked for it.
    pub block: Block,
    /// Bytes of an element: padding may hide which of several it is.
    pub elements: (u64, u64),
}

impl InBlock {
    /// What all sizes that an element can have agree on.
    pub fn agreed(&self, of: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let (least, most) = self.elements;
        let first = of(least)?;
        (least + 1..=most)
            .all(|element| of(element) == Some(first))
            .then_some(first)
    }
}

/// What the allocator says of a table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// It is in use.
    Live(InBlock),
    /// It was freed.
    Free,
    /// It was in use once, and what lies behind it is no block: the end of the heap was moved
    /// over it. Unless this allocator is not glibc's.
    Swallowed,
    /// It says nothing, or nothing certain.
    Unknown,
}

/// What is said of the table with `buckets` buckets whose control bytes begin at `control`.
pub(super) fn before<M: Searched>(search: &Search<'_, M>, control: u64, buckets: u64) -> Verdict {
    sizes(search, control, buckets).unwrap_or(Verdict::Unknown)
}

fn sizes<M: Searched>(search: &Search<'_, M>, control: u64, buckets: u64) -> Option<Verdict> {
    let region = search.region(control, 1)?;
    let step = buckets.max(UNIT);
    let tail = buckets + search.group;
    let room = (control - region.start).checked_sub(8)? / step;
    let mut found = None;
    // What was never written in a table holds what was there before, words of free blocks too: a
    // block of the table's own says more.
    let mut within_free = false;
    for (from, to) in [(0, USUAL), (USUAL, MANY as u64), (MANY as u64, TRIED)] {
        let places: Vec<u64> = (from..to.min(room + 1))
            .map(|index| control - index * step - 8)
            .collect();
        let mut words = vec![0; places.len() * 8];
        if places.is_empty() || !search.memory.read_many(&places, 8, &mut words) {
            break;
        }
        for (index, &place) in places.iter().enumerate() {
            let size = word(&words, index * 8)?;
            let data = control - place - 8;
            if !is_size(size, data + tail, place) {
                within_free |= is_within_free(search, place, size, data + tail, region.end);
                continue;
            }
            let Some(possible) = shape(data, buckets, search.group) else {
                continue;
            };
            // Two sizes are possible: which one nobody knows.
            if found.replace((place, size, possible)).is_some() {
                return None;
            }
        }
    }
    if found.is_none() && within_free {
        return Some(Verdict::Free);
    }
    let (place, size, (block, elements)) = found?;
    if size & MAPPED == 0 {
        match is_free(search, place, size) {
            Some(true) => return Some(Verdict::Free),
            Some(false) => {}
            None => return Some(Verdict::Swallowed),
        }
    }
    Some(Verdict::Live(InBlock {
        address: place + 8,
        block,
        elements,
    }))
}

/// Whether the word at `place` is the size of a block that was asked for with `bytes` bytes.
fn is_size(word: u64, bytes: u64, place: u64) -> bool {
    let size = word & !FLAGS;
    if word & MAPPED != 0 {
        // Whole pages, and the block is the first thing in them.
        let pages = ((bytes + 8).next_multiple_of(UNIT) + 8).next_multiple_of(PAGE);
        return size == pages && (place - 8).is_multiple_of(PAGE);
    }
    let least = (bytes + 8).next_multiple_of(UNIT).max(LEAST);
    // What would be too small for a block of its own is left to the one before it.
    size == least || size == least + UNIT
}

/// Whether a free block begins at `place` and takes in the table of `bytes` bytes: one that was
/// freed is joined with the free ones around it, and with the end of the heap.
fn is_within_free<M: Searched>(
    search: &Search<'_, M>,
    place: u64,
    word_before: u64,
    bytes: u64,
    end_of_region: u64,
) -> bool {
    let size = word_before & !FLAGS;
    let behind = (place - 8).saturating_add(size);
    let sound = word_before & MAPPED == 0
        && size.is_multiple_of(UNIT)
        && size >= bytes + 8
        && behind <= end_of_region;
    if !sound {
        return false;
    }
    if behind == end_of_region {
        return (place - 8 + size).is_multiple_of(PAGE);
    }
    let mut words = [0; 16];
    search.memory.read(behind, &mut words)
        && word(&words, 0) == Some(size)
        && word(&words, 8).is_some_and(|next| next & IN_USE_BEFORE == 0 && next & !FLAGS >= LEAST)
}

/// The block of a table with `data` bytes of elements and padding, and the least and the largest
/// size that these can have.
fn shape(data: u64, buckets: u64, group: u64) -> Option<(Block, (u64, u64))> {
    let block = Block::new(data + buckets + group, None, group)?;
    let shape = block.shapes().find(|shape| shape.buckets == buckets)?;
    let possible = |&element: &u64| block.buckets_for(1, element) <= buckets;
    let mut elements = (shape.least_element..=shape.most_element).filter(possible);
    let least = elements.next()?;
    Some((block, (least, elements.next_back().unwrap_or(least))))
}

/// Whether the block behind says that this one is free. `None` when there is none that makes
/// sense: then this is no block of glibc's.
fn is_free<M: Searched>(search: &Search<'_, M>, place: u64, size: u64) -> Option<bool> {
    let behind = (place - 8).checked_add(size & !FLAGS)?;
    let mut words = [0; 16];
    if !search.memory.read(behind, &mut words) {
        return None;
    }
    let (before, next) = (word(&words, 0)?, word(&words, 8)?);
    if next & !FLAGS < UNIT || !(next & !FLAGS).is_multiple_of(UNIT) {
        return None;
    }
    Some(next & IN_USE_BEFORE == 0 && before >= size & !FLAGS && before.is_multiple_of(UNIT))
}
