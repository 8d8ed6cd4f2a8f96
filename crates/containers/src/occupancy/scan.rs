//! What control bytes are: full, deleted, empty or none, sixteen at a time.

/// No entry.
pub(crate) const EMPTY: u8 = 0xFF;
/// An entry was deleted, and the bucket could not be made empty.
pub(crate) const DELETED: u8 = 0x80;

/// Buckets whose fill is looked at as one when the spread of the entries is judged.
pub(crate) const WINDOW: usize = 16;
/// Tags looked at are bounded by this; more do not make the verdict surer.
const TAGS_WANTED: u64 = 1 << 17;

/// Counts over a run of control bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) full: u64,
    pub(crate) deleted: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.full += other.full;
        self.deleted += other.deleted;
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// Bytes of a word that are one, where all others are zero. Adds them up in the highest byte:
/// counting bits takes five times as many instructions on the x86-64 that everything runs on.
fn bytes_set(ones: u64) -> u64 {
    ones.wrapping_mul(ONES) >> 56
}

/// Counts a window of valid control bytes.
pub(super) fn count_window(window: &[u8; WINDOW]) -> Counts {
    let (mut special, mut empty) = (0, 0);
    for word in window.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*word);
        let high = (word & HIGH) >> 7;
        special += bytes_set(high);
        // The lowest bit tells the two apart that have the highest.
        empty += bytes_set(high & word);
    }
    Counts {
        full: WINDOW as u64 - special,
        deleted: special - empty,
    }
}

/// Counts the control bytes in `bytes`; `None` when one of them is none.
pub(crate) fn count(bytes: &[u8]) -> Option<Counts> {
    let (words, rest) = bytes.as_chunks::<8>();
    let (mut special, mut empty, mut wrong) = (0_u64, 0_u64, 0_u64);
    for word in words {
        let word = u64::from_le_bytes(*word);
        let high = word & HIGH;
        // Where the high bit is set, the other seven must be all equal.
        let low = word & ((high >> 7) * 0x7F);
        let ones = low & ONES;
        wrong |= low ^ (ones * 0x7F);
        special += bytes_set(high >> 7);
        empty += bytes_set(ones);
    }
    if wrong != 0 {
        return None;
    }
    let mut counts = Counts {
        full: words.len() as u64 * 8 - special,
        deleted: special - empty,
    };
    for &byte in rest {
        match byte {
            EMPTY => {}
            DELETED => counts.deleted += 1,
            0..DELETED => counts.full += 1,
            _ => return None,
        }
    }
    Some(counts)
}

/// How entries lie in a table and what tags they have: what the quality of a hash is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Entries by tag, over the windows looked at.
    pub(crate) tags: [u32; 128],
    /// Windows by the number of entries in them.
    pub(crate) fill: [u32; WINDOW + 1],
    /// Tags looked at.
    pub(crate) tags_seen: u64,
    /// Windows with a neighbour before them that was looked at, too.
    pub(crate) neighbours: u32,
    /// Of these, those of which one of the two is full and the other is not.
    pub(crate) edges: u32,
}

impl Spread {
    pub(crate) const fn new() -> Self {
        Self {
            tags: [0; 128],
            fill: [0; WINDOW + 1],
            tags_seen: 0,
            neighbours: 0,
            edges: 0,
        }
    }

    /// Adds a run of valid control bytes. `with_tags`: look at the tags, too.
    pub(crate) fn add(&mut self, bytes: &[u8], with_tags: bool) {
        let with_tags = with_tags && self.tags_seen < TAGS_WANTED;
        let mut before = None;
        for window in bytes.as_chunks::<WINDOW>().0 {
            let full = count_window(window).full;
            if let Some(windows) = self.fill.get_mut(full as usize) {
                *windows = windows.saturating_add(1);
            }
            let no_room = full == WINDOW as u64;
            if let Some(before) = before.replace(no_room) {
                self.neighbours = self.neighbours.saturating_add(1);
                self.edges = self.edges.saturating_add(u32::from(before != no_room));
            }
            if with_tags {
                for &byte in window {
                    // No sum of these comes near to the end of its word: see `TAGS_WANTED`.
                    self.tags[usize::from(byte & 0x7F)] += u32::from(byte < DELETED);
                }
                self.tags_seen += full;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of bytes of every mix: control bytes alone, and some that are none.
    #[test]
    fn counts_are_those_of_one_byte_after_the_other() {
        let mut random = 1_u64;
        for round in 0..2_000_u64 {
            let bytes: [u8; 80] = std::array::from_fn(|_| {
                random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                let [.., kind, tag] = random.to_be_bytes()[..2] else {
                    return EMPTY;
                };
                match u64::from(kind) % 8 {
                    part if part < round % 9 => EMPTY,
                    7 if round % 3 == 0 => DELETED,
                    6 if round % 50 == 0 => tag | DELETED,
                    _ => tag & 0x7F,
                }
            });
            let of = |what: &dyn Fn(u8) -> bool| bytes.iter().filter(|&&b| what(b)).count() as u64;
            let counts = Counts {
                full: of(&|byte| byte < DELETED),
                deleted: of(&|byte| byte == DELETED),
            };
            let valid = of(&|byte| byte == EMPTY) + counts.full + counts.deleted == 80;
            assert_eq!(count(&bytes), valid.then_some(counts), "{bytes:02X?}");
            if valid {
                let mut windows = Counts::default();
                let each = bytes.as_chunks::<WINDOW>().0.iter();
                each.for_each(|window| windows.add(count_window(window)));
                assert_eq!(windows, counts, "{bytes:02X?}");
            }
        }
    }
}
