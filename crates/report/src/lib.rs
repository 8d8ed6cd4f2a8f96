//! From a recording to answers: the model that the command, the in-process API and the test
//! assertions share. Depends on the recording's reader alone, never on the recorder.
//!
//! ```
//! use mapgrow_format::reader::Recording;
//! use mapgrow_report::symbols::{Frame, Module, Symbolizer};
//! use mapgrow_report::{Options, Report, text};
//!
//! /// Leaves every address without a name.
//! struct Nameless;
//!
//! impl Symbolizer for Nameless {
//!     fn frames(&mut self, _: &Module, _: u64) -> Vec<Frame> {
//!         Vec::new()
//!     }
//! }
//!
//! let bytes = mapgrow_fixture::RecordingBuilder::new().build();
//! let recording = Recording::parse(bytes)?;
//! let report = Report::build(&recording, &mut Nameless, &Options::default());
//! assert_eq!(report.totals.resizes, 0);
//! println!("{}", text::render(&report, &text::TextOptions::default()));
//! # Ok::<(), mapgrow_format::reader::ReadError>(())
//! ```
#![forbid(unsafe_code)]

mod advice;
mod analysis;
mod beyond;
mod build;
mod callers;
mod chains;
mod clock;
mod columns;
mod contents;
pub mod curve;
pub mod diff;
mod elements;
mod ends;
mod facts;
mod figures;
mod forecast;
pub mod gates;
mod groups;
mod heap;
mod holdings;
mod honesty;
mod indexed;
pub mod laws;
mod maps;
pub mod matching;
pub mod measure;
pub mod merge;
mod model;
mod modules;
mod moving;
pub mod outlook;
mod owners;
mod pauses;
mod peak;
mod process;
pub mod profile;
mod relations;
mod replacing;
mod resolve;
mod serials;
pub mod series;
mod sets;
mod sites;
mod strata;
mod succession;
pub mod summary;
pub mod symbols;
pub mod text;
mod timeline;
mod totals;

pub use heap::{Heap, HeapStack};
pub use model::*;

use mapgrow_format::reader::Recording;
use symbols::Symbolizer;

/// What to put into a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether the recorded process still runs, when the caller knows.
    pub alive: Option<bool>,
    /// Bound on the number of live maps listed one by one; the largest are kept.
    pub max_maps: usize,
    /// Whether to fill the timeline.
    pub timeline: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            alive: None,
            max_maps: 10_000,
            timeline: true,
        }
    }
}

impl Report {
    /// Classifies what a recording holds and gives it names.
    #[must_use]
    pub fn build(
        recording: &Recording,
        symbolizer: &mut dyn Symbolizer,
        options: &Options,
    ) -> Self {
        build::build(recording, symbolizer, options)
    }
}

#[cfg(test)]
mod tests;
