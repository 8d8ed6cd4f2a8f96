//! The block that a table lies in, as its allocator describes it.
//!
//! glibc keeps the size of a block in the word before it, and three flags in its low bits. The
//! end of a hashbrown table is known from its header, and where it begins follows from the size
//! of an element: that size is right for which the word before says what the block would have.
//! The block behind says whether this one is in use. Of musl see [`musl`].

use std::collections::HashSet;

use mapgrow_system::memory::MANY;

use super::jemalloc::Extents;
use super::{Found, FoundFamily, Search, hashbrown, musl};
use crate::occupancy::Block;

/// Sizes of the data part that are tried: up to elements of so many bytes, with 16 buckets or
/// more.
const TRIED: u64 = 1 + 1024;
/// Sizes tried at once.
const AT_ONCE: usize = 64;
const _: () = assert!(AT_ONCE <= MANY);
/// Where the places lie closer together, whole lines of memory are read.
const NEAR: u64 = 2048;
/// Tables after which memory is read anew.
const OFTEN: usize = 4096;
/// Blocks that are passed from one that is known to one that is not, at most.
const WALKED: usize = 1 << 16;
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
    address: u64,
    /// As the container asked for it.
    block: Block,
    /// Bytes of an element: padding may hide which of several it is.
    elements: (u64, u64),
}

impl InBlock {
    /// The block from `address` on of the table with `buckets` buckets whose control bytes begin
    /// at `control`; `None` when there is no such table.
    pub(super) fn new(address: u64, control: u64, buckets: u64, group: u64) -> Option<Self> {
        let (block, elements) = shape(control.checked_sub(address)?, buckets, group)?;
        Some(Self {
            address,
            block,
            elements,
        })
    }

    /// Bytes that the container asked for.
    pub(super) fn bytes(&self) -> u64 {
        self.block.bytes()
    }

    /// What all sizes that an element can have agree on.
    fn agreed(&self, of: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let (least, most) = self.elements;
        let first = of(least)?;
        (least + 1..=most)
            .all(|element| of(element) == Some(first))
            .then_some(first)
    }

    /// Notes what follows from the block.
    pub(super) fn note(&self, found: &mut Found) {
        let (occupancy, block) = (&mut found.occupancy, self.block);
        let Some(buckets) = occupancy.buckets else {
            return;
        };
        let items = occupancy.entries.value;
        occupancy.element_bytes = self.agreed(Some);
        occupancy.retained_bytes = self.agreed(|element| block.retained(buckets, element, items));
        found.block = Some(self.address);
        found.doubtful = false;
        found.bytes = Some(block.bytes());
        found.next_bytes = self.agreed(|element| block.bytes_with(buckets * 2, element));
    }
}

/// What the allocator says of a table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// It is in use.
    Live(InBlock),
    /// It was freed.
    Free,
    /// It was in use once, and what lies behind it is no block (the end of the heap was moved
    /// over it). Unless this allocator is not glibc's.
    Swallowed,
    /// It has the mark of what musl freed. Unless this allocator is not musl's.
    Marked,
    /// It says nothing, or nothing certain.
    Unknown,
}

/// Whose words a verdict is from.
enum Teller {
    Glibc,
    Musl,
    Jemalloc,
}

/// What was learnt of the blocks of some tables.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Those that are in use, or may be.
    pub(super) tables: Vec<Found>,
    /// How many were freed.
    pub(super) freed: u64,
    /// Whether glibc's own words were found around any of them.
    known: bool,
    /// Tables that are none if they were around any.
    swallowed: HashSet<u64>,
    /// The same of musl.
    known_to_musl: bool,
    marked: HashSet<u64>,
    /// Whether not all could be asked for.
    pub(super) gave_up: bool,
}

impl Measured {
    /// Takes over what was learnt of others.
    pub(super) fn take(&mut self, other: Measured) {
        self.tables.extend(other.tables);
        self.freed += other.freed;
        self.known |= other.known;
        self.swallowed.extend(other.swallowed);
        self.known_to_musl |= other.known_to_musl;
        self.marked.extend(other.marked);
        self.gave_up |= other.gave_up;
    }

    /// Decides on those that are none if others are.
    pub(super) fn finish(&mut self) {
        for (known, gone) in [
            (self.known, &self.swallowed),
            (self.known_to_musl, &self.marked),
        ] {
            if known {
                let before = self.tables.len();
                (self.tables).retain(|found| !gone.contains(&found.table));
                self.freed += (before - self.tables.len()) as u64;
            }
        }
    }
}

/// Asks the allocators for the blocks of hashbrown's tables, which are sorted by address, and
/// leaves out those that were freed.
pub(super) fn measure(search: &Search<'_>, extents: &Extents, mut tables: Vec<Found>) -> Measured {
    let mut measured = Measured::default();
    let mut asked = 0;
    let mut last_known = None;
    tables.retain_mut(|found| {
        // The table's own block: jemalloc leaves what was in it.
        if extents.is_freed(&search.view, found.table) == Some(true) {
            measured.freed += 1;
            return false;
        }
        let (FoundFamily::Hashbrown, Some(buckets)) = (found.family, found.occupancy.buckets)
        else {
            return true;
        };
        asked += 1;
        if asked % OFTEN == 0 {
            search.view.forget();
        }
        let told = extents.of(found.table, buckets, search.group);
        let (teller, verdict) = match told {
            Verdict::Live(_) if extents.known() => (Teller::Jemalloc, told),
            _ => match sizes(search, found.table, buckets, last_known) {
                // Where glibc told of others, musl is not there.
                None | Some(Verdict::Unknown) if !extents.known() && !measured.known => {
                    let musl = of_musl(search, found.table, buckets);
                    (Teller::Musl, musl.unwrap_or(told))
                }
                None | Some(Verdict::Unknown) => (Teller::Jemalloc, told),
                Some(verdict) => (Teller::Glibc, verdict),
            },
        };
        match verdict {
            Verdict::Free => {
                measured.freed += 1;
                return false;
            }
            Verdict::Live(block) => {
                match teller {
                    Teller::Glibc => {
                        measured.known = true;
                        last_known = Some(block.address);
                    }
                    Teller::Musl => measured.known_to_musl = true,
                    Teller::Jemalloc => {}
                }
                // It may have been freed meanwhile, and other blocks be there now.
                if hashbrown::is_still(search, found) {
                    block.note(found);
                }
            }
            Verdict::Swallowed => {
                measured.swallowed.insert(found.table);
            }
            Verdict::Marked => {
                measured.marked.insert(found.table);
            }
            Verdict::Unknown => {}
        }
        true
    });
    measured.tables = tables;
    measured.gave_up = search.view.gave_up();
    measured
}

/// What glibc's words before and behind the table say. `known` is a block before it.
fn sizes(search: &Search<'_>, control: u64, buckets: u64, known: Option<u64>) -> Option<Verdict> {
    let tail = buckets + search.group;
    let mut possible = Vec::new();
    let sound = each_place(search, control, buckets, &mut |place, size| {
        let data = control - place - 8;
        if is_size(size, data + tail, place)
            && let Some(block) = InBlock::new(place + 8, control, buckets, search.group)
        {
            possible.push((place, size, block));
        }
        true
    });
    // An entry can look like the size of a smaller block.
    if possible.len() > 1 {
        let begins = begins(search, known, control, &possible)?;
        possible.retain(|&(_, _, block)| block.address == begins);
    }
    let Some((place, size, block)) = possible.pop() else {
        // What was never written in a table holds what was there before, words of free blocks too:
        // a block of the table's own would say more.
        sound?;
        let end = search.region(control, 1)?.end;
        let mut free = false;
        let _ = each_place(search, control, buckets, &mut |place, size| {
            free = is_within_free(search, place, size, control - place - 8 + tail, end);
            !free
        });
        return free.then_some(Verdict::Free);
    };
    if size & MAPPED == 0 {
        match is_free(search, place, size) {
            Some(true) => return Some(Verdict::Free),
            Some(false) => {}
            None => return Some(Verdict::Swallowed),
        }
    }
    Some(Verdict::Live(block))
}

/// What musl's words before the table tell.
fn of_musl(search: &Search<'_>, control: u64, buckets: u64) -> Option<Verdict> {
    let tail = buckets + search.group;
    let (mut found, mut freed) = (None, false);
    let _ = each_place(search, control, buckets, &mut |place, before| {
        let start = place + 8;
        if musl::end_of(&search.view, start, before) == Some(control + tail) {
            found = InBlock::new(start, control, buckets, search.group);
        }
        freed |= musl::is_freed(before);
        found.is_none()
    });
    found
        .map(Verdict::Live)
        .or(freed.then_some(Verdict::Marked))
}

/// At which of the possible places the block begins that `control` lies in: one leads to the next,
/// from one that is known or from the first of the heap on.
fn begins(
    search: &Search<'_>,
    known: Option<u64>,
    control: u64,
    possible: &[(u64, u64, InBlock)],
) -> Option<u64> {
    let region = search.region(control, 1)?;
    let known = known.filter(|known| (region.start..control).contains(known));
    let mut place = known.map_or(region.start, |block| block - UNIT) + 8;
    for _ in 0..WALKED {
        let word = search.view.word(place)?;
        let (size, next) = (word & !FLAGS, place.checked_add(word & !FLAGS)?);
        if word & MAPPED != 0 || size < LEAST || !size.is_multiple_of(UNIT) {
            return None;
        }
        if next > control {
            let mut places = possible.iter().map(|&(_, _, block)| block.address);
            return places.find(|&address| address == place + 8);
        }
        place = next;
    }
    None
}

/// Tells `each` all places where the word before the table's block can lie, with what is there,
/// until it has heard enough.
fn each_place(
    search: &Search<'_>,
    control: u64,
    buckets: u64,
    each: &mut dyn FnMut(u64, u64) -> bool,
) -> Option<()> {
    let region = search.region(control, 1)?;
    let step = buckets.max(UNIT);
    let room = (control - region.start).checked_sub(8)? / step;
    let count = TRIED.min(room + 1);
    let mut words = [0; MANY * 8];
    let mut places = [0; MANY];
    for from in (0..count).step_by(AT_ONCE) {
        let to = count.min(from + AT_ONCE as u64);
        let length = (to - from) as usize;
        let places = places.get_mut(..length)?;
        for (index, place) in (from..to).zip(places.iter_mut()) {
            *place = control - index * step - 8;
        }
        let words = words.get_mut(..length * 8)?;
        if step < NEAR {
            for &place in &*places {
                if !search
                    .view
                    .word(place)
                    .is_some_and(|size| each(place, size))
                {
                    return Some(());
                }
            }
            continue;
        }
        if !search.view.searched().read_many(places, 8, words) {
            return Some(());
        }
        for (&place, size) in places.iter().zip(words.as_chunks::<8>().0) {
            if !each(place, u64::from_le_bytes(*size)) {
                return Some(());
            }
        }
    }
    Some(())
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
fn is_within_free(
    search: &Search<'_>,
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
    // It leads to the free blocks before and behind it.
    let leads = |word: u64| word.is_multiple_of(UNIT) && search.region(word, LEAST).is_some();
    let linked = search.view.words::<2>(place + 8);
    linked.is_some_and(|[before, after]| leads(before) && leads(after))
        && search
            .view
            .words::<2>(behind)
            .is_some_and(|[before, next]| {
                before == size && next & IN_USE_BEFORE == 0 && next & !FLAGS >= LEAST
            })
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
fn is_free(search: &Search<'_>, place: u64, size: u64) -> Option<bool> {
    let behind = (place - 8).checked_add(size & !FLAGS)?;
    let [before, next] = search.view.words(behind)?;
    if next & !FLAGS < UNIT || !(next & !FLAGS).is_multiple_of(UNIT) {
        return None;
    }
    Some(next & IN_USE_BEFORE == 0 && before >= size & !FLAGS && before.is_multiple_of(UNIT))
}
