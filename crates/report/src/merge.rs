//! One report from many: processes of one host, or of a fleet.
//!
//! Counts and bytes are added. What each process reached at a moment of its own is bounded: the
//! sum of the peaks is an upper bound, and the error fields say how far the truth can be below.
//! What cannot be put together (a median, the series) is unknown. Times are since the start of
//! the process that began first.

mod blocks;
mod events;
mod sites;

use super::model::{
    Honesty, Member, Process, ProcessState, Report, Settings, Totals, VERSION, error_of_sum,
};
use crate::rows::fold::add;
use crate::rows::others;
use std::collections::BTreeSet;

/// A report to be merged, and what its process is called in the merged one.
#[derive(Debug, Clone)]
pub struct Part {
    /// `web-1`, or the name of the file that it came from.
    pub label: String,
    /// The report.
    pub report: Report,
}

/// Leaves of several reports on one recording the latest, for their figures include each other;
/// tells the labels of those that were left out.
///
/// # Errors
/// When a merged report has a recording in it that another part has too: it cannot be taken out.
pub fn distinct(parts: Vec<Part>) -> Result<(Vec<Part>, Vec<String>), String> {
    let recordings = |report: &Report| -> Vec<String> {
        let merged = report.members.iter().map(|member| &member.process);
        let processes: Vec<&Process> = match report.members.is_empty() {
            true => vec![&report.process],
            false => merged.collect(),
        };
        // A heap profile is of no recording.
        let known = processes
            .into_iter()
            .map(|process| process.recording_id.clone());
        known.filter(|id| !id.is_empty()).collect()
    };
    let mut kept: Vec<Part> = Vec::new();
    let mut left_out = Vec::new();
    for part in parts {
        let ids = recordings(&part.report);
        let same = kept.iter_mut().find(|other| {
            let theirs = recordings(&other.report);
            ids.iter().any(|id| theirs.contains(id))
        });
        let Some(other) = same else {
            kept.push(part);
            continue;
        };
        if !(part.report.members.is_empty() && other.report.members.is_empty()) {
            return Err(format!(
                "{} and {} both have the recording of one process, which would count twice: leave \
                 one of them out",
                other.label, part.label
            ));
        }
        let earlier = if part.report.process.duration_ns > other.report.process.duration_ns {
            std::mem::replace(other, part)
        } else {
            part
        };
        left_out.push(earlier.label);
    }
    Ok((kept, left_out))
}

/// Puts reports together; `None` for no report at all.
#[must_use]
pub fn merge(parts: Vec<Part>) -> Option<Report> {
    let first = parts.first()?;
    let start = parts.iter().map(|part| part.report.process.start_unix_ns);
    let start = start.min().unwrap_or(0);
    let mut merged = Report {
        format: "mapgrow-report",
        version: VERSION,
        process: first.report.process.clone(),
        settings: first.report.settings.clone(),
        totals: Totals {
            pause_total_ns: Some(0),
            ..Totals::default()
        },
        memory: None,
        peak: None,
        sites: Vec::new(),
        blocks: Vec::new(),
        others: Vec::new(),
        maps: Vec::new(),
        timeline: Vec::new(),
        marks: Vec::new(),
        threads: Vec::new(),
        honesty: nothing_amiss(),
        members: Vec::new(),
        modules: Vec::new(),
        profile: None,
    };
    merged.process.start_unix_ns = start;
    let mut folded = sites::Sites::default();
    let mut blocks = blocks::Blocks::default();
    let mut peaks = Peaks::default();
    let (mut heap, mut processes) = (Some(0u64), Vec::new());
    let mut elsewhere = Vec::new();
    for Part { label, report } in parts {
        let shift = report.process.start_unix_ns - start;
        settings(&mut merged.settings, &report.settings);
        totals(&mut merged.totals, &report.totals, shift);
        peaks.add(report.totals.peak_bytes, report.totals.peak_error_bytes);
        heap = heap
            .zip(report.totals.heap_live_bytes)
            .map(|(a, b)| a.saturating_add(b));
        honesty(&mut merged.honesty, &report.honesty, &label);
        processes.push((report.process.clone(), shift));
        let inner = if report.members.is_empty() {
            vec![Member {
                label: label.clone(),
                process: report.process.clone(),
                totals: report.totals.clone(),
            }]
        } else {
            report.members.clone()
        };
        merged.members.extend(inner);
        for module in &report.modules {
            if !merged.modules.contains(module) {
                merged.modules.push(module.clone());
            }
        }
        elsewhere.extend(report.others.iter().cloned());
        let own = report.members.is_empty().then_some(label.as_str());
        let numbers = folded.add(&report.sites, own, shift);
        blocks.add(&report, own, shift, &numbers);
        events::add(&mut merged, report, &label, shift, &numbers);
    }
    (merged.totals.peak_bytes, merged.totals.peak_error_bytes) = (peaks.upper, peaks.error());
    merged.totals.heap_live_bytes = heap;
    merged.totals.map_share = heap
        .filter(|&heap| heap > 0)
        .map(|heap| (merged.totals.est_live_bytes as f64 / heap as f64).min(1.0));
    merged.others = others::largest(elsewhere.into_iter());
    merged.sites = folded.finish();
    merged.blocks = blocks.finish(&merged.sites);
    events::finish(&mut merged);
    merged.process = process(&processes, start);
    merged.honesty.notes.insert(
        0,
        format!(
            "merged from {} processes: a peak is the sum of each process's own, which were not \
             reached at one moment",
            merged.members.len()
        ),
    );
    Some(merged)
}

/// The sum of peaks, and the largest lower bound of one: the common peak lies between.
#[derive(Debug, Clone, Copy, Default)]
struct Peaks {
    upper: u64,
    least: u64,
}

impl Peaks {
    fn add(&mut self, peak: u64, error: u64) {
        self.upper = self.upper.saturating_add(peak);
        self.least = self.least.max(peak.saturating_sub(error));
    }

    fn error(&self) -> u64 {
        self.upper - self.least.min(self.upper)
    }
}

fn totals(sum: &mut Totals, more: &Totals, shift: u64) {
    for (sum, more) in [
        (&mut sum.live_bytes, more.live_bytes),
        (&mut sum.resizes, more.resizes),
        (&mut sum.allocated_bytes, more.allocated_bytes),
        (&mut sum.heap_live_error_bytes, more.heap_live_error_bytes),
        (&mut sum.other_live_bytes, more.other_live_bytes),
        (&mut sum.est_live_bytes, more.est_live_bytes),
        (&mut sum.est_allocated_bytes, more.est_allocated_bytes),
    ] {
        *sum = sum.saturating_add(more);
    }
    for (error, more) in [
        (&mut sum.est_live_error_bytes, more.est_live_error_bytes),
        (
            &mut sum.est_allocated_error_bytes,
            more.est_allocated_error_bytes,
        ),
    ] {
        *error = error_of_sum(*error as f64, more as f64) as u64;
    }
    if more.overlap_peak_bytes > sum.overlap_peak_bytes {
        sum.overlap_peak_bytes = more.overlap_peak_bytes;
        sum.overlap_peak_at_ns = more.overlap_peak_at_ns.map(|at| at.saturating_add(shift));
    }
    add(&mut sum.copied_bytes, more.copied_bytes);
    add(&mut sum.maps_live, more.maps_live);
    add(&mut sum.pause_total_ns, more.pause_total_ns);
    sum.pause_max_ns = sum.pause_max_ns.max(more.pause_max_ns);
}

/// The weakest of the settings: what can be said of all figures.
fn settings(sum: &mut Settings, more: &Settings) {
    if sum.mode != more.mode {
        sum.mode = "default";
    }
    sum.floor_bytes = sum.floor_bytes.max(more.floor_bytes);
    sum.sample_tables_bytes = sum.sample_tables_bytes.max(more.sample_tables_bytes);
    sum.sample_heap_bytes = sum.sample_heap_bytes.max(more.sample_heap_bytes);
    sum.max_memory_bytes = sum.max_memory_bytes.max(more.max_memory_bytes);
    if sum.budget_ppm != more.budget_ppm {
        sum.budget_ppm = None;
    }
    if sum.backend != more.backend {
        sum.backend = None;
    }
    if sum.signal != more.signal {
        sum.signal = None;
    }
}

/// What stands for all processes: the program where it is the same, and the whole time.
fn process(all: &[(Process, u64)], start: u64) -> Process {
    let (first, _) = &all[0];
    let same = |differs: &dyn Fn(&Process) -> bool| !all.iter().any(|(one, _)| differs(one));
    let end = all
        .iter()
        .map(|(one, shift)| Some(one.duration_ns?.saturating_add(*shift)));
    Process {
        pid: if all.len() == 1 { first.pid } else { 0 },
        parent_pid: if all.len() == 1 { first.parent_pid } else { 0 },
        exe: first
            .exe
            .clone()
            .filter(|_| same(&|one| one.exe != first.exe)),
        command: if same(&|one| one.command != first.command) {
            first.command.clone()
        } else {
            Vec::new()
        },
        start_unix_ns: start,
        duration_ns: end
            .collect::<Option<Vec<u64>>>()
            .and_then(|ends| ends.into_iter().max()),
        state: if same(&|one| one.state != first.state) {
            first.state
        } else {
            ProcessState::Snapshot
        },
        dump_reason: first
            .dump_reason
            .filter(|_| same(&|one| one.dump_reason != first.dump_reason)),
        recording_id: if all.len() == 1 {
            first.recording_id.clone()
        } else {
            String::new()
        },
        parent_recording_id: None,
    }
}

fn nothing_amiss() -> Honesty {
    Honesty {
        timeline_complete_from_ns: Some(0),
        ..Honesty::default()
    }
}

fn honesty(sum: &mut Honesty, more: &Honesty, label: &str) {
    for (sum, more) in [
        (&mut sum.events_dropped, more.events_dropped),
        (&mut sum.sites_folded, more.sites_folded),
        (&mut sum.stacks_truncated, more.stacks_truncated),
        (&mut sum.maps_untracked, more.maps_untracked),
        (&mut sum.memo_mismatches, more.memo_mismatches),
        (&mut sum.memo_checks, more.memo_checks),
        (&mut sum.self_bytes, more.self_bytes),
        (&mut sum.resizes_folded, more.resizes_folded),
        (&mut sum.history_dropped, more.history_dropped),
        (&mut sum.budget_skipped, more.budget_skipped),
        (&mut sum.budget_skipped_bytes, more.budget_skipped_bytes),
        (&mut sum.frees_unknown, more.frees_unknown),
        (&mut sum.threads_folded, more.threads_folded),
        (&mut sum.modules_dropped, more.modules_dropped),
        (&mut sum.records_unreadable, more.records_unreadable),
        (&mut sum.tables_not_read, more.tables_not_read),
        (&mut sum.pauses, more.pauses),
        (&mut sum.maps_omitted, more.maps_omitted),
    ] {
        *sum = sum.saturating_add(more);
    }
    sum.paused |= more.paused;
    sum.conservation_difference_bytes = sum
        .conservation_difference_bytes
        .saturating_add(more.conservation_difference_bytes);
    let known: BTreeSet<&str> = sum.notes.iter().map(|note| tail(note)).collect();
    let new: Vec<String> = more
        .notes
        .iter()
        .filter(|note| !known.contains(tail(note)))
        .map(|note| format!("{label}: {note}"))
        .collect();
    sum.notes.extend(new);
}

/// A note without the label before it.
fn tail(note: &str) -> &str {
    note.split_once(": ").map_or(note, |(_, tail)| tail)
}
