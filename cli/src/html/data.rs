//! What the page knows: the report as `mapgrow report --json` has it, with two parts in a form
//! that is smaller and quicker to read. The timeline is in columns, and each frame of a stack is
//! there once. Beside it, what the text report says of each block.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mapgrow_report::curve::LiveCurve;
use mapgrow_report::summary::{Summary, resizes_at};
use mapgrow_report::text::Sort;
use mapgrow_report::{Event, EventKind, Report, Series, Site, StackFrame, series, text};
use serde::Serialize;

use super::sources::{Excerpt, Sources};

/// The page's data.
#[derive(Debug, Serialize)]
pub struct Data {
    /// The report without its timeline and stacks.
    report: Report,
    /// The sentences that a report begins with.
    headlines: text::Headlines,
    /// The blocks, in the order in which the text has them.
    blocks: Vec<Block>,
    /// For each site, in order: where its containers grow, and how often.
    places: Vec<(String, u64)>,
    /// All frames of all stacks.
    frames: Vec<FrameRow>,
    /// For each site, in order: its stack as numbers in `frames`, innermost first.
    stacks: Vec<Vec<u32>>,
    /// For each site, in order: the lines of source around its place.
    sources: Vec<Option<Excerpt>>,
    events: Columns,
    curve: Option<CurveColumns>,
    /// Live bytes of all sites together where the curve does not reach back to.
    coarse: Option<Series>,
}

/// A block beside its row in the report.
#[derive(Debug, Serialize)]
struct Block {
    /// Which of the report's blocks it is; which of its sites where it has no blocks.
    row: usize,
    what: String,
    place: String,
    summary: Summary,
    /// Which of the report's sites it is made of, the one where it began first.
    sites: Vec<usize>,
}

/// A frame without its address: function, short and whole place, whether it is inlined, whether
/// it is the program's own.
type FrameRow = (Arc<str>, Option<String>, Option<String>, bool, bool);

/// The timeline without its marks, which are in the report, a column for each field.
#[derive(Debug, Default, Serialize)]
struct Columns {
    /// Differences from one event to the next, the first from 0; `None` without a clock.
    t_ns: Option<Vec<i64>>,
    kind: Vec<EventKind>,
    map: Vec<Option<u64>>,
    old_map: Vec<Option<u64>>,
    site: Vec<Option<u32>>,
    /// Numbers in `threads`.
    thread: Vec<Option<u32>>,
    threads: Vec<String>,
    old_bytes: Vec<Option<u64>>,
    new_bytes: Vec<Option<u64>>,
    pause_ns: Vec<Option<u64>>,
    in_place: Vec<u8>,
    late: Vec<u8>,
    sampled: Vec<u8>,
}

/// [`LiveCurve`], all columns as differences from one step to the next.
#[derive(Debug, Serialize)]
struct CurveColumns {
    complete_from_ns: u64,
    before_bytes: u64,
    t_ns: Vec<i64>,
    live_bytes: Vec<i64>,
    overlap_bytes: Vec<i64>,
}

impl Data {
    /// Takes a report apart.
    pub fn of(mut report: Report, sources: Option<&mut Sources>) -> Data {
        let curve = LiveCurve::of(&report).map(|curve| CurveColumns {
            complete_from_ns: curve.complete_from_ns,
            before_bytes: curve.before_bytes,
            t_ns: differences(&curve.t_ns, 0),
            live_bytes: differences(&curve.live_bytes, curve.before_bytes),
            overlap_bytes: differences(&curve.overlap_bytes, 0),
        });
        let headlines = text::headlines(&report);
        let blocks = blocks(&report);
        let places = report.sites.iter();
        let places = places.map(|site| (text::place(site.caller.as_ref()), resizes_at(site)));
        let places = places.collect();
        let sources = sources.map_or_else(Vec::new, |sources| {
            let sites = report.sites.iter();
            sites.map(|site| excerpt(sources, site)).collect()
        });
        let coarse = curve
            .as_ref()
            .filter(|curve| curve.complete_from_ns > 0)
            .and_then(|_| series::together(&report.sites));
        let mut frames = Interned::default();
        let stacks = report
            .sites
            .iter_mut()
            .map(|site| {
                let stack = std::mem::take(&mut site.stack);
                // What lies within the caller is the container and the allocator.
                let own = text::caller_at(site, &stack).unwrap_or(0);
                let rows = stack.into_iter().enumerate();
                rows.map(|(at, frame)| frames.number(row(frame, at >= own)))
                    .collect()
            })
            .collect();
        // Those of their first sites.
        report
            .blocks
            .iter_mut()
            .for_each(|block| block.stack.clear());
        let events = Columns::of(&std::mem::take(&mut report.timeline));
        Data {
            report,
            headlines,
            blocks,
            places,
            frames: frames.all,
            stacks,
            sources,
            events,
            curve,
            coarse,
        }
    }
}

fn blocks(report: &Report) -> Vec<Block> {
    let numbers = |sites: &[Site]| -> HashMap<u32, usize> {
        sites.iter().map(|site| site.id).zip(0..).collect()
    };
    let (rows, sites) = (numbers(report.blocks()), numbers(&report.sites));
    let block = |block: &Site| {
        let mut seen = HashSet::new();
        let own = block.sites().chain([block.id]);
        let own = own.filter_map(|id| sites.get(&id).copied());
        let parts = own.filter(|&at| seen.insert(at)).collect();
        Block {
            row: rows[&block.id],
            what: text::what(block),
            place: text::place(block.caller.as_ref()),
            summary: Summary::of(block),
            sites: parts,
        }
    };
    let sorted = text::sorted(report, Sort::Harm);
    sorted.into_iter().map(block).collect()
}

fn excerpt(sources: &mut Sources, site: &Site) -> Option<Excerpt> {
    let at = text::caller_at(site, &site.stack)?;
    let module = site.stack[at].module.as_deref();
    sources.excerpt(site.caller.as_ref()?, module)
}

impl Columns {
    fn of(timeline: &[Event]) -> Columns {
        let events = || {
            timeline
                .iter()
                .filter(|event| event.kind != EventKind::Mark)
        };
        let mut threads = Interned::default();
        let times: Option<Vec<u64>> = events().map(|event| event.t_ns).collect();
        Columns {
            t_ns: times.map(|times| differences(&times, 0)),
            kind: events().map(|event| event.kind).collect(),
            map: events().map(|event| event.map).collect(),
            old_map: events().map(|event| event.old_map).collect(),
            site: events().map(|event| event.site).collect(),
            thread: events()
                .map(|event| Some(threads.number(event.thread.clone()?)))
                .collect(),
            threads: threads.all,
            old_bytes: events().map(|event| event.old_bytes).collect(),
            new_bytes: events().map(|event| event.new_bytes).collect(),
            pause_ns: events().map(|event| event.pause_ns).collect(),
            in_place: events().map(|event| event.in_place.into()).collect(),
            late: events().map(|event| event.late.into()).collect(),
            sampled: events().map(|event| event.sampled.into()).collect(),
        }
    }
}

fn row(frame: StackFrame, outside: bool) -> FrameRow {
    let short = text::frame_place(&frame);
    let own = outside && text::is_own(&frame);
    let whole = match (frame.file, frame.line, frame.module) {
        (Some(file), Some(line), _) => Some(format!("{file}:{line}")),
        (Some(file), None, _) => Some(file.to_string()),
        (None, _, module) => module.map(|module| module.to_string()),
    };
    (frame.function, short, whole, frame.inlined, own)
}

/// Small numbers for large ones. Sums of them are right even where a difference wraps around.
fn differences(values: &[u64], mut last: u64) -> Vec<i64> {
    let mut difference = |&value: &u64| {
        let step = value.wrapping_sub(last).cast_signed();
        last = value;
        step
    };
    values.iter().map(&mut difference).collect()
}

/// Values, each once, in the order in which they came.
struct Interned<T> {
    all: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Interned {
            all: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn number(&mut self, value: T) -> u32 {
        let next = self.all.len() as u32;
        *self.numbers.entry(value).or_insert_with_key(|value| {
            self.all.push(value.clone());
            next
        })
    }
}
