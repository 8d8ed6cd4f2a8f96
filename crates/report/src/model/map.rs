//! Live maps.

use super::Word;

/// A live map.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Map {
    /// Number of the map: that of its first known table.
    pub id: u64,
    /// Site where it was born; `None` when it began below the floor.
    pub site: Option<u32>,
    /// Site of its present table.
    pub table_site: u32,
    /// Address of its present table.
    pub address: u64,
    /// When its first recorded table was allocated.
    pub born_at_ns: Option<u64>,
    /// When its present table was allocated.
    pub table_at_ns: Option<u64>,
    /// Thread that allocated the present table.
    pub thread: Option<String>,
    /// Which implementation it is.
    #[cfg_attr(
        feature = "json",
        serde(default, deserialize_with = "crate::model::word::maybe_word")
    )]
    pub family: Option<Word>,
    /// Type as the program writes it.
    pub type_name: Option<String>,
    /// Buckets of the table.
    pub buckets: Option<u64>,
    /// Buckets that are not empty, where entries hang in chains.
    pub buckets_used: Option<u64>,
    /// Bytes of an element.
    pub element_bytes: Option<u64>,
    /// Bytes of the table.
    pub bytes: u64,
    /// Entries that fit before the next growth.
    pub capacity: Option<u64>,
    /// Entries in the map.
    pub entries: Option<u64>,
    /// Standard error of `entries`: 0 when they were counted.
    pub entries_error: Option<u64>,
    /// Deleted entries whose slots are still taken.
    pub tombstones: Option<u64>,
    /// Entries that can be added before the table grows or is rehashed.
    pub growth_left: Option<u64>,
    /// Entries by buckets.
    pub load: Option<f64>,
    /// Bytes beyond what the entries need.
    pub retained_bytes: Option<u64>,
    /// `retained_bytes` is at most this far off.
    #[cfg_attr(feature = "json", serde(default))]
    pub retained_error_bytes: Option<u64>,
    /// For how long it has kept them, at most: since its table was made.
    pub retained_for_at_most_ns: Option<u64>,
    /// It had at least so many entries when its table was made; `None` when that is its first.
    pub had_entries_at_least: Option<u64>,
    /// What goes on in it, as far as its table shows.
    pub activity: Option<Activity>,
    /// When the table was read for entries and the figures that come from them.
    pub measured_at_ns: Option<u64>,
    /// Sizes of the tables it had, oldest first, the present one last.
    pub tables: Vec<u64>,
    /// Whether `tables` goes back to the map's first table.
    pub history_complete: bool,
    /// How many maps it stands for: 1 unless it was sampled.
    pub weight: f64,
    /// How well the hash spreads the entries, 0 to 1.
    pub hash_quality: Option<f64>,
    /// What is wrong with the hash: `good`, `constant top bits`, `identity-like` or `clustered`.
    #[cfg_attr(
        feature = "json",
        serde(default, deserialize_with = "crate::model::word::maybe_word")
    )]
    pub hash_verdict: Option<Word>,
    /// Where its entries lie, of the largest maps; `None` of a small table and of one that was
    /// not read.
    pub heat: Option<HeatMap>,
    /// Entries per second by which it grows; `None` when it does not, or nobody knows.
    pub entries_per_s: Option<f64>,
    /// That it slowed down or stopped, and that nobody knows when it grows next.
    #[cfg_attr(feature = "json", serde(default))]
    pub slowed: Option<Slowed>,
    /// When it will grow next.
    pub next_resize: Option<NextResize>,
    /// The next resizes, the first of them `next_resize`.
    pub upcoming: Vec<NextResize>,
}

/// How full each part of a table is, from its first bucket to its last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct HeatMap {
    /// Buckets in a part.
    pub buckets_per_part: u64,
    /// Percent of the buckets of each part with an entry, in steps of 6.7.
    pub entries_percent: Vec<u8>,
    /// Percent with a tombstone.
    pub tombstones_percent: Vec<u8>,
}

/// What goes on in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Activity {
    /// Entries are inserted and deleted in turn: tombstones tell. It will be rehashed in place,
    /// or grow, without getting any larger.
    Churning,
    /// Most of what was in it is gone, and its table is still the one for all.
    Emptied,
    /// It has got more entries since its table was made.
    Growing,
    /// It got much less since its table was made than it did before.
    Slowed,
}

/// How a map grew that slowed down, or stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Slowed {
    /// Entries per second that it got since its last resize, on average.
    pub entries_per_s: f64,
    /// How long that is.
    pub for_ns: u64,
    /// Entries per second between that resize and the one before; `None` when there was none:
    /// two readings a moment apart found as many entries.
    pub before_entries_per_s: Option<f64>,
}

/// A resize to come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct NextResize {
    /// Number of entries that triggers it; `None` for a vector, whose entries nobody counts.
    pub at_entries: Option<u64>,
    /// Bytes of the new table.
    pub needs_bytes: u64,
    /// Time until then at the present rate, from when this was recorded; `None` when the process
    /// has ended, and when nobody knows.
    pub eta_ns: Option<u64>,
    /// Whether the new table fits into what the process can still have, beside the old one; of a
    /// resize after the next, what the ones before it took is counted. `None` when it is not
    /// known what is left.
    pub fits: Option<bool>,
    /// Bytes missing for it.
    pub short_bytes: Option<u64>,
}
