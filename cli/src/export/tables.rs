//! The tables, column by column. `docs/export.md` describes them for those who query.

use mapgrow_report::merge::Part;
use mapgrow_report::text::place;
use mapgrow_report::{Event, Map, Report, Site};

use super::columns::Of::{Moment, Number, Real, Text, Truth};
use super::columns::{Column, Of};

/// A row within its process.
pub struct In<'a, T> {
    /// The process.
    pub part: &'a Part,
    /// The row.
    pub row: &'a T,
}

impl<'a, T> In<'a, T> {
    /// All rows of a process.
    pub fn all(part: &'a Part, rows: &'a [T]) -> Vec<In<'a, T>> {
        rows.iter().map(|row| In { part, row }).collect()
    }

    /// What the process is called; in a merged report the thread's name tells.
    fn process(&self) -> Option<String> {
        Some(self.part.label.clone())
    }

    fn recording(&self) -> Option<String> {
        let id = &self.part.report.process.recording_id;
        (!id.is_empty()).then(|| id.clone())
    }

    /// A time since the start of the process on the wall clock.
    fn wall(&self, t_ns: Option<u64>) -> Option<u64> {
        self.part.report.process.start_unix_ns.checked_add(t_ns?)
    }
}

const fn column<T>(name: &'static str, of: Of<T>) -> Column<T> {
    Column { name, of }
}

fn word(word: Option<&'static str>) -> Option<String> {
    word.map(str::to_owned)
}

/// A name as JSON has it.
fn named(value: impl serde::Serialize) -> Option<String> {
    let value = serde_json::to_value(value).ok()?;
    Some(value.as_str()?.to_owned())
}

type Columns<'a, T> = Vec<Column<In<'a, T>>>;

/// One row for each report.
pub fn processes<'a>() -> Columns<'a, Report> {
    vec![
        column("process", Text(In::process)),
        column("recording_id", Text(In::recording)),
        column("pid", Number(|p| Some(u64::from(p.row.process.pid)))),
        column("exe", Text(|p| p.row.process.exe.clone())),
        column("command", Text(|p| Some(p.row.process.command.join(" ")))),
        column("state", Text(|p| named(p.row.process.state))),
        column("start", Moment(|p| Some(p.row.process.start_unix_ns))),
        column("duration_ns", Number(|p| p.row.process.duration_ns)),
        column("mode", Text(|p| Some(p.row.settings.mode.to_owned()))),
        column("floor_bytes", Number(|p| Some(p.row.settings.floor_bytes))),
        column("live_bytes", Number(|p| Some(p.row.totals.live_bytes))),
        column("peak_bytes", Number(|p| Some(p.row.totals.peak_bytes))),
        column(
            "peak_error_bytes",
            Number(|p| Some(p.row.totals.peak_error_bytes)),
        ),
        column("heap_live_bytes", Number(|p| p.row.totals.heap_live_bytes)),
        column("map_share", Real(|p| p.row.totals.map_share)),
        column("maps_live", Number(|p| p.row.totals.maps_live)),
        column("resizes", Number(|p| Some(p.row.totals.resizes))),
        column(
            "allocated_bytes",
            Number(|p| Some(p.row.totals.allocated_bytes)),
        ),
        column("copied_bytes", Number(|p| p.row.totals.copied_bytes)),
        column(
            "overlap_peak_bytes",
            Number(|p| Some(p.row.totals.overlap_peak_bytes)),
        ),
        column("pause_total_ns", Number(|p| p.row.totals.pause_total_ns)),
        column("pause_max_ns", Number(|p| p.row.totals.pause_max_ns)),
        column(
            "events_dropped",
            Number(|p| Some(p.row.honesty.events_dropped)),
        ),
        column("sites_folded", Number(|p| Some(p.row.honesty.sites_folded))),
        column("recorder_bytes", Number(|p| Some(p.row.honesty.self_bytes))),
    ]
}

/// One row for each site of each process.
pub fn sites<'a>() -> Columns<'a, Site> {
    vec![
        column("process", Text(In::process)),
        column("recording_id", Text(In::recording)),
        column("site", Number(|s| Some(u64::from(s.row.id)))),
        column("place", Text(|s| Some(place(s.row.caller.as_ref())))),
        column(
            "function",
            Text(|s| Some(s.row.caller.as_ref()?.function.clone())),
        ),
        column("file", Text(|s| s.row.caller.as_ref()?.file.clone())),
        column(
            "line",
            Number(|s| s.row.caller.as_ref()?.line.map(u64::from)),
        ),
        column("stack", Text(|s| Some(stack(s.row)))),
        column("family", Text(|s| word(s.row.family))),
        column("known_by", Text(|s| named(s.row.known_by?))),
        column("type_name", Text(|s| s.row.type_name.clone())),
        column("exact", Truth(|s| Some(s.row.exact))),
        column("maps_created", Number(|s| s.row.maps_created)),
        column("maps_live", Number(|s| s.row.maps_live)),
        column("resizes", Number(|s| s.row.resizes)),
        column("grows", Number(|s| s.row.grows)),
        column("shrinks", Number(|s| s.row.shrinks)),
        column("rehashes", Number(|s| s.row.rehashes)),
        column("rebuilds", Number(|s| s.row.rebuilds)),
        column("live_bytes", Number(|s| Some(s.row.live_bytes))),
        column("peak_live_bytes", Number(|s| s.row.peak_live_bytes)),
        column("allocated_bytes", Number(|s| Some(s.row.allocated_bytes))),
        column("copied_bytes", Number(|s| s.row.copied_bytes)),
        column("overlap_peak_bytes", Number(|s| s.row.overlap_peak_bytes)),
        column("pauses", Number(|s| Some(s.row.pause_ns.as_ref()?.count))),
        column("pause_total_ns", Number(|s| s.row.pause_ns.as_ref()?.total)),
        column("pause_p50_ns", Number(|s| s.row.pause_ns.as_ref()?.p50)),
        column("pause_p99_ns", Number(|s| s.row.pause_ns.as_ref()?.p99)),
        column("pause_max_ns", Number(|s| s.row.pause_ns.as_ref()?.max)),
        column("entries", Number(|s| s.row.entries)),
        column("tombstones", Number(|s| s.row.tombstones)),
        column("capacity", Number(|s| s.row.capacity)),
        column("retained_bytes", Number(|s| s.row.retained_bytes)),
        column(
            "est_live_bytes",
            Real(|s| Some(s.row.sampled.as_ref()?.est_live_bytes)),
        ),
        column(
            "est_live_bytes_error",
            Real(|s| Some(s.row.sampled.as_ref()?.est_live_bytes_error)),
        ),
        column(
            "advice",
            Text(|s| (!s.row.advice.is_empty()).then(|| s.row.advice.join("\n"))),
        ),
    ]
}

/// One row for each live map that the report lists.
pub fn maps<'a>() -> Columns<'a, Map> {
    vec![
        column("process", Text(In::process)),
        column("recording_id", Text(In::recording)),
        column("map", Number(|m| Some(m.row.id))),
        column("site", Number(|m| Some(u64::from(m.row.table_site)))),
        column("born", Moment(|m| m.wall(m.row.born_at_ns))),
        column("thread", Text(|m| m.row.thread.clone())),
        column("family", Text(|m| word(m.row.family))),
        column("type_name", Text(|m| m.row.type_name.clone())),
        column("bytes", Number(|m| Some(m.row.bytes))),
        column("buckets", Number(|m| m.row.buckets)),
        column("element_bytes", Number(|m| m.row.element_bytes)),
        column("capacity", Number(|m| m.row.capacity)),
        column("entries", Number(|m| m.row.entries)),
        column("tombstones", Number(|m| m.row.tombstones)),
        column("load", Real(|m| m.row.load)),
        column("retained_bytes", Number(|m| m.row.retained_bytes)),
        column("hash_quality", Real(|m| m.row.hash_quality)),
        column("tables", Number(|m| Some(m.row.tables.len() as u64))),
        column("weight", Real(|m| Some(m.row.weight))),
        column(
            "next_at_entries",
            Number(|m| m.row.next_resize.as_ref()?.at_entries),
        ),
        column(
            "next_needs_bytes",
            Number(|m| Some(m.row.next_resize.as_ref()?.needs_bytes)),
        ),
        column(
            "next_eta_ns",
            Number(|m| m.row.next_resize.as_ref()?.eta_ns),
        ),
    ]
}

/// One row for each event of the timeline.
pub fn events<'a>() -> Columns<'a, Event> {
    vec![
        column("process", Text(In::process)),
        column("recording_id", Text(In::recording)),
        column("at", Moment(|e| e.wall(e.row.t_ns))),
        column("t_ns", Number(|e| e.row.t_ns)),
        column("kind", Text(|e| named(e.row.kind))),
        column("map", Number(|e| e.row.map)),
        column("site", Number(|e| e.row.site.map(u64::from))),
        column("thread", Text(|e| e.row.thread.clone())),
        column("old_bytes", Number(|e| e.row.old_bytes)),
        column("new_bytes", Number(|e| e.row.new_bytes)),
        column("pause_ns", Number(|e| e.row.pause_ns)),
        column("in_place", Truth(|e| Some(e.row.in_place))),
        column("sampled", Truth(|e| Some(e.row.sampled))),
        column("label", Text(|e| e.row.label.clone())),
    ]
}

/// Functions of a stack, innermost first, one on a line.
fn stack(site: &Site) -> String {
    let functions: Vec<&str> = site.stack.iter().map(|frame| &*frame.function).collect();
    functions.join("\n")
}
