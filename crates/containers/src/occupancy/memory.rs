//! A block in memory, as bytes to read, and what container's table it is.

use mapgrow_system::memory::Memory;

use super::{Block, BlockReader, Foreign, Limits, Survey, read_foreign, survey};

/// A block in memory that is read by address.
#[derive(Debug, Clone, Copy)]
pub struct BlockAt<'a, M> {
    memory: &'a M,
    address: u64,
}

impl<'a, M> BlockAt<'a, M> {
    /// The block at `address`.
    #[must_use]
    pub fn new(memory: &'a M, address: u64) -> Self {
        Self { memory, address }
    }
}

impl<M: Memory> BlockReader for BlockAt<'_, M> {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        let from = self.address.checked_add(offset);
        from.is_some_and(|from| self.memory.read(from, into))
    }
}

/// Where a block lies, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Where the block lies.
    pub address: u64,
    /// Its bytes, as asked for.
    pub bytes: u64,
    /// Its alignment, as asked for.
    pub align: u64,
    /// Width of hashbrown's control groups.
    pub group: u64,
    /// Whether it can be the table of a container in another language than Rust.
    pub foreign: bool,
}

/// Reads a block that may be a table. `None` when it is none, or cannot be read.
///
/// This alone proves nothing: whoever calls it knows from elsewhere that the block was live
/// before, and makes sure that it still is afterwards.
#[must_use]
pub fn read(
    memory: &impl Memory,
    place: &Place,
    limits: &Limits,
) -> Option<(Survey, Option<Foreign>)> {
    // `malloc` is not told an alignment. What Rust takes from it needs no more than a group's.
    let told = place.align >= place.group;
    let align = place.align.max(if place.foreign { place.group } else { 1 });
    let block = Block::new(place.bytes, Some(align), place.group)?;
    let hashbrown = || {
        block.shapes().next()?;
        let mut bytes = BlockAt::new(memory, place.address);
        let survey = survey(&block, &mut bytes, limits)?;
        (!survey.hypotheses().is_empty()).then_some((survey, None))
    };
    if told && let Some(found) = hashbrown() {
        return Some(found);
    }
    if !place.foreign {
        return None;
    }
    if let Some(foreign) = read_foreign(memory, place.address, place.bytes) {
        return Some((Survey::new(block), Some(foreign)));
    }
    // Only what other evidence says to be a table of hashbrown's is taken for one.
    if told { None } else { hashbrown() }
}
