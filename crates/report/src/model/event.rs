//! The timeline.

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum EventKind {
    /// The first table of a map.
    Create,
    /// A larger table took over.
    Grow,
    /// A smaller table took over.
    Shrink,
    /// A table of the same size took over.
    Rehash,
    /// The program filled a new container and dropped the old.
    Rebuild,
    /// Either a resize or a rebuild.
    Replace,
    /// A growth was given up.
    Aborted,
    /// The last table of a map was freed.
    Drop,
    /// The program set a mark.
    Mark,
}

impl EventKind {
    /// What a resize between tables of these sizes is.
    pub(crate) fn of_sizes(old: u64, new: u64) -> Self {
        match new.cmp(&old) {
            std::cmp::Ordering::Greater => Self::Grow,
            std::cmp::Ordering::Less => Self::Shrink,
            std::cmp::Ordering::Equal => Self::Rehash,
        }
    }
}

/// An event of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Event {
    /// When it ended; `None` when the recording holds no calibration of its clock.
    pub t_ns: Option<u64>,
    /// What happened.
    pub kind: EventKind,
    /// Of a replacement: its number among those of the process, counted from 0.
    pub number: Option<u64>,
    /// The map it happened to.
    pub map: Option<u64>,
    /// For a rebuild or a replace: the map that ended.
    pub old_map: Option<u64>,
    /// Site of the new table, for a drop that of the freed one.
    pub site: Option<u32>,
    /// Thread on which it happened.
    pub thread: Option<String>,
    /// Bytes of the old table.
    pub old_bytes: Option<u64>,
    /// Bytes of the new table.
    pub new_bytes: Option<u64>,
    /// How long it took.
    pub pause_ns: Option<u64>,
    /// For a resize that moved the entries step by step: how long old and new table lived side
    /// by side.
    pub overlap_ns: Option<u64>,
    /// Whether nothing was copied: the block stayed at its address, or the kernel moved its pages.
    pub in_place: bool,
    /// Whether the map's exact history begins here: its old table was below the floor, not
    /// recorded with certainty, and is in no figure but `old_bytes`.
    #[cfg_attr(feature = "json", serde(default))]
    pub late: bool,
    /// Whether the map is a sampled one.
    pub sampled: bool,
    /// For a mark: its label.
    pub label: Option<String>,
}

/// A mark set by the program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Mark {
    /// When.
    pub t_ns: Option<u64>,
    /// Its label.
    pub label: String,
    /// Thread that set it.
    pub thread: Option<String>,
}
