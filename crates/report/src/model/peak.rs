//! The peak and its parts.

/// The most bytes that were live at one moment in all recorded blocks, containers' and others,
/// and what of them was old tables beside new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Peak {
    /// Bytes at the peak.
    pub bytes: u64,
    /// When it was.
    pub at_ns: Option<u64>,
    /// Of them, in old and new tables of resizes that were under way; `None` when the timeline
    /// does not reach back to the peak.
    pub overlap_bytes: Option<u64>,
    /// Of those, what would not have been there had old and new not been live side by side.
    pub extra_bytes: Option<u64>,
    /// The same by site, largest first.
    pub sites: Vec<PeakSite>,
    /// What the peak would have been had no old table ever been live beside its successor.
    pub without_overlap_bytes: u64,
    /// The true figure is at most this far below: the timeline does not reach back to the start.
    pub without_overlap_error_bytes: u64,
}

/// A site's part in the peak.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct PeakSite {
    /// The site.
    pub site: u32,
    /// Bytes of old and new tables.
    pub overlap_bytes: u64,
    /// Of those, the part that side by side costs.
    pub extra_bytes: u64,
}
