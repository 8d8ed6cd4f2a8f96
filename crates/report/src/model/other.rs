use super::Caller;

/// A place in the program whose live blocks are no container's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct OtherPlace {
    /// The place; `None` when no frame is the program's own.
    pub caller: Option<Caller>,
    /// Its live blocks that were recorded with certainty.
    pub live_blocks: u64,
    /// Bytes of these.
    pub live_bytes: u64,
    /// Estimate of the bytes of all its live blocks, with the sampled ones included.
    pub est_live_bytes: u64,
    /// Standard error of `est_live_bytes`.
    pub est_live_error_bytes: u64,
}
