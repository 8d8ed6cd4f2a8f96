//! Puts a report together.

use super::Options;
use super::clock::Clock;
use super::model::{Honesty, Mark, Report, Totals};
use super::process::{self, Threads};
use super::symbols::Symbolizer;
use crate::recording::layout::header;
use crate::recording::reader::Recording;

/// Version of the report format.
const VERSION: u32 = 1;

pub(super) fn build(
    recording: &Recording,
    symbolizer: &mut dyn Symbolizer,
    options: &Options,
) -> Report {
    let clock = Clock::of(recording);
    let threads = Threads::of(recording);
    Report {
        format: "mapgrow-report",
        version: VERSION,
        process: process::process(recording, &clock, options),
        settings: process::settings(recording),
        totals: Totals::default(),
        sites: Vec::new(),
        maps: Vec::new(),
        timeline: Vec::new(),
        marks: marks(recording, &clock, &threads),
        threads: threads.model(&clock),
        honesty: honesty(recording, symbolizer, &threads),
    }
}

fn marks(recording: &Recording, clock: &Clock, threads: &Threads) -> Vec<Mark> {
    let marks = recording.marks().into_iter();
    marks
        .map(|mark| Mark {
            t_ns: clock.moment(mark.ticks),
            thread: threads.label(mark.thread, mark.ticks),
            label: mark.label,
        })
        .collect()
}

fn honesty(recording: &Recording, symbolizer: &dyn Symbolizer, threads: &Threads) -> Honesty {
    let threads = threads.all();
    Honesty {
        events_dropped: 0,
        sites_folded: recording.header(header::SITES_FOLDED),
        stacks_truncated: recording.header(header::STACKS_TRUNCATED),
        maps_untracked: recording.header(header::TABLES_UNTRACKED),
        memo_mismatches: threads
            .iter()
            .map(|thread| thread.memo_mismatches)
            .fold(0, u64::saturating_add),
        memo_checks: threads
            .iter()
            .map(|thread| thread.memo_checks)
            .fold(0, u64::saturating_add),
        self_bytes: recording
            .header(header::COMMITTED_BYTES)
            .saturating_add(recording.header(header::PRIVATE_BYTES)),
        resizes_folded: recording.header(header::EDGES_FOLDED),
        history_dropped: recording.header(header::HISTORY_DROPPED),
        budget_skipped: recording.header(header::BUDGET_SKIPPED),
        budget_skipped_bytes: recording.header(header::BUDGET_SKIPPED_BYTES),
        frees_unknown: recording.header(header::FREES_UNKNOWN),
        threads_folded: recording.header(header::THREADS_FOLDED),
        modules_dropped: recording.header(header::MODULES_DROPPED),
        records_unreadable: 0,
        conservation_difference_bytes: 0,
        maps_omitted: 0,
        notes: symbolizer.warnings(),
    }
}
