//! Live maps as the report lists them: chains and what their tables hold go in, a row for each comes
//! out.

use crate::facts::blocks::Blocks;
use crate::facts::chains::Chain;
use crate::facts::context::Context;
use crate::facts::elements::narrowed;
use crate::facts::serials::Serials;
use crate::figures::contents::{Content, Contents, Range};
use crate::figures::forecast::{Forecast, Forecaster};
use crate::model::{Activity, HeatMap, Map};
use mapgrow_containers::classify::catalogue::{Family, HASHBROWN};
use mapgrow_containers::classify::elements;
use mapgrow_containers::classify::elements::Elements;
use mapgrow_containers::occupancy::{Foreign, Heat, Occupancy};
use mapgrow_format::layout::WEIGHT_ONE;

/// Pictures for more maps than this would be most of a report.
const MOST_HEAT_MAPS: usize = 256;

/// The largest live maps, and how many were left out.
pub(crate) fn maps(
    context: &Context<'_>,
    blocks: &Blocks,
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
    let left_out = left_out(context, blocks);
    let omitted = order.len().saturating_sub(context.options.max_maps) as u64 + left_out;
    order.truncate(context.options.max_maps);
    let forecaster = Forecaster::new(context, contents);
    let maps = order.into_iter().enumerate().map(|(at, chain)| {
        let table = Table::of(context, chain, contents, at < MOST_HEAT_MAPS);
        map(context, chain, serials, table, &forecaster)
    });
    (maps.collect(), omitted)
}

/// Live maps that are smaller than all those that have a chain.
fn left_out(context: &Context<'_>, blocks: &Blocks) -> u64 {
    let of_maps = blocks.alone.iter().filter(|(site, _)| {
        context.groups.index(**site).is_some()
            && context
                .analysis
                .family(**site)
                .is_some_and(Family::has_resizes)
    });
    of_maps.map(|(_, alone)| alone.left_out).sum()
}

/// What is known of the table of a map.
struct Table<'a> {
    family: Option<&'static Family>,
    /// Sizes of all its tables, oldest first.
    sizes: Vec<u64>,
    elements: Option<Elements>,
    content: Option<&'a Content>,
    foreign: Option<&'a Foreign>,
    /// Bytes that it keeps beyond what its entries need.
    retained: Option<Range>,
    buckets: Option<u64>,
    heat: Option<HeatMap>,
}

impl<'a> Table<'a> {
    /// `picture`: whether a picture of it is wanted.
    fn of(context: &Context<'_>, chain: &Chain, contents: &'a Contents, picture: bool) -> Self {
        let block = &chain.block;
        let family = context.analysis.family(block.site);
        let sizes = chain.sizes();
        let elements = contents
            .elements(block.site)
            .filter(|_| family == Some(&HASHBROWN))
            .map(|known| narrowed(known, &sizes));
        let content = contents.of_table(block.serial);
        let foreign = contents.foreign(block.serial);
        let buckets = content
            .and_then(|content| content.occupancy.buckets)
            .or_else(|| Some(foreign?.buckets))
            .or_else(|| elements.as_ref()?.buckets(block.bytes));
        let heat = content.filter(|_| picture).zip(buckets);
        let (_, retained) = contents.bounds(block.serial, block.bytes);
        Self {
            family,
            sizes,
            elements,
            content,
            foreign,
            retained,
            buckets,
            heat: heat.and_then(|(content, buckets)| heat_map(content.heat.as_ref()?, buckets)),
        }
    }

    fn occupancy(&self) -> Option<&'a Occupancy> {
        self.content.map(|content| &content.occupancy)
    }

    fn entries(&self) -> Option<u64> {
        let told = self.occupancy().map(|told| told.entries.value);
        told.or_else(|| self.foreign?.entries)
    }

    fn element_bytes(&self) -> Option<u64> {
        let told = self.occupancy().and_then(|told| told.element_bytes);
        told.or_else(|| self.elements.as_ref()?.element())
    }

    /// When it was read, if it keeps bytes that its entries do not need.
    fn kept_at(&self) -> Option<u64> {
        let keeps = |told: &Occupancy| told.retained_bytes.is_some_and(|bytes| bytes > 0);
        let content = self.content.filter(|content| keeps(&content.occupancy))?;
        Some(content.ticks)
    }
}

fn map(
    context: &Context<'_>,
    chain: &Chain,
    serials: &Serials,
    table: Table<'_>,
    forecaster: &Forecaster<'_>,
) -> Map {
    let (block, clock, groups) = (&chain.block, context.clock, context.groups);
    let forecast = forecaster.of(chain, table.family, table.elements.as_ref());
    let (entries, buckets, foreign) = (table.entries(), table.buckets, table.foreign);
    // Of a table that may be several things it says too little.
    let retained = table.retained.filter(|_| entries.is_some());
    let occupancy = table.occupancy();
    let content = table.content;
    let had_entries = content.and_then(|content| forecaster.had_entries(content, chain));
    let group = groups.index(block.site).map(|group| &groups.all[group]);
    let quality = occupancy.and_then(|told| told.quality);
    Map {
        id: serials.map_of(block.serial).unwrap_or(block.serial),
        site: groups.id(chain.birth_site),
        table_site: groups.id(block.site).unwrap_or(block.site),
        address: block.address,
        born_at_ns: clock.moment(chain.born_ticks),
        table_at_ns: clock.moment(block.ticks),
        thread: context.threads.label(block.thread, block.ticks),
        family: table.family.map(|family| family.name),
        type_name: group.and_then(|group| group.type_name.clone()),
        buckets,
        buckets_used: foreign.and_then(|foreign| foreign.buckets_used),
        element_bytes: table.element_bytes(),
        bytes: block.bytes,
        capacity: match foreign {
            Some(foreign) => foreign.capacity,
            None => buckets.map(elements::capacity),
        },
        entries,
        entries_error: occupancy
            .map(|told| told.entries.error)
            .or_else(|| entries.map(|_| 0)),
        tombstones: occupancy
            .map(|told| told.tombstones.value)
            .or_else(|| foreign?.tombstones),
        growth_left: occupancy
            .and_then(|told| told.growth_left)
            .or_else(|| foreign?.growth_left),
        load: entries
            .zip(buckets)
            .map(|(entries, buckets)| entries as f64 / buckets as f64),
        retained_bytes: retained.map(|(least, most)| least.midpoint(most)),
        retained_error_bytes: retained.map(|(least, most)| (most - least).div_ceil(2)),
        retained_for_at_most_ns: table
            .kept_at()
            .and_then(|read| clock.span(read.checked_sub(block.ticks)?)),
        had_entries_at_least: had_entries,
        activity: occupancy.and_then(|told| activity(told, had_entries, &forecast)),
        measured_at_ns: content.and_then(|content| clock.moment(content.ticks)),
        tables: table.sizes,
        history_complete: chain.complete,
        weight: f64::from(block.weight) / WEIGHT_ONE as f64,
        hash_quality: quality.map(|quality| quality.score()),
        hash_verdict: quality.map(|quality| quality.verdict.name()),
        heat: table.heat,
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

fn heat_map(heat: &Heat, buckets: u64) -> Option<HeatMap> {
    let percent = |share: f64| (share * 100.0).round() as u8;
    let parts: Vec<(f64, f64)> = heat.parts(buckets).collect();
    (parts.len() > 1).then(|| HeatMap {
        buckets_per_part: heat.buckets_per_cell(),
        entries_percent: parts.iter().map(|part| percent(part.0)).collect(),
        tombstones_percent: parts.iter().map(|part| percent(part.1)).collect(),
    })
}
