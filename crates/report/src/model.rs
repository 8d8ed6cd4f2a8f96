//! The report: what the JSON output holds, field by field.
//!
//! Units are in the names. Times are nanoseconds since recording began
//! ([`Process::start_unix_ns`] ties them to the wall clock). `None` means that it cannot be
//! known, never zero.

mod advice;
mod event;
mod map;
mod memory;
mod module;
mod other;
mod peak;
mod profile;
mod site;
#[cfg(feature = "json")]
mod unknown;
mod word;

pub use advice::*;
pub use event::*;
pub use map::*;
pub use memory::*;
pub use module::*;
pub use other::*;
pub use peak::*;
pub use profile::*;
pub use site::*;
pub use word::Word;

/// The error of a sum whose parts have these errors and depend on chance apart from each other: the
/// squares add up. (Not `hypot`: the preload library has this code, and the C library's mathematics,
/// loaded for it alone, would take 0.9 MiB of the address space of every program.)
pub(crate) fn error_of_sum(one: f64, other: f64) -> f64 {
    (one * one + other * other).sqrt()
}

/// Version of the report format.
pub const VERSION: u32 = 1;

/// Everything that a recording says, classified and with names.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// Always `mapgrow-report`.
    #[cfg_attr(feature = "json", serde(deserialize_with = "word::word"))]
    pub format: Word,
    /// Version of this format; raised when a field changes its meaning.
    pub version: u32,
    /// Whose recording this is.
    pub process: Process,
    /// How it was recorded.
    pub settings: Settings,
    /// What the process could still have when this was recorded; `None` when nobody knows.
    pub memory: Option<Memory>,
    /// Sums over all containers.
    pub totals: Totals,
    /// The peak of all recorded blocks and its parts; `None` when nothing was recorded.
    pub peak: Option<Peak>,
    /// Containers by the place in the program that allocates their tables, most harmful first.
    pub sites: Vec<Site>,
    /// Containers as the program's author knows them, most harmful first: those of one type that
    /// began to grow at one line, with what they did at other places since. Each is made of whole
    /// sites, and each site is in one of them. Empty in a report of heap profiles.
    #[cfg_attr(feature = "json", serde(default))]
    pub blocks: Vec<Site>,
    /// Places that hold most in blocks that are no container's, at most five, largest first. Of a
    /// merged report: the sums over those that each process names.
    #[cfg_attr(feature = "json", serde(default))]
    pub others: Vec<OtherPlace>,
    /// Live maps, largest first.
    pub maps: Vec<Map>,
    /// What happened, oldest first, as far back as the recording's rings reach.
    pub timeline: Vec<Event>,
    /// Marks set by the program.
    pub marks: Vec<Mark>,
    /// Threads seen.
    pub threads: Vec<Thread>,
    /// Objects that were loaded.
    #[cfg_attr(feature = "json", serde(default))]
    pub modules: Vec<LoadedModule>,
    /// What is missing or uncertain.
    pub honesty: Honesty,
    /// Of a merged report: the processes it was made of. Empty for a single process.
    #[cfg_attr(
        feature = "json",
        serde(default, skip_serializing_if = "Vec::is_empty")
    )]
    pub members: Vec<Member>,
    /// What a report of heap profiles rests on; `None` for one of a recording.
    pub profile: Option<ProfileFacts>,
}

impl Report {
    /// Containers as the program's author knows them; the sites where nothing tells more.
    #[must_use]
    pub fn blocks(&self) -> &[Site] {
        if self.blocks.is_empty() {
            &self.sites
        } else {
            &self.blocks
        }
    }

    /// The block that a site is part of.
    #[must_use]
    pub fn block_of(&self, site: u32) -> Option<&Site> {
        self.blocks().iter().find(|block| block.has(site))
    }
}

/// A process of a merged report.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Member {
    /// What it is called in the merged report: `web-1: cache-server 4242`.
    pub label: String,
    /// The process.
    pub process: Process,
    /// Its sums.
    pub totals: Totals,
}

/// The recorded process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Process {
    /// Process id; 0 when it is not known, null in JSON.
    #[cfg_attr(feature = "json", serde(with = "unknown"))]
    pub pid: u32,
    /// Process id of the parent; 0 when it is not known, null in JSON.
    #[cfg_attr(feature = "json", serde(with = "unknown"))]
    pub parent_pid: u32,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Command line, one string per argument.
    pub command: Vec<String>,
    /// Wall clock when the process began: at its first allocation, of a child of `fork` at the
    /// first that was recorded; 0 when it is not known, null in JSON.
    #[cfg_attr(feature = "json", serde(with = "unknown"))]
    pub start_unix_ns: u64,
    /// From the start of the process to its last sign of life.
    pub duration_ns: Option<u64>,
    /// How the recording ended.
    pub state: ProcessState,
    /// What asked for this copy: `exit`, `signal`, `api` or `outside`; `None` when it is the
    /// recording itself.
    #[cfg_attr(
        feature = "json",
        serde(default, deserialize_with = "word::maybe_word")
    )]
    pub dump_reason: Option<Word>,
    /// Identity of the recording, hexadecimal.
    pub recording_id: String,
    /// Identity of the recording of the process that this one was forked from.
    pub parent_recording_id: Option<String>,
}

impl Process {
    /// What the program is called: as it was started, which says more than the file that a link
    /// led to.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let exe = self.exe.as_deref().unwrap_or_default();
        let first_argument = self.command.first().map_or("", String::as_str);
        let name = mapgrow_format::program_name(exe.as_bytes(), first_argument.as_bytes());
        // Cut at ASCII characters alone.
        let name = std::str::from_utf8(name).ok()?;
        (!name.is_empty()).then_some(name)
    }
}

/// How a recording ended, as far as it can be told from the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
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
    #[default]
    Unfinished,
}

impl ProcessState {
    /// Whether the process is known to be over.
    #[must_use]
    pub fn ended(self) -> bool {
        matches!(self, Self::Ended | Self::Killed)
    }
}

/// How it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Settings {
    /// `default` or `exact`.
    #[cfg_attr(feature = "json", serde(deserialize_with = "word::word"))]
    pub mode: Word,
    /// Smallest table recorded with certainty.
    pub floor_bytes: u64,
    /// Mean bytes between samples of table-shaped blocks below the floor.
    pub sample_tables_bytes: u64,
    /// Mean bytes between samples of all other blocks below the floor.
    pub sample_heap_bytes: u64,
    /// CPU budget per thread, parts per million; `None` without a budget.
    pub budget_ppm: Option<u64>,
    /// Bound of the recording; 0 when it is not known, null in JSON.
    #[cfg_attr(feature = "json", serde(with = "unknown"))]
    pub max_memory_bytes: u64,
    /// Allocator behind the recorder: `jemalloc`, `custom` or `program`.
    #[cfg_attr(
        feature = "json",
        serde(default, deserialize_with = "word::maybe_word")
    )]
    pub backend: Option<Word>,
    /// Signal that asks for a dump; `None` when none was taken.
    pub signal: Option<u64>,
}

/// Sums over all containers.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Totals {
    /// Bytes of live tables.
    pub live_bytes: u64,
    /// Largest number of live bytes at one moment; an upper bound when `peak_error_bytes` > 0.
    /// Never less than `est_live_bytes`.
    pub peak_bytes: u64,
    /// Whether samples stand for a good part of what is live, or of what was. Nobody knows what they
    /// stood for at each moment: the true peak is then at least `peak_bytes` less `peak_error_bytes`,
    /// and at least `est_live_bytes` within its error; nothing bounds it from above.
    #[cfg_attr(feature = "json", serde(default))]
    pub peak_at_least: bool,
    /// The true peak is at most this far below `peak_bytes`.
    pub peak_error_bytes: u64,
    /// When the peak was reached; `None` when it is only bounded.
    pub peak_at_ns: Option<u64>,
    /// Resizes.
    pub resizes: u64,
    /// Bytes of all tables ever allocated.
    pub allocated_bytes: u64,
    /// Bytes moved from old tables to new ones.
    pub copied_bytes: Option<u64>,
    /// Largest old and new table that were live side by side in one resize.
    pub overlap_peak_bytes: u64,
    /// When that was.
    pub overlap_peak_at_ns: Option<u64>,
    /// Time that threads spent in resizes.
    pub pause_total_ns: Option<u64>,
    /// Longest single resize.
    pub pause_max_ns: Option<u64>,
    /// Live maps.
    pub maps_live: Option<u64>,
    /// All live heap bytes, containers or not; `None` when it is not known.
    pub heap_live_bytes: Option<u64>,
    /// `heap_live_bytes` is at most this far off; two standard errors where it is estimated from
    /// samples, as under the preload library.
    pub heap_live_error_bytes: u64,
    /// Share of the live heap that containers hold, 0 to 1.
    pub map_share: Option<f64>,
    /// Live recorded blocks that are no container's.
    pub other_live_bytes: u64,
    /// Estimate of live container bytes with the sampled ones included.
    pub est_live_bytes: u64,
    /// Standard error of `est_live_bytes`.
    #[cfg_attr(feature = "json", serde(default))]
    pub est_live_error_bytes: u64,
    /// Standard error of `est_allocated_bytes`.
    pub est_allocated_error_bytes: u64,
    /// Estimate of all container bytes ever allocated, with the sampled ones included.
    pub est_allocated_bytes: u64,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Honesty {
    /// Events that are no longer in the timeline. Counts of sites include them.
    pub events_dropped: u64,
    /// From when on the timeline has every event; 0 when none was dropped, `None` when the
    /// recording holds no calibration of its clock.
    #[cfg_attr(feature = "json", serde(default))]
    pub timeline_complete_from_ns: Option<u64>,
    /// Blocks whose site did not fit the site table.
    pub sites_folded: u64,
    /// Places of containers of which a call stack was cut short.
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
    /// Live tables that nobody looked into, for want of time or room.
    #[cfg_attr(feature = "json", serde(default))]
    pub tables_not_read: u64,
    /// Whether recording was paused when this copy was taken.
    #[cfg_attr(feature = "json", serde(default))]
    pub paused: bool,
    /// How often it was paused. What was allocated meanwhile is in no figure.
    #[cfg_attr(feature = "json", serde(default))]
    pub pauses: u64,
    /// Allocated minus freed minus live bytes over all recorded sites: 0 unless blocks were in
    /// flight when this copy was taken.
    pub conservation_difference_bytes: i64,
    /// Live maps that are counted but not listed in `maps`.
    pub maps_omitted: u64,
    /// Sentences on all this, and on what could not be resolved.
    pub notes: Vec<String>,
}
