//! Looks once more at the tables that a search found, without searching for others.
//!
//! A table is proved anew by its header. Where glibc keeps the blocks they are asked for again,
//! too. What jemalloc says of its memory was learnt by the search, and may be outdated: there the
//! block of a table that was replaced follows from the size of an element.

use std::collections::HashMap;

use mapgrow_system::memory::Memory;

use super::block::InBlock;
use super::words::joined;
use super::{Finding, Found, FoundFamily, Region, Searched, measured, scanned};

/// Where headers of tables are noticed, and nothing else.
struct Headers<'a> {
    memory: &'a dyn Searched,
    sorted: Vec<u64>,
}

impl Memory for Headers<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.memory.read(address, into)
    }

    fn read_many(&self, addresses: &[u64], each: usize, into: &mut [u8]) -> bool {
        self.memory.read_many(addresses, each, into)
    }
}

impl Searched for Headers<'_> {
    fn parts(&self, from: u64, to: u64, add: &mut dyn FnMut(u64, u64)) {
        let first = self.sorted.partition_point(|&header| header < from);
        let headers = self.sorted.iter().skip(first);
        for &header in headers.take_while(|&&header| header < to) {
            add(header, to.min(header + 8));
        }
    }
}

/// What is left of the tables that were found `before` in this memory, as they are now. Those that
/// have come meanwhile are not among them.
#[must_use]
pub fn find_again(
    memory: &dyn Searched,
    regions: &[Region],
    group: u64,
    before: Finding,
) -> Finding {
    let mut sorted: Vec<u64> = (before.tables.iter())
        .flat_map(|found| {
            let all = found.copies.iter().chain([&found.header]);
            all.map(|header| header.saturating_add(found.family.noticed_at()))
        })
        .collect();
    sorted.sort_unstable();
    sorted.dedup();
    let headers = Headers { memory, sorted };
    let regions = joined(regions);
    let (mut finding, extents) = scanned(&headers, &regions, group, &mut |_| ());
    if !before.extents.known() {
        return measured(&headers, &regions, group, finding, extents);
    }
    let known: HashMap<u64, &Found> = (before.tables.iter())
        .map(|found| (found.header, found))
        .collect();
    for found in &mut finding.tables {
        if let Some(before) = known.get(&found.header) {
            remember(found, before, group);
        }
    }
    finding.settle_doubts();
    finding.tables.sort_unstable_by_key(|found| found.header);
    finding.extents = before.extents;
    finding
}

/// Notes what was known of the table with the same header.
fn remember(found: &mut Found, before: &Found, group: u64) {
    let same = (found.family, before.family) == (FoundFamily::Hashbrown, FoundFamily::Hashbrown);
    let (Some(buckets), true) = (found.occupancy.buckets, same) else {
        return;
    };
    let replaced =
        (found.table, found.occupancy.buckets) != (before.table, before.occupancy.buckets);
    let address = if replaced {
        let data = (before.occupancy.element_bytes).and_then(|element| {
            buckets
                .checked_mul(element)?
                .checked_next_multiple_of(group)
        });
        data.and_then(|data| found.table.checked_sub(data))
    } else {
        before.block
    };
    if let Some(block) =
        address.and_then(|address| InBlock::new(address, found.table, buckets, group))
    {
        block.note(found);
    }
}
