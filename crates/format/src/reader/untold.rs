//! Blocks that are counted and no more.

use super::records::{LiveBlock, Words};
use crate::layout::packed::Untold;
use crate::layout::{WEIGHT_ONE, live, untold};

/// Set in the number of such a block, which gets one only once it is on the timeline: with the place where
/// it begins it is one that no other block of the recording has, and one that readers of JSON do not round.
const UNNUMBERED: u64 = 1 << 52;

/// The blocks of a record of the untold region. `start`: `header::START_TICKS`.
pub(super) fn blocks(record: Words<'_>, start: u64) -> impl Iterator<Item = LiveBlock> + '_ {
    let heap = record
        .get(untold::NUMBER)
        .checked_sub(1)
        .and_then(|number| number.checked_mul(untold::HEAP_BYTES as u64));
    let places = heap.map_or(0, |_| untold::BLOCKS_WORDS);
    let heap = heap.unwrap_or(0);
    (0..places).filter_map(move |place| {
        let block = Untold::unpack(record.get(untold::BLOCKS + place))?;
        let address = heap.checked_add((place * untold::STEP) as u64)?;
        let number = UNNUMBERED | (address / untold::STEP as u64);
        let ticks = start.saturating_add(block.elapsed);
        let zeroed = if block.zeroed { live::FLAG_ZEROED } else { 0 };
        Some(LiveBlock {
            slot: usize::MAX,
            address,
            site: block.site,
            generation: 0,
            bytes: u64::from(block.bytes),
            ticks,
            serial: number,
            history: None,
            thread: block.thread,
            align_log2: 0,
            flags: live::FLAG_UNTOLD | zeroed,
            weight: WEIGHT_ONE as u32,
            blocks_before: 0,
            born_ticks: ticks,
            first_serial: number,
        })
    })
}
