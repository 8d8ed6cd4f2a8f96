//! Sites: containers by the place in the program that allocates their tables.

use super::{Advice, AdviceKind, Word};
use std::sync::Arc;

/// How a family is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum KnownBy {
    /// A function of the container allocated the table.
    Symbol,
    /// The line of source assigns to a map or appends to a slice, and the blocks have sizes that
    /// go with that.
    Source,
    /// The blocks have the sizes and the alignment that only this family gives them.
    Layout,
    /// The blocks replace each other as a growing container's do.
    Behaviour,
}

/// Which blocks the figures of a site count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Coverage {
    /// Every block.
    #[default]
    All,
    /// Every block at or above the floor, if there is any; smaller ones are in the `est_*`
    /// fields.
    AboveFloor,
    /// Samples, whatever the size: nodes of a tree, and everything in a heap profile. The figures
    /// are estimates.
    Sampled,
}

/// A place in a program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Caller {
    /// Function; where no name is known, the object and the offset in it.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line.
    pub line: Option<u32>,
}

/// A site that a block of the report is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Place {
    /// Number of the site.
    pub site: u32,
    /// Its first frame in the program's own code.
    pub caller: Option<Caller>,
    /// The next one outwards.
    #[cfg_attr(feature = "json", serde(default))]
    pub called_by: Option<Caller>,
    /// Resizes into a table of it.
    pub resizes: Option<u64>,
    /// Live maps whose present table is of it.
    pub maps_live: Option<u64>,
    /// Bytes of its live tables.
    pub live_bytes: u64,
    /// How large the maps that grow there should have begun, where that is known and worth it.
    #[cfg_attr(
        feature = "json",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub presize: Option<String>,
}

impl Place {
    /// What a block tells of one of its sites.
    pub(crate) fn of(site: &Site, called_by: Option<Caller>) -> Self {
        let suggestions = site.suggestions.iter();
        let mut presize = suggestions.filter(|one| one.kind == AdviceKind::Presize);
        Self {
            site: site.id,
            caller: site.caller.clone(),
            called_by,
            resizes: site.resizes,
            maps_live: site.maps_live,
            live_bytes: site.live_bytes,
            presize: presize.next().and_then(|one| one.call.clone()),
        }
    }
}

/// One function of a call stack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct StackFrame {
    /// Function; where no name is known, the object and the offset in it. Frames of one report
    /// share their texts.
    pub function: Arc<str>,
    /// Source file.
    pub file: Option<Arc<str>>,
    /// Line.
    pub line: Option<u32>,
    /// Whether it has no frame of its own: it was inlined into the next, or had left by a jump.
    pub inlined: bool,
    /// Return address in the process; inlined frames share that of the physical one. `None` for
    /// code of an interpreted language.
    pub address: Option<u64>,
    /// Object that the address lies in.
    pub module: Option<Arc<str>>,
}

impl StackFrame {
    /// The same without what tells one process from another.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller {
            function: self.function.to_string(),
            file: self.file.as_deref().map(str::to_owned),
            line: self.line,
        }
    }
}

/// Containers whose tables one place in the program allocates.
///
/// The figures count blocks that were recorded with certainty; [`Site::coverage`] says which
/// those are. The `est_*` fields estimate the whole, sampled blocks included, with a standard
/// error.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Site {
    /// Number of the site in the recording.
    pub id: u32,
    /// Numbers of all recorded sites that are shown as this one.
    pub recorded_sites: Vec<u32>,
    /// Which implementation the tables belong to; `None` for a mix that did not fit the site
    /// table.
    #[cfg_attr(
        feature = "json",
        serde(default, deserialize_with = "crate::model::word::maybe_word")
    )]
    pub family: Option<Word>,
    /// How that is known.
    pub known_by: Option<KnownBy>,
    /// Whether all figures (not the `est_*` ones) are exact.
    pub exact: bool,
    /// Which blocks the figures count.
    pub coverage: Coverage,
    /// First frame in the program's own code.
    pub caller: Option<Caller>,
    /// Of a block that another one has type and caller in common with: what of the program called it,
    /// as far in as the two differ.
    #[cfg_attr(
        feature = "json",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub called_from: Option<Caller>,
    /// The call stack, innermost first.
    pub stack: Vec<StackFrame>,
    /// Whether the recorder cut the stack.
    pub stack_truncated: bool,
    /// Type of the container as the program writes it: `HashMap<u64, Session>`.
    pub type_name: Option<String>,
    /// Maps whose first table was allocated here; `None` where a table is only a node.
    pub maps_created: Option<u64>,
    /// Maps that got their first recorded table here, having begun below the floor.
    pub maps_late: Option<u64>,
    /// Maps that ended with a table of this site.
    pub maps_dropped: Option<u64>,
    /// Live maps whose present table is of this site.
    pub maps_live: Option<u64>,
    /// Tables that each of these maps has, where several grow together: all figures count tables.
    #[cfg_attr(feature = "json", serde(default))]
    pub tables_of_each: Option<u64>,
    /// Maps that left: their next table was allocated at another site, where they go on.
    #[cfg_attr(feature = "json", serde(default))]
    pub maps_moved_on: Option<u64>,
    /// Where most of those got their next table.
    #[cfg_attr(feature = "json", serde(default))]
    pub moved_on_to: Option<Caller>,
    /// Of a block of the report: the sites that it is made of, the one where its maps began first.
    /// Empty for a site.
    #[cfg_attr(
        feature = "json",
        serde(default, skip_serializing_if = "Vec::is_empty")
    )]
    pub places: Vec<Place>,
    /// Resizes into a table of this site.
    pub resizes: Option<u64>,
    /// Of these, to a larger table.
    pub grows: Option<u64>,
    /// Of these, to a smaller one.
    pub shrinks: Option<u64>,
    /// Of these, to one of the same size.
    pub rehashes: Option<u64>,
    /// Growths that were begun and given up: the new table was freed.
    pub aborted: Option<u64>,
    /// Times that the program filled a new container and dropped the old.
    pub rebuilds: Option<u64>,
    /// Either a resize or a rebuild: nothing could tell.
    pub replaces: Option<u64>,
    /// Of the resizes, those that copied nothing: the block stayed at its address, or the kernel
    /// moved its pages.
    pub in_place: Option<u64>,
    /// Tables allocated.
    pub allocs: u64,
    /// Tables freed.
    pub frees: u64,
    /// Bytes of live tables.
    pub live_bytes: u64,
    /// Largest value that `live_bytes` had; an upper bound when `peak_live_error_bytes` > 0.
    pub peak_live_bytes: Option<u64>,
    /// The true peak is at most this far below `peak_live_bytes`.
    pub peak_live_error_bytes: Option<u64>,
    /// When the peak was reached.
    pub peak_at_ns: Option<u64>,
    /// Bytes of all tables ever allocated.
    pub allocated_bytes: u64,
    /// Bytes of all tables freed.
    pub freed_bytes: u64,
    /// Bytes moved from old tables to new ones.
    pub copied_bytes: Option<u64>,
    /// Largest old and new table that were live side by side in one resize.
    pub overlap_peak_bytes: Option<u64>,
    /// When that was.
    pub overlap_peak_at_ns: Option<u64>,
    /// Longest time that old and new table lived side by side, of resizes that moved the entries
    /// step by step.
    pub overlap_longest_ns: Option<u64>,
    /// How long resizes took.
    pub pause_ns: Option<Pauses>,
    /// Entries in the live maps: estimated where some stand for others, or only some were read;
    /// `None` where too few were.
    pub entries: Option<u64>,
    /// Standard error of `entries`; 0 where they were counted.
    #[cfg_attr(feature = "json", serde(default))]
    pub entries_error: Option<u64>,
    /// Deleted entries whose slots are still taken, in all live maps; `None` unless all were read.
    pub tombstones: Option<u64>,
    /// Entries that fit into the present tables; `None` unless all were read.
    pub capacity: Option<u64>,
    /// Bytes of live tables beyond what their entries need; estimated as `entries` are.
    pub retained_bytes: Option<u64>,
    /// Standard error of `retained_bytes`; 0 where they were counted.
    #[cfg_attr(feature = "json", serde(default))]
    pub retained_error_bytes: Option<u64>,
    /// Of the map that retains most: for how long, at most. It has had its table so long, and
    /// needed it when it was made.
    pub retained_for_at_most_ns: Option<u64>,
    /// The same map had at least so many entries when its table was made.
    pub had_entries_at_least: Option<u64>,
    /// Smallest and largest table.
    pub smallest_table_bytes: Option<u64>,
    /// Largest table.
    pub largest_table_bytes: Option<u64>,
    /// Sizes that the largest map of this site went through, as far as known.
    pub example_tables: Vec<u64>,
    /// Whether that map had others before the first of these, which are not known any more.
    #[cfg_attr(feature = "json", serde(default))]
    pub example_tables_cut: bool,
    /// When the first table was allocated.
    pub first_at_ns: Option<u64>,
    /// Tables freed, by size (resizes included).
    pub freed_sizes: Vec<SizeCount>,
    /// Live bytes over time.
    pub series: Option<Series>,
    /// Blocks that are counted, but whose beginning and end are not on the timeline; `None` when there
    /// are none.
    #[cfg_attr(feature = "json", serde(default))]
    pub untold: Option<Untold>,
    /// The sampled part; `None` when no sample was taken here.
    pub sampled: Option<Sampled>,
    /// What would help, in words.
    pub advice: Vec<String>,
    /// The same, with what it would save.
    #[cfg_attr(feature = "json", serde(default))]
    pub suggestions: Vec<Advice>,
}

impl Site {
    /// Bytes of live tables with what samples stand for, and the standard error of that: what every
    /// view shows. Sums over all sites are those of the totals.
    #[must_use]
    pub fn live(&self) -> (u64, u64) {
        let counted = (self.live_bytes, 0);
        self.sampled.as_ref().map_or(counted, Sampled::live)
    }

    /// Bytes ever allocated, in the same way.
    #[must_use]
    pub fn allocated(&self) -> (u64, u64) {
        let counted = (self.allocated_bytes, 0);
        self.sampled.as_ref().map_or(counted, Sampled::allocated)
    }

    /// Whether a site is this one, or one that this block is made of: nodes of its tables are, too.
    #[must_use]
    pub fn has(&self, site: u32) -> bool {
        self.id == site || self.sites().any(|own| own == site)
    }

    /// The sites that this block is made of, the one where its maps began first, those of their nodes
    /// last. Some come twice, and ids that the recorder gave are among them.
    pub fn sites(&self) -> impl Iterator<Item = u32> {
        let places = self.places.iter().map(|place| place.site);
        places.chain(self.recorded_sites.iter().copied())
    }
}

/// What samples add to a site. Every `est_*` figure is for the whole site: the blocks recorded
/// with certainty and an unbiased estimate of the others.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Sampled {
    /// Sampled blocks.
    pub samples: u64,
    /// Tables allocated.
    pub est_allocs: f64,
    /// Standard error.
    pub est_allocs_error: f64,
    /// Bytes allocated.
    pub est_allocated_bytes: f64,
    /// Standard error.
    pub est_allocated_bytes_error: f64,
    /// Bytes live.
    pub est_live_bytes: f64,
    /// Standard error.
    pub est_live_bytes_error: f64,
    /// Live tables.
    pub est_maps_live: f64,
    /// Standard error.
    pub est_maps_live_error: f64,
    /// Resizes; `None` where the family has none.
    pub est_resizes: Option<f64>,
    /// Standard error.
    pub est_resizes_error: Option<f64>,
}

impl Sampled {
    /// Live bytes and their standard error.
    pub(crate) fn live(&self) -> (u64, u64) {
        (whole(self.est_live_bytes), whole(self.est_live_bytes_error))
    }

    /// Bytes ever allocated and their standard error.
    pub(crate) fn allocated(&self) -> (u64, u64) {
        let error = whole(self.est_allocated_bytes_error);
        (whole(self.est_allocated_bytes), error)
    }
}

fn whole(figure: f64) -> u64 {
    figure.max(0.0).round() as u64
}

/// How long resizes took, from the allocation of the new table to the free of the old.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Pauses {
    /// Resizes timed.
    pub count: u64,
    /// Sum; `None` when the recording holds no calibration of its clock.
    pub total: Option<u64>,
    /// Median.
    pub p50: Option<u64>,
    /// The median is at most this far off.
    pub p50_error: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// The 99th percentile is at most this far off.
    pub p99_error: Option<u64>,
    /// Longest.
    pub max: Option<u64>,
}

/// Number of tables in a range of sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct SizeCount {
    /// Smallest size counted; sizes below twice this.
    pub from_bytes: u64,
    /// Tables.
    pub count: u64,
}

/// Blocks that are counted and no more: in exact mode those that have not the shape of a table and are
/// below the floor of the default mode, unless a container went on from them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Untold {
    /// Blocks ever allocated.
    pub blocks: u64,
    /// Bytes of those that are live.
    pub live_bytes: u64,
    /// What they held at most in each interval of the site's series: an estimate from above, by the
    /// series and the events of the others. Empty in a merged report.
    #[cfg_attr(feature = "json", serde(default))]
    pub max_live_bytes: Vec<u64>,
}

/// Live bytes over time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Series {
    /// Length of an interval.
    pub interval_ns: u64,
    /// Largest number of live bytes in each interval since the start, `None` when nothing
    /// happened in it.
    pub max_live_bytes: Vec<Option<u64>>,
    /// Live bytes at the end of each interval; `None` where events that were dropped would tell,
    /// empty where none were looked at. At most so many where some blocks have no events.
    #[cfg_attr(feature = "json", serde(default))]
    pub last_live_bytes: Vec<Option<u64>>,
    /// Whether the figures are exact or upper bounds.
    pub exact: bool,
}
