//! The table of regions.

use super::ReadError;
use super::records::Words;
use crate::layout::packed::RegionRow;
use crate::layout::{header, region};

/// Names of the regions, for messages.
pub(super) const REGION_NAMES: [&str; region::COUNT] = [
    "modules",
    "threads",
    "site index",
    "sites",
    "stacks",
    "edge index",
    "edges",
    "live keys",
    "live blocks",
    "history",
    "resize events",
    "birth events",
    "marks",
    "group index",
    "occupancy",
    "scripts",
    "script index",
    "untold blocks",
    "untold index",
];

/// Where a region lies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Region {
    pub(super) offset: usize,
    pub(super) capacity: u64,
    pub(super) committed: usize,
}

/// A region as the table tells it, if that can be true.
pub(super) fn check_region(
    words: &Words<'_>,
    kind: usize,
    length: usize,
) -> Result<Region, ReadError> {
    let name = REGION_NAMES[kind];
    let damaged = |what: String| Err(ReadError::Damaged { what });
    if words.get(RegionRow::kind_word(kind)) != kind as u64 {
        return damaged(format!(
            "row {kind} of its region table is not that of its {name}"
        ));
    }
    let RegionRow {
        offset,
        capacity,
        committed,
    } = RegionRow::read(kind, |word| words.get(word));
    if committed > capacity {
        return damaged(format!(
            "{committed} bytes are in use of {capacity} for its {name}"
        ));
    }
    if committed == 0 {
        return Ok(Region {
            offset: header::WORDS * 8,
            capacity,
            committed: 0,
        });
    }
    if offset % 8 != 0 || offset < (header::WORDS * 8) as u64 {
        return damaged(format!("its {name} are said to lie at byte {offset}"));
    }
    let Some(end) = offset.checked_add(committed) else {
        return damaged(format!("its {name} are said to end beyond any file"));
    };
    if end > length as u64 {
        return Err(ReadError::Truncated {
            part: name,
            missing: end - length as u64,
            length: length as u64,
        });
    }
    Ok(Region {
        offset: offset as usize,
        capacity,
        committed: committed as usize,
    })
}
