//! Goes through memory word by word, in pieces.

use super::{Search, Searched, cpython, hashbrown, libstdcxx};

/// Bytes read at once.
const PIECE: usize = 1 << 20;
/// What can be read or not, as a whole.
const PAGE: u64 = 4096;
/// Words of hashbrown's header, and of the longest ones.
const SHORT: usize = 4;
const LONG: usize = 6;
const _: () = assert!(libstdcxx::WORDS == LONG && cpython::WORDS == LONG);
/// So much of the last piece is looked at again: the longest header, less one word.
const CARRIED: usize = (LONG - 1) * 8;

/// Looks at every word of all regions.
pub(super) fn scan<M: Searched>(search: &mut Search<'_, M>, progress: &mut dyn FnMut(u64)) {
    let mut window = Window {
        bytes: vec![0; CARRIED + PIECE],
        carried: 0,
        next: 0,
    };
    let mut behind = 0;
    let regions = search.regions;
    for region in regions {
        let mut at = region.start;
        while at < region.end {
            let to = region.end.min(at + PIECE as u64);
            let mut parts = Vec::new();
            (search.memory).parts(at, to, &mut |from, to| parts.push((from, to)));
            for (from, to) in parts {
                part(search, &mut window, from, to);
            }
            behind += to - at;
            at = to;
            progress(behind);
        }
    }
}

/// The bytes at hand: the end of those before, if they lie just before, and the new ones.
struct Window {
    bytes: Vec<u8>,
    carried: usize,
    /// Address behind the bytes at hand.
    next: u64,
}

/// Reads one part, and looks at it. What cannot be read at once is tried page by page.
fn part<M: Searched>(search: &mut Search<'_, M>, window: &mut Window, from: u64, to: u64) {
    if piece(search, window, from, to) {
        return;
    }
    let mut at = from;
    while at < to {
        let end = to.min((at / PAGE + 1) * PAGE);
        if !piece(search, window, at, end) {
            search.finding.bytes_unreadable += end - at;
        }
        at = end;
    }
}

fn piece<M: Searched>(search: &mut Search<'_, M>, window: &mut Window, from: u64, to: u64) -> bool {
    let Ok(length) = usize::try_from(to - from) else {
        return false;
    };
    let carried = if window.next == from {
        window.carried
    } else {
        0
    };
    let Some(into) = window.bytes.get_mut(CARRIED..CARRIED + length) else {
        return false;
    };
    if length == 0 || !search.memory.read(from, into) {
        window.carried = 0;
        return false;
    }
    search.finding.bytes_read += length as u64;
    let start = CARRIED - carried;
    if let Some(bytes) = window.bytes.get(start..CARRIED + length) {
        look(search, from - carried as u64, bytes, carried);
    }
    // The last words may be the beginning of a header.
    let kept = (carried + length).min(CARRIED);
    let end = CARRIED + length;
    window.bytes.copy_within(end - kept..end, CARRIED - kept);
    window.carried = kept;
    window.next = to;
    true
}

/// Looks at all words in a row that can be a header, but for those that lie within the bytes
/// `carried` over from the piece before, and were looked at.
fn look<M: Searched>(search: &mut Search<'_, M>, address: u64, bytes: &[u8], carried: usize) {
    let words = bytes.as_chunks::<8>().0;
    let at = |index: usize| address + index as u64 * 8;
    let new = |length: usize| (carried / 8 + 1).saturating_sub(length);
    for (index, four) in words.windows(SHORT).enumerate().skip(new(SHORT)) {
        let [a, b, c, d] = four else { continue };
        let four = [a, b, c, d].map(|word| u64::from_le_bytes(*word));
        if let Some(candidate) = hashbrown::Candidate::of(four, search.group) {
            hashbrown::prove(search, at(index), candidate);
        }
    }
    for (index, six) in words.windows(LONG).enumerate().skip(new(LONG)) {
        let [a, b, c, d, e, f] = six else { continue };
        let six = [a, b, c, d, e, f].map(|word| u64::from_le_bytes(*word));
        if let Some(candidate) = libstdcxx::Candidate::of(six) {
            libstdcxx::prove(search, at(index), candidate);
        } else if let Some(candidate) = cpython::Candidate::of(six) {
            cpython::prove(search, at(index), candidate);
        }
    }
}
