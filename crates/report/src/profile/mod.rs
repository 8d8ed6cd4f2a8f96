//! From heap profiles that other tools took, such as Go's, to a report: which maps and slices
//! grew, from which line, what they hold and what it took.
//!
//! A profile is a sample of allocations, scaled to estimates by whoever took it. It knows no
//! single map, no moment and no pause; what it cannot know is `None` in the report.

mod beside;
mod folded;
mod history;
mod rows;
mod sampling;
mod sizes;

use super::model::{LoadedModule, Report};
pub use history::History;
use std::sync::Arc;

/// A heap profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeapProfile {
    /// Path of the program.
    pub program: Option<String>,
    /// When it was taken, ns since 1970.
    pub taken_unix_ns: Option<u64>,
    /// Mean bytes between two samples.
    pub period_bytes: Option<u64>,
    /// Loaded objects.
    pub modules: Vec<LoadedModule>,
    /// Functions, by the index that places use.
    pub functions: Vec<ProfileFunction>,
    /// Places in the code, by the index that samples use.
    pub places: Vec<ProfilePlace>,
    /// Allocations.
    pub samples: Vec<HeapSample>,
}

/// A function of a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileFunction {
    /// Name.
    pub name: Arc<str>,
    /// Source file.
    pub file: Option<Arc<str>>,
}

/// A place in the code, with the functions that were inlined there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfilePlace {
    /// Address of the call in the process.
    pub address: u64,
    /// Object that it lies in, by index.
    pub module: Option<u32>,
    /// Function by index and line, the innermost first.
    pub lines: Vec<(u32, Option<u32>)>,
}

/// Allocations of blocks of one size from one stack: estimates of their number and bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeapSample {
    /// Places by index, the innermost first.
    pub stack: Vec<u32>,
    /// Size of a block, rounded up as the allocator does.
    pub block_bytes: Option<u64>,
    /// Blocks allocated since the program started.
    pub allocated: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Blocks in use.
    pub live: u64,
    /// Their bytes.
    pub live_bytes: u64,
}

/// The type of a map, as the program's binary tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapType {
    /// As the program writes it: `map[string]int`.
    pub name: String,
    /// Whether entries refer to other blocks.
    pub refers: bool,
    /// Bytes of a key and its value, where the binary tells.
    pub slot_bytes: Option<u64>,
}

/// What a line of source does that may grow something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceHint {
    /// Assigns to an index: of a map, or of a slice, which allocates nothing.
    IndexAssign,
    /// Appends to a slice.
    Append,
}

/// Knows what profiles leave out: Go does not tell which functions of its run-time library were
/// at the innermost end of a stack.
pub trait Innermost {
    /// The functions that the call at a place led to, innermost first, or the first of them
    /// alone; empty when that is not known.
    fn called(&mut self, profile: &HeapProfile, place: &ProfilePlace) -> Vec<String>;

    /// The type of the map that the call at a place assigns to.
    fn map_type(&mut self, profile: &HeapProfile, place: &ProfilePlace) -> Option<MapType>;

    /// What the innermost line of a place does, if its source can be read.
    fn source(&mut self, profile: &HeapProfile, place: &ProfilePlace) -> Option<SourceHint>;

    /// Sentences about what could not be found out and why, each once.
    fn warnings(&self) -> Vec<String>;
}

impl Report {
    /// The report of profiles of one process, oldest first: the figures are those of the last,
    /// the timeline is what changed from each to the next. `None` without a profile.
    #[must_use]
    pub fn of_profiles(profiles: &[HeapProfile], innermost: &mut dyn Innermost) -> Option<Self> {
        let mut history = History::default();
        for profile in profiles {
            history.add(profile, innermost);
        }
        history.report()
    }
}
