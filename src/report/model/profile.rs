//! What a report of heap profiles rests on.

/// The heap profiles that a report was made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct ProfileFacts {
    /// Language of the program: `go`, where that can be told.
    pub language: Option<&'static str>,
    /// Number of profiles: figures are those of the last.
    pub profiles: u64,
    /// When the last was taken, ns since 1970.
    pub taken_unix_ns: Option<u64>,
    /// Mean bytes between two samples.
    pub period_bytes: Option<u64>,
    /// How maps are implemented: `swiss` or `buckets`.
    pub map_runtime: Option<&'static str>,
    /// Bytes of all blocks allocated since the program started, estimated.
    pub allocated_bytes: u64,
    /// Samples, before they were scaled to estimates.
    pub samples: u64,
}
