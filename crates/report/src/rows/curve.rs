//! Live container bytes over time, with every resize in it.
//!
//! The timeline says what was added and taken away; the report says what was live at its end.
//! Going through the events backwards from there gives the bytes at every earlier moment for
//! which the timeline is complete, whatever was lost before. Blocks that are only counted have no
//! events: what they add is told by the series of their sites, interval by interval.

use crate::model::{Event, EventKind, Report};

/// Live bytes of recorded tables as steps: each figure holds from its time to the next one's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct LiveCurve {
    /// From when on the steps are complete, nanoseconds since recording began.
    pub complete_from_ns: u64,
    /// Live bytes before the first step.
    pub before_bytes: u64,
    /// When each step happens, ascending.
    pub t_ns: Vec<u64>,
    /// Live bytes from then on, both tables of a running resize included.
    pub live_bytes: Vec<u64>,
    /// Of these, bytes of old tables whose entries are being moved: what is there twice.
    pub overlap_bytes: Vec<u64>,
}

/// What one moment changes.
#[derive(Debug, Clone, Copy)]
struct Change {
    at: u64,
    live: i64,
    overlap: i64,
}

impl LiveCurve {
    /// The curve of a report with its timeline; `None` when the recording has no clock, nothing
    /// happened in it, or of blocks without events no series is known, as in a merged report. Sampled
    /// blocks are left out: they are estimates.
    #[must_use]
    pub fn of(report: &Report) -> Option<Self> {
        let complete_from_ns = report.honesty.timeline_complete_from_ns?;
        let mut changes: Vec<Change> = report
            .timeline
            .iter()
            .filter(|event| !event.sampled)
            .filter_map(changes_of)
            .flatten()
            .filter(|change| change.live != 0 || change.overlap != 0)
            .collect();
        let untold = untold_changes(report)?;
        // Of several sites the largest of an interval need not have been there at one time.
        let most = if untold.is_empty() {
            u64::MAX
        } else {
            report.totals.peak_bytes
        };
        changes.extend(untold);
        if changes.is_empty() {
            return None;
        }
        // What is added before what is taken away, so that the curve never dips where the
        // clock cannot tell the two apart.
        changes.sort_by_key(|change| (change.at, change.live < 0));
        let mut live = clamp(report.totals.live_bytes);
        let mut overlap = 0;
        let mut curve = Self {
            complete_from_ns,
            ..Self::default()
        };
        for change in changes.iter().rev() {
            if change.at < complete_from_ns {
                break;
            }
            curve.t_ns.push(change.at);
            curve.live_bytes.push(plain(live).min(most));
            curve.overlap_bytes.push(plain(overlap));
            live = live.saturating_sub(change.live);
            overlap = overlap.saturating_sub(change.overlap);
        }
        curve.before_bytes = plain(live).min(most);
        curve.t_ns.reverse();
        curve.live_bytes.reverse();
        curve.overlap_bytes.reverse();
        Some(curve)
    }

    /// The largest number of live bytes.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        let peak = self.live_bytes.iter().copied().max().unwrap_or(0);
        peak.max(self.before_bytes)
    }
}

/// What blocks add and take away that are not on the timeline; `None` where nothing tells.
fn untold_changes(report: &Report) -> Option<Vec<Change>> {
    let end = report.process.duration_ns.unwrap_or(u64::MAX);
    let mut changes = Vec::new();
    for site in &report.sites {
        let Some(untold) = &site.untold else { continue };
        let interval_ns = site.series.as_ref()?.interval_ns;
        let held = untold.max_live_bytes.iter().chain([&untold.live_bytes]);
        let mut before = 0;
        for (interval, &held) in held.enumerate() {
            let live = clamp(held) - std::mem::replace(&mut before, clamp(held));
            let begins = interval_ns.saturating_mul(interval as u64);
            if live != 0 {
                let at = begins.min(end);
                changes.push(Change {
                    at,
                    live,
                    overlap: 0,
                });
            }
        }
    }
    Some(changes)
}

/// What an event adds and takes away; at most two changes. `None` without a time.
fn changes_of(event: &Event) -> Option<[Change; 2]> {
    let end = event.t_ns?;
    let begin = end.saturating_sub(event.pause_ns.unwrap_or(0));
    let new = clamp(event.new_bytes.unwrap_or(0));
    let old = clamp(event.old_bytes.filter(|_| !event.late).unwrap_or(0));
    let change = |at, live, overlap| Change { at, live, overlap };
    let nothing = change(end, 0, 0);
    Some(match event.kind {
        EventKind::Create => [change(end, new, 0), nothing],
        EventKind::Drop => [change(end, -old, 0), nothing],
        // The new container has an event of its own.
        EventKind::Rebuild | EventKind::Replace => [change(end, -old, 0), nothing],
        EventKind::Aborted => [change(begin, new, new), change(end, -new, -new)],
        EventKind::Grow | EventKind::Shrink | EventKind::Rehash if event.in_place => {
            [change(end, new.saturating_sub(old), 0), nothing]
        }
        EventKind::Grow | EventKind::Shrink | EventKind::Rehash => {
            [change(begin, new, old), change(end, -old, -old)]
        }
        EventKind::Mark => [nothing, nothing],
    })
}

fn clamp(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn plain(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}
