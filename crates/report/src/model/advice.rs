//! What would help, and what it would save.

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum AdviceKind {
    /// Give the map its final size at once.
    Presize,
    /// Give back what a map kept after its entries were deleted.
    Shrink,
    /// Fill a map anew to be rid of its tombstones.
    Rebuild,
    /// Set a limit to a map that only ever grows.
    Bound,
    /// Take another hash for the keys.
    Hasher,
    /// Divide a map whose resizes stall for long.
    Split,
    /// Keep one container and clear it, instead of making a new one each time.
    Reuse,
}

/// A piece of advice.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Advice {
    /// What to do.
    pub kind: AdviceKind,
    /// The same in words.
    pub text: String,
    /// Of advice to presize: what to do, without what it saves.
    #[cfg_attr(
        feature = "json",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub call: Option<String>,
    /// What it would save.
    pub saves: Saving,
    /// Bytes that a map takes more on average if this is followed; `None` where none is.
    pub risks_bytes: Option<u64>,
}

/// What following a piece of advice would save; `None` where it has no part in it.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Saving {
    /// Resizes, of those that were or of those that come next.
    pub resizes: Option<u64>,
    /// Bytes that live tables would hold less: now, or after the next resize.
    pub live_bytes: Option<u64>,
    /// Bytes of tables that would not have been allocated.
    pub allocated_bytes: Option<u64>,
    /// Bytes that would not have been moved.
    pub copied_bytes: Option<u64>,
    /// By so much the largest old and new table side by side would be smaller.
    pub overlap_bytes: Option<u64>,
    /// Bytes that the largest map would take less at its peak, which is when old and new table lie side
    /// by side.
    #[cfg_attr(feature = "json", serde(default))]
    pub peak_bytes: Option<u64>,
    /// Keys that a look-up of an absent key would compare less.
    pub comparisons: Option<f64>,
}
