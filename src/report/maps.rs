//! Live maps as the report lists them.

use super::Options;
use super::analysis::Analysis;
use super::chains::Chain;
use super::clock::Clock;
use super::contents::Contents;
use super::elements::narrowed;
use super::forecast::{Forecast, Forecaster};
use super::groups::Groups;
use super::model::{Activity, Map};
use super::process::Threads;
use super::serials::Serials;
use crate::classify::catalogue::{Family, HASHBROWN};
use crate::classify::shape;
use crate::occupancy::Occupancy;
use crate::recording::layout::WEIGHT_ONE;
use crate::recording::reader::Recording;

/// Everything that a map's row is made from.
pub(super) struct Context<'a> {
    pub recording: &'a Recording,
    pub analysis: &'a Analysis,
    pub groups: &'a Groups,
    pub clock: &'a Clock,
    pub threads: &'a Threads,
    pub options: &'a Options,
}

/// The largest live maps, and how many were left out.
pub(super) fn maps(
    context: &Context<'_>,
    chains: &[Chain],
    serials: &mut Serials,
    contents: &Contents,
) -> (Vec<Map>, u64) {
    // A node of a tree is no map.
    let of_map = |chain: &&Chain| {
        context
            .analysis
            .family(chain.block.site)
            .is_some_and(Family::has_resizes)
    };
    let mut order: Vec<&Chain> = chains.iter().filter(of_map).collect();
    order.sort_by(|a, b| {
        b.block
            .bytes
            .cmp(&a.block.bytes)
            .then(a.block.serial.cmp(&b.block.serial))
    });
    let omitted = order.len().saturating_sub(context.options.max_maps) as u64;
    order.truncate(context.options.max_maps);
    let forecaster = Forecaster::new(context.recording, context.clock, contents);
    let maps = order
        .into_iter()
        .map(|chain| map(context, chain, serials, contents, &forecaster));
    (maps.collect(), omitted)
}

fn map(
    context: &Context<'_>,
    chain: &Chain,
    serials: &mut Serials,
    contents: &Contents,
    forecaster: &Forecaster<'_>,
) -> Map {
    let block = &chain.block;
    let tables = chain.sizes();
    let fact = context.analysis.fact(block.site);
    let family = fact.and_then(|fact| fact.family);
    let elements = contents
        .elements(block.site)
        .filter(|_| family == Some(&HASHBROWN))
        .map(|known| narrowed(known, &tables));
    let content = contents.of_table(block.serial);
    let occupancy = content.map(|content| &content.occupancy);
    let buckets = occupancy
        .and_then(|occupancy| occupancy.buckets)
        .or_else(|| elements.as_ref()?.buckets(block.bytes));
    let element_bytes = occupancy
        .and_then(|occupancy| occupancy.element_bytes)
        .or_else(|| elements.as_ref()?.element());
    let forecast = forecaster.of(chain, family, elements.as_ref());
    let had_entries = content.and_then(|content| forecaster.had_entries(content, chain));
    let group = context
        .groups
        .index(block.site)
        .map(|group| &context.groups.all[group]);
    Map {
        id: serials.map_of(block.serial).unwrap_or(block.serial),
        site: context.groups.id(chain.birth_site),
        table_site: context.groups.id(block.site).unwrap_or(block.site),
        address: block.address,
        born_at_ns: context.clock.moment(chain.born_ticks),
        table_at_ns: context.clock.moment(block.ticks),
        thread: context.threads.label(block.thread, block.ticks),
        family: family.map(|family| family.name),
        type_name: group.and_then(|group| group.type_name.clone()),
        buckets,
        element_bytes,
        bytes: block.bytes,
        capacity: buckets.map(shape::capacity),
        entries: occupancy.map(|occupancy| occupancy.entries.value),
        entries_error: occupancy.map(|occupancy| occupancy.entries.error),
        tombstones: occupancy.map(|occupancy| occupancy.tombstones.value),
        growth_left: occupancy.and_then(|occupancy| occupancy.growth_left),
        load: occupancy
            .map(|occupancy| occupancy.entries.value)
            .zip(buckets)
            .map(|(entries, buckets)| entries as f64 / buckets as f64),
        retained_bytes: occupancy.and_then(|occupancy| occupancy.retained_bytes),
        retained_for_at_most_ns: content
            .filter(|content| {
                content
                    .occupancy
                    .retained_bytes
                    .is_some_and(|bytes| bytes > 0)
            })
            .and_then(|content| context.clock.span(content.ticks.checked_sub(block.ticks)?)),
        had_entries_at_least: had_entries,
        activity: occupancy.and_then(|occupancy| activity(occupancy, had_entries, &forecast)),
        measured_at_ns: content.and_then(|content| context.clock.moment(content.ticks)),
        tables,
        history_complete: chain.complete,
        weight: f64::from(block.weight) / WEIGHT_ONE as f64,
        hash_quality: occupancy
            .and_then(|occupancy| occupancy.quality)
            .map(|quality| quality.score()),
        hash_verdict: occupancy
            .and_then(|occupancy| occupancy.quality)
            .map(|quality| quality.verdict.name()),
        entries_per_s: forecast.entries_per_s,
        next_resize: forecast.upcoming.first().cloned(),
        upcoming: forecast.upcoming,
    }
}

/// Fewer tombstones than one in so many slots say nothing.
const TOMBSTONE_SHARE: u64 = 8;

fn activity(
    occupancy: &Occupancy,
    had_entries: Option<u64>,
    forecast: &Forecast,
) -> Option<Activity> {
    let entries = occupancy.entries.value;
    let many = occupancy.capacity?.div_ceil(TOMBSTONE_SHARE).max(8);
    if occupancy.tombstones.value >= many && entries > 0 {
        Some(Activity::Churning)
    } else if had_entries.is_some_and(|had| had / 2 > entries) {
        Some(Activity::Emptied)
    } else {
        forecast.entries_per_s.map(|_| Activity::Growing)
    }
}
