//! Live maps as the report lists them.

use crate::facts::chains::Chain;
use crate::facts::context::Context;
use crate::facts::elements::narrowed;
use crate::facts::serials::Serials;
use crate::figures::contents::Contents;
use crate::figures::forecast::{Forecast, Forecaster};
use crate::model::{Activity, HeatMap, Map};
use mapgrow_containers::classify::catalogue::{Family, HASHBROWN};
use mapgrow_containers::classify::shape;
use mapgrow_containers::occupancy::{Heat, Occupancy};
use mapgrow_format::layout::WEIGHT_ONE;

/// Pictures for more maps than this would be most of a report.
const MOST_HEAT_MAPS: usize = 256;

/// The largest live maps, and how many were left out.
pub(crate) fn maps(
    context: &Context<'_>,
    chains: &[Chain],
    serials: &Serials,
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
    let forecaster = Forecaster::new(context, contents);
    let maps = order
        .into_iter()
        .map(|chain| map(context, chain, serials, contents, &forecaster));
    let mut maps: Vec<Map> = maps.collect();
    maps.iter_mut()
        .skip(MOST_HEAT_MAPS)
        .for_each(|map| map.heat = None);
    (maps, omitted)
}

fn map(
    context: &Context<'_>,
    chain: &Chain,
    serials: &Serials,
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
    let foreign = contents.foreign(block.serial);
    let buckets = occupancy
        .and_then(|occupancy| occupancy.buckets)
        .or_else(|| Some(foreign?.buckets))
        .or_else(|| elements.as_ref()?.buckets(block.bytes));
    let element_bytes = occupancy
        .and_then(|occupancy| occupancy.element_bytes)
        .or_else(|| elements.as_ref()?.element());
    let forecast = forecaster.of(chain, family, elements.as_ref());
    let entries = occupancy
        .map(|occupancy| occupancy.entries.value)
        .or_else(|| foreign?.entries);
    let (_, retained) = contents.bounds(block.serial, block.bytes);
    // Of a table that may be several things it says too little.
    let retained = retained.filter(|_| entries.is_some());
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
        buckets_used: foreign.and_then(|foreign| foreign.buckets_used),
        element_bytes,
        bytes: block.bytes,
        capacity: match foreign {
            Some(foreign) => foreign.capacity,
            None => buckets.map(shape::capacity),
        },
        entries,
        entries_error: occupancy
            .map(|occupancy| occupancy.entries.error)
            .or_else(|| entries.map(|_| 0)),
        tombstones: occupancy
            .map(|occupancy| occupancy.tombstones.value)
            .or_else(|| foreign?.tombstones),
        growth_left: occupancy
            .and_then(|occupancy| occupancy.growth_left)
            .or_else(|| foreign?.growth_left),
        load: entries
            .zip(buckets)
            .map(|(entries, buckets)| entries as f64 / buckets as f64),
        retained_bytes: retained.map(|(least, most)| least.midpoint(most)),
        retained_error_bytes: retained.map(|(least, most)| (most - least).div_ceil(2)),
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
        heat: content
            .zip(buckets)
            .and_then(|(content, buckets)| heat(content.heat.as_ref()?, buckets)),
        entries_per_s: forecast.entries_per_s,
        slowed: forecast.slowed,
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
        let slowed = forecast.slowed.as_ref().map(|_| Activity::Slowed);
        slowed.or(forecast.entries_per_s.map(|_| Activity::Growing))
    }
}

fn heat(heat: &Heat, buckets: u64) -> Option<HeatMap> {
    let percent = |share: f64| (share * 100.0).round() as u8;
    let parts: Vec<(f64, f64)> = heat.parts(buckets).collect();
    (parts.len() > 1).then(|| HeatMap {
        buckets_per_part: heat.buckets_per_cell(),
        entries_percent: parts.iter().map(|part| percent(part.0)).collect(),
        tombstones_percent: parts.iter().map(|part| percent(part.1)).collect(),
    })
}
