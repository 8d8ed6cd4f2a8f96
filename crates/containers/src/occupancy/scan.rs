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

/// Counts the control bytes in `bytes`; `None` when one of them is none.
pub(crate) fn count(bytes: &[u8]) -> Option<Counts> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES * 0x80;
    let (words, rest) = bytes.as_chunks::<8>();
    let (mut special, mut empty, mut wrong) = (0_u64, 0_u64, 0_u64);
    for word in words {
        let word = u64::from_le_bytes(*word);
        let high = word & HIGH;
        // Where the high bit is set, the other seven must be all equal.
        let low = word & ((high >> 7) * 0x7F);
        let ones = low & ONES;
        wrong |= low ^ (ones * 0x7F);
        special += u64::from(high.count_ones());
        empty += u64::from(ones.count_ones());
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
            let full = window.iter().filter(|&&byte| byte < DELETED).count();
            bump(&mut self.fill, full);
            let no_room = full == WINDOW;
            if let Some(before) = before.replace(no_room) {
                self.neighbours = self.neighbours.saturating_add(1);
                self.edges = self.edges.saturating_add(u32::from(before != no_room));
            }
            if with_tags {
                for &byte in window {
                    bump(&mut self.tags, usize::from(byte));
                }
                self.tags_seen += full as u64;
            }
        }
    }
}

/// Adds one to a counter, if there is such a one.
fn bump(counters: &mut [u32], at: usize) {
    if let Some(counter) = counters.get_mut(at) {
        *counter = counter.saturating_add(1);
    }
}
