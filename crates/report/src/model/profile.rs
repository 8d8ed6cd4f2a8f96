//! What a report of heap profiles rests on.

use super::Word;

/// The heap profiles that a report was made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct ProfileFacts {
    /// Language of the program: `go`, where that can be told.
    #[cfg_attr(
        feature = "json",
        serde(default, deserialize_with = "super::word::maybe_word")
    )]
    pub language: Option<Word>,
    /// Number of profiles: figures are those of the last.
    pub profiles: u64,
    /// When the last was taken, ns since 1970.
    pub taken_unix_ns: Option<u64>,
    /// Mean bytes between two samples.
    pub period_bytes: Option<u64>,
    /// How maps are implemented: `swiss` or `buckets`.
    #[cfg_attr(
        feature = "json",
        serde(default, deserialize_with = "super::word::maybe_word")
    )]
    pub map_runtime: Option<Word>,
    /// Bytes of all blocks allocated since the program started, estimated.
    pub allocated_bytes: u64,
    /// Samples, before they were scaled to estimates.
    pub samples: u64,
}
