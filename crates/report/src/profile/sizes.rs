//! What the sizes of its blocks tell about a call of which nothing else is known.

use super::sampling::block_bytes;
use super::{HeapSample, SourceHint};
use crate::model::KnownBy;
use mapgrow_containers::classify::catalogue::{Family, UNKNOWN};
use mapgrow_containers::classify::go::{GO_MAP, GO_SLICE};
use std::collections::BTreeMap;

/// Sizes that one call must have allocated to be something that grows, when no line tells.
const LEAST_SIZES: usize = 4;
/// A single size below this may as well be an entry that is made on the line of the insert.
const LEAST_TABLE_BYTES: u64 = 2 << 10;
/// Blocks below this are the small parts of a map: headers, directories, single groups.
const LEAST_SHAPED_BYTES: u64 = 512;
/// So are larger ones that make up less than one part in so many of what the call allocated: a
/// directory has eight bytes for a whole table.
const LEAST_SHARE: u64 = 32;

/// The family of what a call allocates, by what its line of source does and by the sizes of its
/// blocks. Where no line tells: blocks of many sizes, of which the largest alone is in use.
pub(super) fn told(
    samples: &[&HeapSample],
    hint: Option<SourceHint>,
) -> Option<(&'static Family, KnownBy)> {
    let sizes = sizes(samples)?;
    match hint {
        Some(SourceHint::Append) if sizes.len() > 1 => Some((&GO_SLICE, KnownBy::Source)),
        Some(SourceHint::IndexAssign) if halves(&weighty(samples)) => {
            Some((&GO_MAP, KnownBy::Source))
        }
        Some(SourceHint::IndexAssign) => None,
        _ => follows(&sizes).then_some((&UNKNOWN, KnownBy::Behaviour)),
    }
}

/// Blocks in use by size.
fn sizes(samples: &[&HeapSample]) -> Option<BTreeMap<u64, u64>> {
    let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
    for sample in samples {
        let live = sizes.entry(block_bytes(sample)?).or_default();
        *live = live.saturating_add(sample.live);
    }
    Some(sizes)
}

/// The sizes of blocks that make up most of what was allocated, ascending.
fn weighty(samples: &[&HeapSample]) -> Vec<u64> {
    let mut bytes: BTreeMap<u64, u64> = BTreeMap::new();
    for sample in samples {
        let of_size = bytes.entry(block_bytes(sample).unwrap_or(0)).or_default();
        *of_size = of_size.saturating_add(sample.allocated_bytes);
    }
    let all = bytes.values().fold(0, |sum: u64, &b| sum.saturating_add(b));
    let least = all / LEAST_SHARE;
    bytes.retain(|&size, bytes| size >= LEAST_SHAPED_BYTES && *bytes >= least);
    bytes.into_keys().collect()
}

/// Whether every size is the largest, halved some number of times: the tables of a map, which
/// doubles. Go's allocator rounds up by an eighth at most.
fn halves(sizes: &[u64]) -> bool {
    let Some(&largest) = sizes.last() else {
        return false;
    };
    let halved = |size: u64| {
        let times = largest as f64 / size as f64;
        let apart = times.log2() - times.log2().round();
        apart.abs() <= 1.125_f64.log2()
    };
    largest >= LEAST_TABLE_BYTES && sizes.iter().all(|&size| halved(size))
}

/// Whether blocks follow each other: many sizes, and only the largest in use.
fn follows(sizes: &BTreeMap<u64, u64>) -> bool {
    let smaller = sizes.values().rev().skip(1);
    sizes.len() >= LEAST_SIZES && smaller.clone().all(|&live| live == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(sizes: &[(u64, u64)], hint: Option<SourceHint>) -> Option<&'static str> {
        let samples: Vec<HeapSample> = sizes
            .iter()
            .map(|&(size, live)| HeapSample {
                block_bytes: Some(size),
                allocated: live.max(1),
                allocated_bytes: size * live.max(1),
                live,
                ..HeapSample::default()
            })
            .collect();
        told(&samples.iter().collect::<Vec<_>>(), hint).map(|(family, _)| family.name)
    }

    #[test]
    fn sizes_and_lines_tell_maps_from_entries() {
        let assign = Some(SourceHint::IndexAssign);
        // Tables of a Swiss map, as Go 1.27 rounds them; headers and directories beside them.
        let swiss = [(32, 9), (1792, 1), (13_568, 0), (27_264, 1026)];
        assert_eq!(family(&swiss, assign), Some("go_map"));
        let buckets = [(208, 4), (3456, 0), (434_176, 0), (7_012_352, 1)];
        assert_eq!(family(&buckets, assign), Some("go_map"));
        // A directory of the larger map was among the samples.
        let with_directory = [(64, 9), (2304, 28), (27_264, 255)];
        assert_eq!(family(&with_directory, assign), Some("go_map"));
        // An entry of one size, and entries of any size, made where they are inserted.
        assert_eq!(family(&[(64, 100_000)], assign), None);
        assert_eq!(family(&[(3072, 5), (4096, 7), (5376, 1)], assign), None);
        let append = Some(SourceHint::Append);
        assert_eq!(family(&[(1024, 0), (2048, 1)], append), Some("go_slice"));
        assert_eq!(family(&[(1024, 1)], append), None);
        let grown = [(1024, 0), (1280, 0), (1792, 0), (2304, 1)];
        assert_eq!(family(&grown, None), Some("unknown_container"));
        assert_eq!(
            family(&[(1024, 0), (1280, 1), (1792, 0), (2304, 1)], None),
            None
        );
        assert_eq!(family(&[], assign), None);
    }
}
