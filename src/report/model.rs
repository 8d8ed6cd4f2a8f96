//! The report: what the JSON output holds, field by field.
//!
//! Units are in the names. Times are nanoseconds since recording began
//! ([`Process::start_unix_ns`] ties them to the wall clock). `None` means that it cannot be
//! known, never zero.

/// Everything that a recording says, classified and with names.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Report {
    /// Always `mapgrow-report`.
    pub format: &'static str,
    /// Version of this format; raised when a field changes its meaning.
    pub version: u32,
    /// Whose recording this is.
    pub process: Process,
    /// How it was recorded.
    pub settings: Settings,
    /// Sums over all containers.
    pub totals: Totals,
    /// Containers by the place in the program that allocates their tables, most harmful first.
    pub sites: Vec<Site>,
    /// Live maps, largest first.
    pub maps: Vec<Map>,
    /// What happened, oldest first, as far back as the recording's rings reach.
    pub timeline: Vec<Event>,
    /// Marks set by the program.
    pub marks: Vec<Mark>,
    /// Threads seen.
    pub threads: Vec<Thread>,
    /// What is missing or uncertain.
    pub honesty: Honesty,
}

/// The recorded process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Command line, one string per argument.
    pub command: Vec<String>,
    /// Wall clock when recording began.
    pub start_unix_ns: u64,
    /// From the start of the recording to its last sign of life.
    pub duration_ns: Option<u64>,
    /// How the recording ended.
    pub state: ProcessState,
    /// What asked for this copy: `exit`, `signal`, `api` or `outside`; `None` when it is the
    /// recording itself.
    pub dump_reason: Option<&'static str>,
    /// Identity of the recording, hexadecimal.
    pub recording_id: String,
    /// Identity of the recording of the process that this one was forked from.
    pub parent_recording_id: Option<String>,
}

/// How a recording ended, as far as it can be told from the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum ProcessState {
    /// The process ended in an orderly way.
    Ended,
    /// The process ended without a word.
    Killed,
    /// The process runs.
    Live,
    /// A copy taken while the process ran.
    Snapshot,
    /// The recording was not finished, and nobody said whether the process still runs.
    Unfinished,
}

/// How it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Settings {
    /// `default` or `exact`.
    pub mode: &'static str,
    /// Smallest table recorded with certainty.
    pub floor_bytes: u64,
    /// Mean bytes between samples of table-shaped blocks below the floor.
    pub sample_tables_bytes: u64,
    /// Mean bytes between samples of all other blocks below the floor.
    pub sample_heap_bytes: u64,
    /// CPU budget per thread, parts per million; `None` without a budget.
    pub budget_ppm: Option<u64>,
    /// Bound of the recording.
    pub max_memory_bytes: u64,
    /// Allocator behind the recorder: `jemalloc`, `custom` or `program`.
    pub backend: Option<&'static str>,
    /// Signal that asks for a dump; `None` when none was taken.
    pub signal: Option<u64>,
}

/// Sums over all containers.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Totals {
    /// Bytes of live tables.
    pub live_bytes: u64,
    /// Largest number of live bytes at one moment; an upper bound when `peak_error_bytes` > 0.
    pub peak_bytes: u64,
    /// The true peak is at most this far below `peak_bytes`.
    pub peak_error_bytes: u64,
    /// When the peak was reached; `None` when it is only bounded.
    pub peak_at_ns: Option<u64>,
    /// Resizes.
    pub resizes: u64,
    /// Bytes of all tables ever allocated.
    pub allocated_bytes: u64,
    /// Bytes moved from old tables to new ones.
    pub copied_bytes: u64,
    /// Largest old and new table that were live side by side in one resize.
    pub overlap_peak_bytes: u64,
    /// When that was.
    pub overlap_peak_at_ns: Option<u64>,
    /// Time that threads spent in resizes.
    pub pause_total_ns: Option<u64>,
    /// Longest single resize.
    pub pause_max_ns: Option<u64>,
    /// Live maps.
    pub maps_live: u64,
    /// All live heap bytes, containers or not; `None` when it is not known.
    pub heap_live_bytes: Option<u64>,
    /// `heap_live_bytes` is at most this far off.
    pub heap_live_error_bytes: u64,
    /// Share of the live heap that containers hold, 0 to 1.
    pub map_share: Option<f64>,
    /// Live recorded blocks that are no container's.
    pub other_live_bytes: u64,
    /// Estimate of live container bytes with the sampled ones included.
    pub est_live_bytes: u64,
    /// Standard error of `est_allocated_bytes`.
    pub est_allocated_error_bytes: u64,
    /// Estimate of all container bytes ever allocated, with the sampled ones included.
    pub est_allocated_bytes: u64,
}

/// How a family is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum KnownBy {
    /// A function of the container allocated the table.
    Symbol,
    /// The blocks have the sizes and the alignment that only this family gives them.
    Layout,
    /// The blocks replace each other as a growing container's do.
    Behaviour,
}

/// Which blocks the figures of a site count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Coverage {
    /// Every block.
    All,
    /// Every block at or above the floor; smaller ones are in the `est_*` fields.
    AboveFloor,
    /// No block was recorded with certainty: the figures are estimates from samples.
    Sampled,
}

/// A place in a program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Caller {
    /// Function; where no name is known, the object and the offset in it.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line.
    pub line: Option<u32>,
}

/// One function of a call stack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct StackFrame {
    /// Function; where no name is known, the object and the offset in it.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line.
    pub line: Option<u32>,
    /// Whether it was inlined into the next frame.
    pub inlined: bool,
    /// Return address in the process; inlined frames share that of the physical one.
    pub address: u64,
    /// Object that the address lies in.
    pub module: Option<String>,
}

/// Containers whose tables one place in the program allocates.
///
/// The figures count blocks that were recorded with certainty; [`Site::coverage`] says which
/// those are. The `est_*` fields estimate the whole, sampled blocks included, with a standard
/// error.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Site {
    /// Number of the site in the recording.
    pub id: u32,
    /// Numbers of all recorded sites that are shown as this one.
    pub recorded_sites: Vec<u32>,
    /// Which implementation the tables belong to; `None` for a mix that did not fit the site
    /// table.
    pub family: Option<&'static str>,
    /// How that is known.
    pub known_by: Option<KnownBy>,
    /// Whether all figures (not the `est_*` ones) are exact.
    pub exact: bool,
    /// Which blocks the figures count.
    pub coverage: Coverage,
    /// First frame in the program's own code.
    pub caller: Option<Caller>,
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
    /// Of the resizes, those that stayed at their address.
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
    /// How long resizes took.
    pub pause_ns: Option<Pauses>,
    /// Entries in the live maps; `None` unless the tables of all of them were read.
    pub entries: Option<u64>,
    /// Deleted entries whose slots are still taken, in all live maps.
    pub tombstones: Option<u64>,
    /// Entries that fit into the present tables.
    pub capacity: Option<u64>,
    /// Bytes of live tables beyond what their entries need.
    pub retained_bytes: Option<u64>,
    /// Smallest and largest table.
    pub smallest_table_bytes: Option<u64>,
    /// Largest table.
    pub largest_table_bytes: Option<u64>,
    /// Sizes that the largest map of this site went through, as far as known.
    pub example_tables: Vec<u64>,
    /// When the first table was allocated.
    pub first_at_ns: Option<u64>,
    /// Tables freed, by size (resizes included).
    pub freed_sizes: Vec<SizeCount>,
    /// Live bytes over time.
    pub series: Option<Series>,
    /// The sampled part; `None` when no sample was taken here.
    pub sampled: Option<Sampled>,
    /// What would help.
    pub advice: Vec<String>,
}

/// What samples add to a site. Every `est_*` figure is for the whole site: the blocks recorded
/// with certainty and an unbiased estimate of the others.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
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
}

/// How long resizes took, from the allocation of the new table to the free of the old.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
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
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct SizeCount {
    /// Smallest size counted; sizes below twice this.
    pub from_bytes: u64,
    /// Tables.
    pub count: u64,
}

/// Live bytes over time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Series {
    /// Length of an interval.
    pub interval_ns: u64,
    /// Largest number of live bytes in each interval since the start, `None` when nothing
    /// happened in it.
    pub max_live_bytes: Vec<Option<u64>>,
    /// Whether the figures are exact or upper bounds.
    pub exact: bool,
}

/// A live map.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
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
    pub family: Option<&'static str>,
    /// Type as the program writes it.
    pub type_name: Option<String>,
    /// Buckets of the table.
    pub buckets: Option<u64>,
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
    pub hash_verdict: Option<&'static str>,
    /// When it will grow next.
    pub next_resize: Option<NextResize>,
    /// The next resizes, the first of them `next_resize`.
    pub upcoming: Vec<NextResize>,
}

/// A resize to come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct NextResize {
    /// Number of entries that triggers it.
    pub at_entries: u64,
    /// Bytes of the new table.
    pub needs_bytes: u64,
    /// Time until then at the present rate.
    pub eta_ns: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
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

/// An event of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
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
    /// Whether the table stayed at its address.
    pub in_place: bool,
    /// Whether the map is a sampled one.
    pub sampled: bool,
    /// For a mark: its label.
    pub label: Option<String>,
}

/// A mark set by the program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Mark {
    /// When.
    pub t_ns: Option<u64>,
    /// Its label.
    pub label: String,
    /// Thread that set it.
    pub thread: Option<String>,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Thread {
    /// Name and thread id, as other parts of the report refer to it.
    pub label: String,
    /// Thread id.
    pub tid: u32,
    /// Whether it still ran.
    pub running: bool,
    /// Heap bytes that it allocated, up to 64 KiB behind.
    pub allocated_bytes: u64,
    /// Heap bytes that it freed, up to 64 KiB behind.
    pub freed_bytes: u64,
    /// Time it spent in the recorder's cold path.
    pub recorder_ns: Option<u64>,
}

/// What is missing or uncertain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Honesty {
    /// Events that are no longer in the timeline. Counts of sites include them.
    pub events_dropped: u64,
    /// Blocks whose site did not fit the site table.
    pub sites_folded: u64,
    /// Stacks cut short.
    pub stacks_truncated: u64,
    /// Maps for which there was no room.
    pub maps_untracked: u64,
    /// Stacks that the memo took for another, as far as checked.
    pub memo_mismatches: u64,
    /// Checks of the memo.
    pub memo_checks: u64,
    /// Bytes that the recorder itself uses.
    pub self_bytes: u64,
    /// Resizes counted without their place, because the edge table was full.
    pub resizes_folded: u64,
    /// Resizes missing from the chain of their map.
    pub history_dropped: u64,
    /// Blocks at or above the floor that the CPU budget left out.
    pub budget_skipped: u64,
    /// Bytes of those.
    pub budget_skipped_bytes: u64,
    /// Frees of blocks from before recording began.
    pub frees_unknown: u64,
    /// Threads that found no slot.
    pub threads_folded: u64,
    /// Loaded objects that found no room.
    pub modules_dropped: u64,
    /// Records that were being written when this copy was taken, or that make no sense.
    pub records_unreadable: u64,
    /// Allocated minus freed minus live bytes over all recorded sites: 0 unless blocks were in
    /// flight when this copy was taken.
    pub conservation_difference_bytes: i64,
    /// Live maps that are counted but not listed in `maps`.
    pub maps_omitted: u64,
    /// Sentences on all this, and on what could not be resolved.
    pub notes: Vec<String>,
}
