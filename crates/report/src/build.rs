//! Puts a report together.

use super::Options;
use super::model::{Mark, Place, Report, Site, VERSION};
use super::symbols::Symbolizer;
use crate::facts::analysis::Analysis;
use crate::facts::blocks::Blocks;
use crate::facts::chains::{self, Chain};
use crate::facts::clock::Clock;
use crate::facts::context::Context;
use crate::facts::groups::Groups;
use crate::facts::modules;
use crate::facts::owners::owners;
use crate::facts::process::{self, Threads};
use crate::facts::relations::Relation;
use crate::facts::resolve::Resolver;
use crate::facts::serials::Serials;
use crate::facts::succession::Successions;
use crate::figures::columns::Columns;
use crate::figures::contents::Contents;
use crate::figures::ends;
use crate::figures::flows;
use crate::figures::holdings::Holdings;
use crate::figures::peak;
use crate::figures::roots::Roots;
use crate::figures::samples::LiveSamples;
use crate::figures::sums::Sums;
use crate::figures::totals::{self, Figures};
use crate::judgement::honesty;
use crate::judgement::indexed;
use crate::rows::cost;
use crate::rows::cost::held;
use crate::rows::maps;
use crate::rows::sites::{self, Parts};
use crate::rows::timeline;
use foldhash::HashMap;
use mapgrow_containers::classify::catalogue::{Container, nodes_of};
use mapgrow_format::reader::Recording;
use std::collections::BTreeMap;

pub(super) fn build(
    recording: &Recording,
    symbolizer: &mut dyn Symbolizer,
    options: &Options,
) -> Report {
    let (clock, threads) = (Clock::of(recording), Threads::of(recording));
    // It reads the rings for itself: before anything else is held in memory.
    let process = process::process(recording, &clock, options);
    let mut resolver = Resolver::new(recording, symbolizer);
    let blocks = Blocks::read(recording);
    let analysis = Analysis::of(recording, &blocks, &mut resolver);
    resolver.done();
    let groups = Groups::of(recording, &analysis);
    // It sorts all events: before the rest is held in memory.
    let most = peak::most(recording, &blocks);
    let context = Context {
        recording,
        analysis: &analysis,
        groups: &groups,
        clock: &clock,
        threads: &threads,
        options,
        most: most.bytes,
    };
    let peak = peak::peak(&context, &blocks, &most);
    let successions = Successions::of(&blocks, &analysis, &groups);
    let figures = figures_of(&context, &blocks, &successions);
    let roots = Roots::of(recording, &analysis);
    let chains = chains::chains(recording, &blocks, &analysis, &groups, &successions);
    let contents = Contents::of(recording, &analysis, &chains, &clock);
    let serials = Serials::of(&chains, &blocks, &analysis, &successions);
    let columns = Columns::of(recording, &analysis);
    let rows = |context: &Context<'_>, figures: &Figures| {
        let examples = examples(context, &blocks, &chains, &serials);
        let mut rows = sites(context, figures, &roots, &examples, &resolver);
        let holdings = Holdings::of(context, &chains, &contents);
        for row in &mut rows {
            let group = context.groups.index(row.id);
            let family = group.map(|group| context.groups.all[group].family.container);
            if matches!(family, Some(Container::Map | Container::Unknown)) {
                let members = &row.recorded_sites;
                row.tables_of_each = columns.of_each(recording, &groups, members);
            }
            if let Some(holdings) = group.and_then(|group| holdings.get(group)) {
                let id = row.id;
                holdings.complete(row, |bytes| contents.elements(id)?.buckets(bytes));
            }
        }
        rows
    };
    let mut sites = rows(&context, &figures);
    let owners = owners(recording, &analysis, &groups, &successions);
    let whole = Context {
        groups: &owners,
        ..context
    };
    let owned = figures_of(&whole, &blocks, &successions);
    let mut together = rows(&whole, &owned);
    let (maps, maps_omitted) = maps::maps(&context, &chains, &serials, &contents);
    let marks = recording.marks();
    let timeline = if options.timeline {
        timeline::timeline(&context, &blocks, &successions, &marks, &serials)
    } else {
        Vec::new()
    };
    let honesty = honesty::honesty(&context, &blocks, &sites, maps_omitted, resolver.warnings());
    let from = honesty.timeline_complete_from_ns;
    ends::fill_in(&mut sites, &context, &blocks, &figures.sums, from);
    ends::fill_in(&mut together, &whole, &blocks, &owned.sums, from);
    indexed::join(&mut together);
    for row in together.iter_mut().chain(&mut sites) {
        bound_peak(row, most.bytes);
    }
    settle(&mut sites, &mut together);
    cost::sort(&mut together);
    Report {
        format: "mapgrow-report",
        version: VERSION,
        process,
        settings: process::settings(recording),
        memory: process::memory(recording),
        totals: totals::totals(&context, &figures, &roots, &most),
        peak,
        sites,
        blocks: together,
        maps,
        timeline,
        marks: marks
            .into_iter()
            .map(|mark| Mark {
                t_ns: clock.moment(mark.ticks),
                thread: threads.label(mark.thread, mark.ticks),
                label: mark.label,
            })
            .collect(),
        threads: threads.model(&clock),
        modules: modules::loaded(recording),
        honesty,
        members: Vec::new(),
        profile: None,
    }
}

/// Sums, flows and samples of every group of a context.
fn figures_of(context: &Context<'_>, blocks: &Blocks, successions: &Successions) -> Figures {
    let Context {
        recording,
        analysis,
        groups,
        ..
    } = context;
    let all = groups.all.iter();
    Figures {
        sums: all.map(|group| Sums::of(recording, group)).collect(),
        flows: flows::flows(recording, analysis, groups, blocks, successions),
        samples: LiveSamples::of(blocks, groups),
        all_samples: LiveSamples::of_all(blocks),
    }
}

/// What is put together of several peaks is not more than all recorded blocks ever had; and none is
/// less than what is held now, with what samples stand for.
fn bound_peak(block: &mut Site, most: u64) {
    let (Some(peak), Some(error)) = (block.peak_live_bytes, block.peak_live_error_bytes) else {
        return;
    };
    let most = most.max(block.overlap_peak_bytes.unwrap_or(0));
    let least = peak.saturating_sub(error).max(held(block).0);
    let bound = peak.min(most).max(least);
    block.peak_live_bytes = Some(bound);
    block.peak_live_error_bytes = Some(bound - least);
}

/// Tells each block its places, and the place where its maps began what would help the whole: what
/// a map came to elsewhere is no matter of the place that it left.
fn settle(sites: &mut [Site], blocks: &mut [Site]) {
    let at: HashMap<u32, usize> = sites.iter().map(|site| site.id).zip(0..).collect();
    for block in blocks {
        // Nodes that hang on a table are no place where it grew.
        let grows = |site: &&Site| {
            let table = site.family.and_then(nodes_of);
            table.is_none() || block.family != table
        };
        let members = block.recorded_sites.iter().filter_map(|id| at.get(id));
        let mut places: Vec<&Site> = members.map(|&at| &sites[at]).filter(grows).collect();
        places.sort_by_key(|site| (site.id != block.id, site.first_at_ns, site.id));
        block.places = places.into_iter().map(Place::of).collect();
        let first = at.get(&block.id).map(|&at| &mut sites[at]);
        if let Some(first) = first.filter(|_| block.places.len() > 1) {
            first.advice.clone_from(&block.advice);
            first.suggestions.clone_from(&block.suggestions);
        }
    }
}

/// For each group, the sizes that its largest map went through: a live one, or one whose
/// resizes are still in the timeline.
fn examples(
    context: &Context<'_>,
    blocks: &Blocks,
    chains: &[Chain],
    serials: &Serials,
) -> Vec<Vec<u64>> {
    let mut examples: Vec<Vec<u64>> = vec![Vec::new(); context.groups.all.len()];
    let mut offer = |site: u32, sizes: Vec<u64>| {
        if let Some(group) = context.groups.index(site) {
            let example = &mut examples[group];
            if sizes.last() > example.last() {
                *example = sizes;
            }
        }
    };
    for chain in chains {
        offer(chain.block.site, chain.sizes());
    }
    let mut gone: BTreeMap<u64, (u32, Vec<u64>)> = BTreeMap::new();
    for event in &blocks.resizes {
        let resize = context.analysis.relation(event.what) == Relation::Resize;
        let edge = context.recording.edge(event.what).filter(|_| resize);
        if let (Some(edge), Some(map)) = (edge, serials.map_of(event.new_serial)) {
            let (site, sizes) = gone.entry(map).or_insert((0, vec![event.old_bytes]));
            *site = edge.new_site();
            sizes.push(event.new_bytes);
        }
    }
    for (site, sizes) in gone.into_values() {
        offer(site, sizes);
    }
    examples
}

/// The rows of all groups, most harmful first.
fn sites(
    context: &Context<'_>,
    figures: &Figures,
    roots: &Roots,
    examples: &[Vec<u64>],
    resolver: &Resolver<'_>,
) -> Vec<Site> {
    let mut rows: Vec<Site> = context
        .groups
        .all
        .iter()
        .enumerate()
        .map(|(index, group)| {
            let parts = Parts {
                group,
                sums: &figures.sums[index],
                flow: &figures.flows[index],
                samples: &figures.samples[index],
                example: &examples[index],
            };
            sites::site(context, roots, resolver, &parts)
        })
        .collect();
    cost::sort(&mut rows);
    rows
}
