//! How much is read to prove tables. In a core that was made to do harm ever so many headers can lead
//! to the same megabytes, each of which would be read once for each of them.
//!
//! Real tables do not lie on top of each other, and few headers lead to what is none. Of programs with
//! 100,000 maps and more in Rust, C++ and Python none read more than nine tenths of its memory to prove
//! them, and 8 KiB for a block: a small part of what is allowed here to each search.

use super::Region;

/// Times that all memory may be read over.
const TIMES: u64 = 8;
/// Bytes that may be read of the smallest memory, too.
const LEAST: u64 = 256 << 20;
/// Bytes that may be read to find the block of a table.
const BLOCK: u64 = 64 << 10;

/// What may be read to prove what lies in `regions`.
pub(super) fn to_prove(regions: &[Region]) -> u64 {
    let bytes = regions.iter().map(|region| region.end - region.start);
    let all = bytes.fold(0_u64, u64::saturating_add);
    all.saturating_mul(TIMES).saturating_add(LEAST)
}

/// What may be read to ask for the blocks of so many tables.
pub(super) fn to_measure(regions: &[Region], tables: usize) -> u64 {
    to_prove(regions).saturating_add(BLOCK.saturating_mul(tables as u64))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use mapgrow_system::memory::Memory;

    use super::super::{Searched, find};
    use super::*;

    const BASE: u64 = 0x5500_0000_0000;

    struct Bytes {
        held: Vec<u8>,
        read: AtomicU64,
    }

    impl Memory for Bytes {
        fn read(&self, address: u64, into: &mut [u8]) -> bool {
            self.read.fetch_add(into.len() as u64, Relaxed);
            let from = address.wrapping_sub(BASE) as usize;
            let held = from
                .checked_add(into.len())
                .and_then(|to| self.held.get(from..to));
            held.map(|held| into.copy_from_slice(held)).is_some()
        }
    }

    impl Searched for Bytes {}

    /// Memory of which one half are headers of hashbrown's, each with another table of the same empty
    /// control bytes in the other, that is said to have `items` entries.
    fn piled(bytes: usize, items: u64) -> Bytes {
        let half = bytes / 2;
        let buckets = half as u64 / 2;
        let mut held = vec![0xFF; bytes];
        for (at, header) in held[..half].chunks_exact_mut(32).enumerate() {
            let control = BASE + half as u64 + at as u64 * 16 % (buckets - 16);
            let words = [control, buckets - 1, buckets / 8 * 7 - items, items];
            for (into, word) in header.chunks_exact_mut(8).zip(words) {
                into.copy_from_slice(&word.to_le_bytes());
            }
        }
        let read = AtomicU64::new(0);
        Bytes { held, read }
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads hundreds of megabytes")]
    fn tables_on_top_of_each_other_take_bounded_time() {
        let bytes = 2 << 20;
        let region = Region {
            start: BASE,
            end: BASE + bytes as u64,
        };
        for items in [0, 1] {
            let memory = piled(bytes, items);
            let finding = find(&memory, &[region], 16, &mut |_| ());
            assert!(finding.gave_up);
            let read = memory.read.into_inner();
            assert!(read < 2 * to_prove(&[region]), "{read}");
        }
    }
}
