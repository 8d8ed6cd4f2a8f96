//! Figures of groups go in, the sums over all containers come out.

use super::flows::Flow;
use super::group::GroupFigures;
use super::roots::{Peak, Roots};
use super::samples::{LiveSamples, MATTERS};
use super::sums::Sums;
use crate::facts::blocks::Blocks;
use crate::facts::context::Context;
use crate::facts::most::Most;
use crate::facts::process::Threads;
use crate::model::Totals;
use mapgrow_format::layout::{header, thread};
use mapgrow_format::reader::Recording;

/// What is less than one part in so many of a peak is less than the digits that are shown of it.
const SEEN: u64 = 50;

pub(crate) fn totals(
    context: &Context<'_>,
    blocks: &Blocks,
    figures: &[GroupFigures],
    roots: &Roots,
    most: &Most,
) -> Totals {
    let Context {
        recording, clock, ..
    } = context;
    let sum = |of: fn(&Sums) -> u64| {
        figures
            .iter()
            .map(|group| of(&group.sums))
            .fold(0, u64::saturating_add)
    };
    let flow = |of: fn(&Flow) -> u64| {
        figures
            .iter()
            .map(|group| of(&group.flow))
            .fold(0, u64::saturating_add)
    };
    let live_bytes = sum(Sums::live_bytes);
    let overlap = figures
        .iter()
        .map(|group| &group.flow)
        .max_by_key(|flow| flow.overlap_peak);
    let overlap = overlap.filter(|flow| flow.overlap_peak > 0);
    let overlap_peak = overlap.map_or(0, |flow| flow.overlap_peak);
    let peak = peak(context, figures, roots, live_bytes, most).at_least(overlap_peak);
    let sampled_live: f64 = figures.iter().map(|group| group.samples.bytes).sum();
    let errors = figures.iter().map(|group| group.samples.bytes_error());
    let est_live_error_bytes = errors.map(|error| error * error).sum::<f64>().sqrt() as u64;
    let est_live_bytes = live_bytes.saturating_add(sampled_live as u64);
    let sampled_bytes: f64 = figures.iter().map(|group| group.sums.w_alloc_bytes).sum();
    let variance: f64 = figures.iter().map(|group| group.sums.var_alloc_bytes).sum();
    // What samples stand for now says how much it is; what they stood for earlier, only how much it
    // was in all.
    let peak_at_least = est_live_bytes - live_bytes > live_bytes / MATTERS
        || sampled_bytes as u64 > peak.bytes / SEEN;
    let heap = if recording.header(header::BACKEND) == header::BACKEND_PROGRAM {
        heap_estimate(recording, &LiveSamples::of_all(blocks))
    } else {
        heap_live(recording, context.threads)
    };
    Totals {
        live_bytes,
        peak_bytes: peak.bytes.max(est_live_bytes),
        peak_at_least,
        peak_error_bytes: peak.error,
        peak_at_ns: peak
            .ticks
            .filter(|_| peak.bytes >= est_live_bytes)
            .and_then(|ticks| clock.moment_if_set(ticks)),
        resizes: flow(|flow| flow.resizes),
        allocated_bytes: sum(|sums| sums.alloc_bytes),
        copied_bytes: Some(flow(|flow| flow.copied)),
        overlap_peak_bytes: overlap_peak,
        overlap_peak_at_ns: overlap.and_then(|flow| clock.moment_if_set(flow.overlap_ticks)),
        pause_total_ns: clock.span(flow(|flow| flow.pauses.total)),
        pause_max_ns: clock.span(
            figures
                .iter()
                .map(|group| group.flow.pauses.max)
                .max()
                .unwrap_or(0),
        ),
        maps_live: Some(maps_live(context, figures)),
        heap_live_bytes: heap.map(|(bytes, _)| bytes),
        heap_live_error_bytes: heap.map_or(0, |(_, error)| error),
        map_share: heap
            .filter(|&(bytes, _)| bytes > 0)
            .map(|(bytes, _)| (est_live_bytes as f64 / bytes as f64).min(1.0)),
        other_live_bytes: other(recording, context).0,
        est_live_bytes,
        est_live_error_bytes,
        est_allocated_bytes: sum(|sums| sums.alloc_bytes).saturating_add(sampled_bytes as u64),
        est_allocated_error_bytes: variance.sqrt() as u64,
    }
}

fn maps_live(context: &Context<'_>, figures: &[GroupFigures]) -> u64 {
    let groups = context.groups.all.iter().zip(figures);
    groups
        .filter(|(group, _)| group.family.has_resizes())
        .map(|(_, of)| of.sums.allocs.saturating_sub(of.sums.frees))
        .fold(0, u64::saturating_add)
}

/// Live bytes of blocks that are no container's, and all that were ever allocated.
fn other(recording: &Recording, context: &Context<'_>) -> (u64, u64) {
    use mapgrow_format::layout::site::{ALLOC_BYTES, FREE_BYTES};
    let others = recording
        .sites()
        .filter(|site| context.groups.index(site.id).is_none());
    others.fold((0u64, 0u64), |(live, all), site| {
        let allocated = site.word(ALLOC_BYTES);
        let left = allocated.saturating_sub(site.word(FREE_BYTES));
        (live.saturating_add(left), all.saturating_add(allocated))
    })
}

/// The peak of all containers together. The recording keeps that of all recorded blocks; it is
/// the containers' own when nothing else was recorded, and bounds it otherwise.
fn peak(
    context: &Context<'_>,
    figures: &[GroupFigures],
    roots: &Roots,
    live_now: u64,
    most: &Most,
) -> Peak {
    let recording = context.recording;
    let all = most.bytes;
    if other(recording, context).1 == 0 {
        return Peak {
            bytes: all,
            error: 0,
            ticks: Some(most.ticks),
        };
    }
    let (containers, others) = sites(context);
    let own = roots.peak(recording, &containers, live_now);
    let rest = roots.peak(recording, &others, 0);
    // Nor do all of them together reach more than what each reached.
    let mut each = figures.iter().map(|group| group.peak);
    let each = each.try_fold(0u64, |sum, peak| Some(sum.saturating_add(peak?.bytes)));
    let upper = own.bytes.saturating_add(most.copied_from).min(all);
    let upper = upper.min(each.unwrap_or(u64::MAX));
    // At the common peak, the others held at most their own.
    let lower = (own.bytes - own.error)
        .max(all.saturating_sub(rest.bytes))
        .min(upper);
    let ticks = own.ticks.filter(|_| lower == upper);
    Peak {
        bytes: upper,
        error: upper - lower,
        ticks,
    }
}

/// Sites of containers, and all others that are used; each ascending.
fn sites(context: &Context<'_>) -> (Vec<u32>, Vec<u32>) {
    let used = context.recording.sites().map(|site| site.id);
    used.filter(|&id| context.analysis.fact(id).is_some_and(|fact| fact.used))
        .partition(|&id| context.groups.index(id).is_some())
}

/// All live heap bytes where frees do not tell their size, as C's `free` does not: what was
/// recorded with certainty and what the samples stand for; two standard errors.
fn heap_estimate(recording: &Recording, samples: &LiveSamples) -> Option<(u64, u64)> {
    let certain = recording.header(header::LIVE_BYTES);
    let bytes = certain.saturating_add(samples.bytes as u64);
    (bytes > 0).then(|| (bytes, (2.0 * samples.bytes_error()) as u64))
}

/// All live heap bytes, and how far off that may be.
fn heap_live(recording: &Recording, threads: &Threads) -> Option<(u64, u64)> {
    let slots = threads.all();
    let net = |allocated: u64, freed: u64| i128::from(allocated) - i128::from(freed);
    let running: i128 = slots
        .iter()
        .map(|slot| net(slot.allocated, slot.freed))
        .sum();
    let retired = net(
        recording.header(header::RETIRED_ALLOCATED),
        recording.header(header::RETIRED_FREED),
    );
    let any = slots.iter().any(|slot| slot.allocated > 0)
        || recording.header(header::RETIRED_ALLOCATED) > 0;
    let lag = slots.iter().filter(|slot| slot.running).count() as u64 * 2 * thread::FLUSH_BYTES;
    any.then(|| (u64::try_from(running + retired).unwrap_or(0), lag))
}
