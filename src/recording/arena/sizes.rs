//! How large the regions of a recording may become, and where they lie in it.

use super::page_up;
use crate::tables::index::words_for_levels;
use mapgrow_format::layout::{self, header, region};

/// Bytes of the header, whole pages.
pub(super) const HEADER_BYTES: usize = (header::WORDS * 8).next_multiple_of(4096);

/// Where a region lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its first byte, from the header's on.
    pub(super) offset: usize,
    /// Words that it may grow to.
    pub(super) words: usize,
}

/// The regions of a recording with a bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) max_memory: usize,
    words: [usize; region::COUNT],
}

impl Sizes {
    /// For a recording bounded by `max_memory` bytes.
    pub(super) fn new(max_memory: usize) -> Self {
        Self {
            max_memory,
            words: words(max_memory),
        }
    }

    /// The largest recording of up to `max_memory` bytes that fits into a file of `length`; `None`
    /// when not even the smallest does.
    pub(super) fn within(max_memory: usize, length: u64) -> Option<Self> {
        const LEAST: usize = 4 << 20;
        let mut bound = max_memory;
        loop {
            let sizes = Self::new(bound);
            if sizes.length() as u64 <= length {
                return Some(sizes);
            }
            if bound <= LEAST {
                return None;
            }
            bound = (bound / 4 * 3).max(LEAST);
        }
    }

    /// Bytes from the header to the end of the last region.
    pub(super) fn length(&self) -> usize {
        HEADER_BYTES + self.words.iter().map(|w| page_up(w * 8)).sum::<usize>()
    }

    /// Where each region lies.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let mut offset = HEADER_BYTES;
        self.words.into_iter().map(move |words| {
            let place = Place { offset, words };
            offset += page_up(words * 8);
            place
        })
    }
}

/// Words of each region for a recording bounded by `max_memory` bytes.
fn words(max_memory: usize) -> [usize; region::COUNT] {
    let share = |part: usize, unit: usize| (max_memory / part / (unit * 8)).max(64) * unit;
    let sites = share(6, layout::site::WORDS);
    let edges = share(16, layout::edge::WORDS);
    // Windows of an index overflow into the next level well before a level is full: room for
    // twice as many words as records, in whole levels.
    let index = |records: usize| {
        let mut levels = 1;
        while words_for_levels(levels) < records * 2 {
            levels += 1;
        }
        words_for_levels(levels)
    };
    let live_bytes = max_memory / 5 * 2;
    let slot_bytes = (1 + layout::live::WORDS) * 8;
    let mut slots = layout::live::LEVEL0_SLOTS;
    while (slots * 2 + layout::live::LEVEL0_SLOTS) * slot_bytes <= live_bytes {
        slots = slots * 2 + layout::live::LEVEL0_SLOTS;
    }
    let mut words = [0; region::COUNT];
    words[region::MODULES] = 512 * layout::module::WORDS;
    words[region::THREADS] = 2048 * layout::thread::WORDS;
    words[region::SITE_INDEX] = index(sites / layout::site::WORDS);
    words[region::SITES] = sites;
    words[region::STACKS] = share(16, 1);
    words[region::EDGE_INDEX] = index(edges / layout::edge::WORDS);
    words[region::EDGES] = edges;
    words[region::LIVE_KEYS] = slots;
    words[region::LIVE] = slots * layout::live::WORDS;
    words[region::HISTORY] = share(16, layout::history::WORDS);
    words[region::RESIZES] = share(16, layout::event::WORDS);
    words[region::BIRTHS] = share(16, layout::event::WORDS);
    words[region::MARKS] = 256 * layout::mark::WORDS;
    words[region::GROUP_INDEX] = words[region::SITE_INDEX];
    words[region::OCCUPANCY] = share(32, layout::occupancy::WORDS);
    let scripts = share(64, layout::script::WORDS);
    words[region::SCRIPTS] = scripts;
    words[region::SCRIPT_INDEX] = index(scripts / layout::script::WORDS);
    // What the others leave.
    let others = words.iter().map(|words| page_up(words * 8)).sum::<usize>();
    let untold = max_memory.saturating_sub(others) / (layout::untold::WORDS * 8);
    words[region::UNTOLD_INDEX] = index(untold);
    let untold = untold.saturating_sub(words[region::UNTOLD_INDEX].div_ceil(layout::untold::WORDS));
    // Each region has a place of its own.
    words[region::UNTOLD] = untold.max(1) * layout::untold::WORDS;
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_stay_within_the_bound() {
        for megabytes in [4usize, 16, 64, 512, 4096] {
            let bytes = Sizes::new(megabytes << 20).length();
            assert!(
                bytes <= (megabytes << 20) + (1 << 20),
                "{megabytes} MiB: {bytes}"
            );
            // A bound that leaves half of itself unused would not be a bound but a guess.
            assert!(bytes >= (megabytes << 20) / 2, "{megabytes} MiB: {bytes}");
        }
    }

    #[test]
    fn a_file_has_the_largest_recording_that_fits() {
        let whole = Sizes::within(64 << 20, u64::MAX).unwrap();
        assert_eq!(whole.max_memory, 64 << 20);
        let half = Sizes::within(64 << 20, 32 << 20).unwrap();
        assert!(
            half.length() <= 32 << 20 && half.length() > 16 << 20,
            "{half:?}"
        );
        assert!(Sizes::within(64 << 20, 1 << 20).is_none());
        assert!(Sizes::within(4 << 20, 0).is_none());
    }

    #[test]
    fn regions_do_not_overlap() {
        for bound in (4 << 20..64 << 20).step_by(64 << 10) {
            let sizes = Sizes::new(bound);
            let mut end = HEADER_BYTES;
            for place in sizes.places() {
                assert_eq!(place.offset, end);
                assert!(place.words > 0, "{bound}: two regions in one place");
                end += page_up(place.words * 8);
            }
            assert_eq!(end, sizes.length());
        }
    }
}
