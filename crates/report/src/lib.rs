//! From a recording to answers: the model that the command, the in-process API and the test
//! assertions share. Depends on the recording's reader alone, never on the recorder.
//!
//! A report comes about in a line of stages. Each is a folder, imports only what stands to the left
//! of it, and returns a value that no later one changes:
//!
//! ```text
//! recording -> facts -> figures -> rows -> judgement -> report -> text
//!                |         |        |          |                    |
//!              what it   what it  one for    advice, what hangs   words set
//!              says,     adds up  each       together, what is    on a page
//!              resolved  to       place,     uncertain; gates,
//!                                 map and    outlook and diff
//!                                 event      on finished reports
//! ```
//!
//! `words` puts figures and places into words, for judgement, whose results are sentences, and for
//! text. The types of the report itself (`model`) stand below all. `build` runs these stages.
//! Beside it, [`merge`] makes one report of many, [`profile`] makes a report of heap profiles, and
//! [`Heap`] lists the whole heap of a recording.
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

mod build;
mod facts;
mod figures;
pub mod growth;
mod heap;
mod judgement;
pub mod merge;
mod model;
pub mod profile;
mod rows;
pub mod symbols;
pub mod text;
mod words;

pub use heap::{Heap, HeapStack};
pub use judgement::{diff, gates, laws, matching, measure, outlook};
pub use model::*;
pub use rows::{curve, series, summary};

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
