//! Goes through memory word by word, in pieces that the processor's cores share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::{Region, Search, headers};

/// Bytes of a piece, and those read at once: they stay in the processor's cache.
const PIECE: u64 = 2 << 20;
const CHUNK: u64 = 256 << 10;
/// What can be read or not, as a whole.
const PAGE: u64 = 4096;
/// Words that a family is told at once, from the first of what may be a header.
pub(super) const WORDS: usize = 8;
/// So much behind the last place for a header may belong to it.
const OVERHANG: u64 = (WORDS as u64 - 1) * 8;

/// Pieces of memory to search, handed out one by one: there may be more than a list could hold.
pub(super) struct Pieces<'a> {
    regions: &'a [Region],
    /// The region that the next piece is from, and where that begins in it, if not at its start.
    next: Mutex<(usize, u64)>,
    behind: AtomicU64,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(regions: &'a [Region]) -> Self {
        Self {
            regions,
            next: Mutex::new((0, 0)),
            behind: AtomicU64::new(0),
        }
    }

    /// So many searches are worth their while.
    pub(super) fn worth(regions: &[Region]) -> usize {
        const WORTH_ONE: u64 = 32 << 20;
        let bytes: u64 = regions.iter().map(|region| region.end - region.start).sum();
        usize::try_from(bytes / WORTH_ONE)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
    }

    fn take(&self) -> Option<Region> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, from) = *next;
        let region = self.regions.get(index)?;
        let start = from.max(region.start);
        let end = region.end.min((start / PIECE + 1) * PIECE);
        *next = if end == region.end {
            (index + 1, 0)
        } else {
            (index, end)
        };
        Some(Region { start, end })
    }
}

/// Looks at every word of the pieces that this search gets.
pub(super) fn scan(search: &mut Search<'_>, pieces: &Pieces<'_>, progress: &mut dyn FnMut(u64)) {
    let mut bytes = vec![0; (CHUNK + OVERHANG) as usize];
    while let Some(piece) = pieces.take() {
        search.view.forget();
        let mut parts = Vec::new();
        search
            .view
            .searched()
            .parts(piece.start, piece.end, &mut |from, to| {
                parts.push((from, to))
            });
        for (from, to) in parts {
            for at in (from..to).step_by(CHUNK as usize) {
                part(search, &mut bytes, at, to.min(at + CHUNK));
            }
        }
        let length = piece.end - piece.start;
        progress(pieces.behind.fetch_add(length, Relaxed) + length);
    }
    search.finding.gave_up |= search.view.gave_up();
}

/// Reads one part, and looks at it. What cannot be read at once is tried page by page.
fn part(search: &mut Search<'_>, bytes: &mut [u8], from: u64, to: u64) {
    if piece(search, bytes, from, to) {
        return;
    }
    let mut at = from;
    while at < to {
        let end = to.min((at / PAGE + 1) * PAGE);
        if !piece(search, bytes, at, end) {
            search.finding.bytes_unreadable += end - at;
        }
        at = end;
    }
}

fn piece(search: &mut Search<'_>, bytes: &mut [u8], from: u64, to: u64) -> bool {
    let own = (to - from) as usize;
    if own == 0 {
        return true;
    }
    // A header may lie across the end of a piece.
    let over = if search.region(to, OVERHANG).is_some() {
        OVERHANG as usize
    } else {
        0
    };
    let memory = search.view.searched();
    let Some(into) = bytes.get_mut(..own + OVERHANG as usize) else {
        return false;
    };
    let whole = into
        .get_mut(..own + over)
        .is_some_and(|all| memory.read(from, all));
    let held = if whole { own + over } else { own };
    if !whole
        && !into
            .get_mut(..own)
            .is_some_and(|all| memory.read(from, all))
    {
        return false;
    }
    if let Some(nothing) = into.get_mut(held..) {
        nothing.fill(0);
    }
    search.finding.bytes_read += own as u64;
    look(search, from, into);
    true
}

/// Looks at all words that can be the first of a header. Every header has an address among its
/// first three words: most of what is no header is passed over by that alone.
fn look(search: &mut Search<'_>, address: u64, bytes: &[u8]) {
    let words = bytes.as_chunks::<8>().0;
    let (least, span) = search.span();
    let is_address = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_sub(least) < span;
    let mut first = words.first().is_some_and(is_address);
    let mut second = words.get(1).is_some_and(is_address);
    for (index, window) in words.windows(WORDS).enumerate() {
        let Ok(window): Result<&[[u8; 8]; WORDS], _> = window.try_into() else {
            continue;
        };
        let third = is_address(&window[2]);
        if first | second | third {
            let words = window.map(u64::from_le_bytes);
            let header = address + index as u64 * 8;
            headers::look(search, header, &words, [first, second, third]);
        }
        (first, second) = (second, third);
    }
}

/// Regions that touch are one: a block may lie across.
pub(super) fn joined(regions: &[Region]) -> Vec<Region> {
    let mut joined: Vec<Region> = Vec::with_capacity(regions.len());
    for &region in regions {
        match joined.last_mut() {
            Some(last) if last.end == region.start => last.end = region.end,
            _ => joined.push(region),
        }
    }
    joined
}
