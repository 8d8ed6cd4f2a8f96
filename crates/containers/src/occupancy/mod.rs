//! What is in a hashbrown table, told from outside: from the size of its block and from the
//! control bytes at its end, without a change to the program and without its help.
//!
//! # What a table looks like
//!
//! ```text
//! | elements, the last first | padding | one control byte for each bucket | mirror |
//! 0                                    ^ a multiple of the block's alignment     bytes
//! ```
//!
//! A control byte is 0xFF where the bucket is empty, 0x80 where an entry was deleted, and below
//! 0x80 where there is an entry; it then holds the top seven bits of the entry's hash, its *tag*.
//! The mirror repeats the first group of control bytes, so that a group may be loaded at any
//! bucket. A table with fewer buckets than a group keeps empty bytes between the two.
//!
//! # What can be concluded
//!
//! The number of buckets is not written down in the block. Its size allows several: a block of
//! 2n buckets with elements of s bytes is exactly as long as one of n buckets with elements of
//! 2s + 1. [`survey`] reads the control bytes under each of these *hypotheses* and keeps those
//! that no byte contradicts. The true one is always among them, since whatever it is tested for
//! holds for every table at rest. If no other is left, all is known. If others are left, [`Survey::settle`]
//! asks what else is known of the table (other sizes that its map had, or the element size of
//! its siblings), and gives only what all remaining hypotheses agree on. Nothing is decided by
//! likelihood.
//!
//! Everything here is arithmetic on bytes that somebody else provides: [`BlockReader`] may be a
//! slice, the memory of this process or that of another. Nothing allocates.

pub(crate) mod abseil;
mod bounds;
pub(crate) mod cpython;
mod foreign;
mod growth;
mod heat;
pub mod memory;
pub(crate) mod quality;
pub(crate) mod scan;
mod shape;
mod stored;
mod sums;
mod survey;

pub use bounds::Bounds;
pub use foreign::{Foreign, ForeignKind, read_foreign};
pub use heat::Heat;
pub use quality::{HashQuality, HashVerdict};
pub use shape::{Block, Shape, capacity_of};
pub use stored::Reading;
pub use survey::{Count, Hypothesis, Known, Limits, Occupancy, Survey, survey};

/// Bytes of a block, wherever they are.
pub trait BlockReader {
    /// Fills `into` with the bytes from `offset` on. False when they cannot be had; `into` may
    /// then hold anything.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool;
}

impl BlockReader for &[u8] {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> bool {
        let from = usize::try_from(offset).ok();
        let bytes = from.and_then(|from| self.get(from..from.checked_add(into.len())?));
        bytes.is_some_and(|bytes| {
            into.copy_from_slice(bytes);
            true
        })
    }
}
