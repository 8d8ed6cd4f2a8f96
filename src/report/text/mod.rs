//! The report as text.

pub mod units;

use super::Report;

/// How to show a report as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Columns to fit into.
    pub width: usize,
    /// Whether to use colours.
    pub color: bool,
    /// How many blocks to show.
    pub top: usize,
    /// What a block stands for.
    pub by: By,
    /// What comes first.
    pub sort: Sort,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            width: 100,
            color: false,
            top: 10,
            by: By::Site,
            sort: Sort::Harm,
        }
    }
}

/// What a block of the text report stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A place in the program.
    Site,
    /// A live map.
    Map,
    /// A type of container.
    Type,
    /// A thread.
    Thread,
}

/// What comes first in the text report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// What hurt most: overlap, pauses and bytes copied.
    Harm,
    /// What holds most now.
    Live,
    /// What held most at its peak.
    Peak,
    /// What resized most often.
    Resizes,
    /// What stalled threads longest.
    Pause,
    /// What allocated most.
    Allocated,
}

/// Renders a report.
#[must_use]
pub fn render(report: &Report, options: &TextOptions) -> String {
    let _ = options;
    format!(
        "{} resizes in {}\n",
        report.totals.resizes, report.process.recording_id
    )
}
