//! The rows of the report's sites: the figures of each group go in, its row comes out, complete but for
//! what is judged.

use super::cost;
use crate::facts::callers::Position;
use crate::facts::context::Context;
use crate::facts::evidence::SiteFacts;
use crate::facts::groups::Group;
use crate::facts::resolve::{PhysicalFrame, Resolver};
use crate::figures::flows::Flow;
use crate::figures::group::GroupFigures;
use crate::figures::holdings::{Contained, Holdings};
use crate::figures::samples::LiveSamples;
use crate::figures::sums::Sums;
use crate::model::{Caller, Coverage, Site, StackFrame};
use mapgrow_containers::classify::catalogue::Container;
use mapgrow_format::layout::header;
use std::sync::Arc;

/// The row of a group, and what is judged with it.
pub(crate) struct Row {
    pub site: Site,
    pub holdings: Holdings,
    /// Buckets of the largest table, where the size of its elements tells.
    pub largest_buckets: Option<u64>,
}

/// The rows of all groups, most harmful first.
pub(crate) fn rows(
    context: &Context<'_>,
    resolver: &Resolver<'_>,
    figures: Vec<GroupFigures>,
) -> Vec<Row> {
    let counting_failed = counting_failed(context);
    let groups = context.groups.all.iter().zip(figures);
    let mut rows: Vec<Row> = groups
        .map(|(group, figures)| {
            let fact = context.analysis.fact(group.first);
            let stack = fact.map(|fact| stack(fact, resolver));
            row(
                context,
                group,
                figures,
                stack.unwrap_or_default(),
                counting_failed,
            )
        })
        .collect();
    rows.sort_by_key(|row| cost::order_of_places(&row.site));
    rows
}

/// The row of a group.
fn row(
    context: &Context<'_>,
    group: &Group,
    figures: GroupFigures,
    stack: Vec<StackFrame>,
    counting_failed: bool,
) -> Row {
    let clock = context.clock;
    let tree = group.family.container == Container::Tree;
    let estimated = figures.coverage == Coverage::Sampled;
    let (sums, flow, peak) = (&figures.sums, &figures.flow, figures.peak);
    let counts = Counts::of(sums, flow, &figures.samples, estimated);
    let sampled = sums.sampled(&figures.samples, (!tree).then_some(flow));
    let (held, _) = cost::held_of(counts.live_bytes, sampled.as_ref());
    let contained = figures.holdings.contained(held);
    let caller_of = |site: u32| context.analysis.fact(site).and_then(caller);
    // Figures that only weight-1 edges carry are unknown where nothing was certain.
    let certain = |figure: u64| (!tree && !estimated).then_some(figure);
    let resize = |figure: u64| (!tree).then_some(figure);
    let site = Site {
        id: group.id(),
        recorded_sites: group.members.clone(),
        family: Some(group.family.name),
        known_by: Some(group.known_by),
        exact: !estimated && figures.peak_is_exact && !counting_failed,
        coverage: figures.coverage,
        caller: caller_of(group.first),
        stack,
        stack_truncated: sums.truncated,
        type_name: group.type_name.clone(),
        maps_created: resize(counts.created),
        maps_late: resize(flow.late),
        maps_dropped: resize(counts.dropped),
        maps_live: resize(counts.live),
        tables_of_each: figures.tables_of_each,
        maps_moved_on: resize(flow.moved_on),
        moved_on_to: flow.moved_on_to.and_then(caller_of),
        places: Vec::new(),
        resizes: resize(counts.resizes),
        grows: resize(counts.grows),
        shrinks: resize(counts.shrinks),
        rehashes: resize(counts.rehashes()).filter(|_| !group.family.rehashes_unseen),
        aborted: certain(flow.aborted),
        rebuilds: certain(flow.rebuilds),
        replaces: certain(flow.replaces),
        in_place: certain(flow.in_place),
        allocs: counts.allocs,
        frees: counts.frees,
        live_bytes: counts.live_bytes,
        peak_live_bytes: peak.map(|peak| peak.bytes),
        peak_live_error_bytes: peak.map(|peak| peak.error),
        peak_at_ns: peak.and_then(|peak| clock.moment_if_set(peak.ticks?)),
        allocated_bytes: counts.allocated_bytes,
        freed_bytes: counts.freed_bytes,
        copied_bytes: certain(flow.copied),
        overlap_peak_bytes: certain(flow.overlap_peak),
        overlap_peak_at_ns: certain(flow.overlap_ticks).and_then(|t| clock.moment_if_set(t)),
        overlap_longest_ns: flow.both_lived.and_then(|ticks| clock.span(ticks)),
        pause_ns: flow.pauses.model(clock).filter(|_| !tree),
        smallest_table_bytes: sums.smallest,
        largest_table_bytes: sums.largest,
        example_tables: figures.example.sizes,
        example_tables_cut: figures.example.cut,
        first_at_ns: clock.moment_if_set(sums.first_ticks),
        freed_sizes: sums.freed_sizes(),
        series: figures.series,
        untold: figures.untold,
        sampled,
        ..of_contents(contained)
    };
    Row {
        site,
        holdings: figures.holdings,
        largest_buckets: figures.largest_buckets,
    }
}

/// The part of a row that tells what is in its maps.
pub(crate) fn of_contents(contained: Contained) -> Site {
    Site {
        entries: contained.entries,
        entries_error: contained.entries_error,
        tombstones: contained.tombstones,
        capacity: contained.capacity,
        retained_bytes: contained.retained_bytes,
        retained_error_bytes: contained.retained_error_bytes,
        retained_for_at_most_ns: contained.retained_for_at_most_ns,
        had_entries_at_least: contained.had_entries_at_least,
        ..Site::default()
    }
}

/// Whether something was left out of the counts, and nobody knows at which sites.
fn counting_failed(context: &Context<'_>) -> bool {
    let lost = [
        header::BUDGET_SKIPPED,
        header::TABLES_UNTRACKED,
        header::EDGES_FOLDED,
    ];
    lost.iter().any(|&word| context.recording.header(word) > 0)
}

/// The counts of a site: of certain blocks, or estimates for a tree of which only samples are
/// known.
struct Counts {
    allocs: u64,
    frees: u64,
    allocated_bytes: u64,
    freed_bytes: u64,
    live_bytes: u64,
    created: u64,
    dropped: u64,
    live: u64,
    resizes: u64,
    grows: u64,
    shrinks: u64,
}

impl Counts {
    /// Resizes to a table of the same size.
    fn rehashes(&self) -> u64 {
        let others = self.grows.saturating_add(self.shrinks);
        self.resizes.saturating_sub(others)
    }

    fn of(sums: &Sums, flow: &Flow, samples: &LiveSamples, estimated: bool) -> Self {
        let whole = |estimate: f64| estimate.max(0.0).round() as u64;
        let certain = Self {
            allocs: sums.allocs,
            frees: sums.frees,
            allocated_bytes: sums.alloc_bytes,
            freed_bytes: sums.free_bytes,
            live_bytes: sums.live_bytes(),
            created: sums
                .allocs
                .saturating_sub(flow.resizes)
                .saturating_sub(flow.aborted),
            dropped: sums
                .frees
                .saturating_sub(flow.resized_away)
                .saturating_sub(flow.aborted),
            live: sums.allocs.saturating_sub(sums.frees),
            resizes: flow.resizes,
            grows: flow.grows,
            shrinks: flow.shrinks,
        };
        if !estimated {
            return certain;
        }
        Self {
            allocs: whole(sums.w_allocs),
            frees: whole(sums.w_frees),
            allocated_bytes: whole(sums.w_alloc_bytes),
            freed_bytes: whole(sums.w_free_bytes),
            live_bytes: whole(samples.bytes),
            ..certain
        }
    }
}

pub(crate) fn caller(fact: &SiteFacts) -> Option<Caller> {
    let (at, within): Position = fact.caller?;
    let function = fact.stack.get(at)?.functions.get(within)?;
    Some(Caller {
        function: function.shown.to_string(),
        file: function.file.as_deref().map(str::to_owned),
        line: function.line,
    })
}

pub(crate) fn stack(fact: &SiteFacts, resolver: &Resolver<'_>) -> Vec<StackFrame> {
    let functions = fact.stack.iter().map(|frame| frame.functions.len());
    let mut stack = Vec::with_capacity(functions.sum());
    // What runs a script says nothing more about it.
    let scripted = fact.stack.iter().rposition(PhysicalFrame::scripted);
    let shown = scripted.map_or(fact.stack.len(), |last| last + 1);
    let shown = fact.stack.iter().take(shown);
    for frame in shown.filter(|frame| !frame.passes_through_interpreter()) {
        for (within, function) in frame.functions.iter().enumerate() {
            stack.push(StackFrame {
                function: Arc::clone(&function.shown),
                file: function.file.clone(),
                line: function.line,
                inlined: within + 1 < frame.functions.len(),
                address: (!frame.scripted()).then_some(frame.address),
                module: resolver.module_path(frame).cloned(),
            });
        }
    }
    stack
}
