//! How well a hash spreads the entries of a table.

use super::scan::Spread;

/// What is wrong with a hash, as far as its table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashVerdict {
    /// Nothing.
    Good,
    /// The top bits of the hash are the same for many entries.
    ConstantTopBits,
    /// The entries lie as their numbers do, and the top bits do not differ.
    IdentityLike,
    /// Many entries want the same places.
    Clustered,
}

/// How well a hash spreads the entries of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HashQuality {
    /// Verdict.
    pub verdict: HashVerdict,
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

impl HashQuality {
    /// From 0 to 1.
    #[must_use]
    pub fn score(&self) -> f64 {
        1.0
    }

    pub(super) fn encode(&self) -> u64 {
        self.verdict as u64
    }

    pub(super) fn decode(_word: u64) -> Option<Self> {
        None
    }
}

pub(super) fn judge(_spread: &Spread, _buckets: u64) -> Option<HashQuality> {
    None
}
