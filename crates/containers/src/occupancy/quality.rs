//! How well a hash spreads the entries of a table, judged by effect, not by significance: with
//! millions of entries any difference is significant, and hardly any matters.
//!
//! A lookup compares its key with every entry of a group that has the same tag, and goes on to
//! the next group until it meets an empty bucket. So two things make it slow. If tags repeat more often than one in
//! 128, it compares keys in vain: [`HashQuality::tag_repeats`]. If entries pile up
//! in windows that have no room left while others stay empty, it has to look at many:
//! [`HashQuality::packed`]. What deletes leave behind must not be taken for the latter: whole stretches of
//! windows may be empty then, but those that are not are no fuller than before.

use super::scan::{Spread, WINDOW};

/// Entries below which tags say nothing.
const LEAST_TAGS: u64 = 64;
/// Windows below which the fill says nothing.
const LEAST_WINDOWS: u64 = 64;
/// So many times one in 128 tags must repeat to be worth a word: a lookup in vain then compares
/// about half a key.
const BAD_REPEATS: f64 = 5.0;
/// Share of the entries in packed windows that no good hash reaches at any load.
const BAD_PACKED: f64 = 0.85;
/// Tags that repeat so often are all the same, but for a few.
const SAME_TAG: f64 = 100.0;
/// Full windows lie scattered if so many of the edges are there that they would have in a random
/// order.
const SCATTERED: f64 = 0.5;
/// Fewer edges say nothing of the order.
const LEAST_EDGES: u32 = 8;
/// Variances of the fill, as a share of a random one's, between which it is random.
const RANDOM_FILL: (f64, f64) = (0.35, 4.0);

/// What is wrong with a hash, as far as its table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashVerdict {
    /// Nothing.
    Good,
    /// The top bits of the hash are the same for many entries.
    ConstantTopBits,
    /// The top bits are the same, and the entries lie as their numbers do: the hash is, or
    /// hardly differs from, the number.
    IdentityLike,
    /// Many entries want the same places: it takes many steps to find one, or to learn that it
    /// is not there.
    Clustered,
}

/// How well a hash spreads the entries of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HashQuality {
    /// Verdict.
    pub verdict: HashVerdict,
    /// How often two entries have the same tag, as a multiple of one in 128: from 1 for a good
    /// hash to 128 when all are the same.
    pub tag_repeats: f64,
    /// Share of the entries that lie in windows of 16 buckets without an empty one.
    pub packed: f64,
    /// Variance of the number of entries in a window, as a multiple of a random one's.
    pub fill_variance: f64,
}

impl HashVerdict {
    /// As the report writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::ConstantTopBits => "constant top bits",
            Self::IdentityLike => "identity-like",
            Self::Clustered => "clustered",
        }
    }
}

/// Units in 1 of the numbers as they are stored.
const TAG_UNITS: f64 = 256.0;
const PACKED_UNITS: f64 = 65535.0;
const FILL_UNITS: f64 = 1024.0;

impl HashQuality {
    /// 1 for a good hash, less for a worse one: 1 divided by how many times as dear a lookup is as with a
    /// good hash. Of lookups that find and lookups that do not, the dearer counts.
    #[must_use]
    pub fn score(&self) -> f64 {
        if self.verdict == HashVerdict::Good {
            return 1.0;
        }
        let packed = self.packed / BAD_PACKED;
        (1.0 / self.tag_repeats.max(packed).max(1.0)).min(1.0)
    }

    pub(crate) fn encode(&self) -> u64 {
        let verdict = match self.verdict {
            HashVerdict::Good => 1,
            HashVerdict::ConstantTopBits => 2,
            HashVerdict::IdentityLike => 3,
            HashVerdict::Clustered => 4,
        };
        let part = |value: f64, units: f64| (value * units).round().clamp(0.0, 65535.0) as u64;
        verdict
            | part(self.tag_repeats, TAG_UNITS) << 8
            | part(self.packed, PACKED_UNITS) << 24
            | part(self.fill_variance, FILL_UNITS) << 40
    }

    pub(crate) fn decode(word: u64) -> Option<Self> {
        let part = |shift: u32, units: f64| (word >> shift & 0xFFFF) as f64 / units;
        let verdict = match word & 0xFF {
            1 => HashVerdict::Good,
            2 => HashVerdict::ConstantTopBits,
            3 => HashVerdict::IdentityLike,
            4 => HashVerdict::Clustered,
            _ => return None,
        };
        Some(Self {
            verdict,
            tag_repeats: part(8, TAG_UNITS),
            packed: part(24, PACKED_UNITS),
            fill_variance: part(40, FILL_UNITS),
        })
    }
}

/// Whether the full windows, a `share` of all, lie scattered over the table.
fn scattered(spread: &Spread, share: f64) -> bool {
    let random = 2.0 * share * (1.0 - share) * f64::from(spread.neighbours);
    spread.edges >= LEAST_EDGES && f64::from(spread.edges) >= SCATTERED * random
}

/// Judges what was seen of a table; `None` when that is too little.
pub(crate) fn judge(spread: &Spread) -> Option<HashQuality> {
    let tags = spread.tags_seen;
    let windows: u64 = spread.fill.iter().map(|&count| u64::from(count)).sum();
    if tags < LEAST_TAGS {
        return None;
    }
    let pairs = spread
        .tags
        .iter()
        .map(|&count| u64::from(count) * u64::from(count).saturating_sub(1))
        .sum::<u64>();
    let tag_repeats = pairs as f64 * 128.0 / (tags as f64 * (tags - 1) as f64);
    let (mut entries, mut squares) = (0.0, 0.0);
    for (fill, &count) in spread.fill.iter().enumerate() {
        let (fill, count) = (fill as f64, f64::from(count));
        entries += fill * count;
        squares += fill * fill * count;
    }
    let mean = entries / windows as f64;
    let random = mean * (1.0 - mean / WINDOW as f64);
    let fill_variance = if random > 0.0 {
        (squares / windows as f64 - mean * mean) / random
    } else {
        1.0
    };
    let full = spread.fill.last().map_or(0.0, |&count| f64::from(count));
    let packed = full * WINDOW as f64 / entries;
    let enough = windows >= LEAST_WINDOWS;
    let clustered = enough && packed >= BAD_PACKED;
    let random_fill = (RANDOM_FILL.0..RANDOM_FILL.1).contains(&fill_variance);
    let verdict = match (tag_repeats >= BAD_REPEATS, clustered) {
        // Numbers in a row fill a stretch of windows. Entries that all want the same place fill
        // windows too, but those that probing leads to.
        (true, true) if scattered(spread, full / windows as f64) => HashVerdict::Clustered,
        (true, _) if tag_repeats >= SAME_TAG && enough && (clustered || !random_fill) => {
            HashVerdict::IdentityLike
        }
        (true, _) => HashVerdict::ConstantTopBits,
        (false, true) => HashVerdict::Clustered,
        (false, false) => HashVerdict::Good,
    };
    Some(HashQuality {
        verdict,
        tag_repeats,
        packed,
        fill_variance,
    })
}
