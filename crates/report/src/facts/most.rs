//! The most that was live in all recorded blocks: the header goes in, a moment and its bytes come out.

use mapgrow_format::layout::header;
use mapgrow_format::reader::Recording;

/// The most that was live in all recorded blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    pub bytes: u64,
    pub ticks: u64,
    /// Whether that was while a `realloc` copied.
    pub copying: bool,
    /// The largest block that a `realloc` copied from.
    pub copied_from: u64,
}

impl Most {
    /// What was counted, or more where a `realloc` had both of its blocks.
    pub fn of(recording: &Recording) -> Self {
        let counted = recording.header(header::PEAK_BYTES);
        let copying = recording.header(header::COPYING_PEAK_BYTES);
        let (bytes, ticks) = if copying > counted {
            (copying, header::COPYING_PEAK_TICKS)
        } else {
            (counted, header::PEAK_TICKS)
        };
        Self {
            bytes,
            ticks: recording.header(ticks),
            copying: copying > counted,
            copied_from: recording.header(header::COPIED_MOST),
        }
    }
}
