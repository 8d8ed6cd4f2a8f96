//! Puts a report together.

use super::Options;
use super::analysis::{Analysis, Blocks};
use super::chains::{self, Chain};
use super::clock::Clock;
use super::contents::Contents;
use super::ends;
use super::figures::{self, LiveSamples, Roots, Sums};
use super::groups::Groups;
use super::holdings::Holdings;
use super::honesty;
use super::maps::{self, Context};
use super::model::{Mark, Report, Site};
use super::modules;
use super::peak;
use super::process::{self, Threads};
use super::relations::Relation;
use super::resolve::Resolver;
use super::serials::Serials;
use super::sites::{self, Parts};
use super::succession::Successions;
use super::symbols::Symbolizer;
use super::timeline;
use super::totals::{self, Figures};
use mapgrow_format::reader::Recording;
use std::collections::BTreeMap;

/// Version of the report format.
pub const VERSION: u32 = 1;

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
    let context = Context {
        recording,
        analysis: &analysis,
        groups: &groups,
        clock: &clock,
        threads: &threads,
        options,
    };
    // It sorts all events: before the rest is held in memory.
    let peak = peak::peak(&context, &blocks);
    let successions = Successions::of(&blocks, &analysis, &groups);
    let mut figures = Figures {
        sums: groups
            .all
            .iter()
            .map(|group| Sums::of(recording, group))
            .collect(),
        flows: figures::flows(recording, &analysis, &groups),
        samples: LiveSamples::of(&blocks, &groups),
        all_samples: LiveSamples::of_all(&blocks),
    };
    successions.add_to(&mut figures.flows, &groups);
    let roots = Roots::of(recording, &analysis);
    let mut chains = chains::chains(recording, &blocks, &analysis, &groups);
    for chain in &mut chains {
        chain.lengthen(&successions);
    }
    let contents = Contents::of(recording, &analysis, &chains, &clock);
    let mut serials = Serials::of(&chains, &blocks, &analysis, &successions);
    let examples = examples(&context, &blocks, &chains, &mut serials);
    let mut sites = sites(&context, &figures, &roots, &examples, &resolver);
    let holdings = Holdings::of(&context, &chains, &contents);
    for site in &mut sites {
        let group = groups.index(site.id);
        if let Some(holdings) = group.and_then(|group| holdings.get(group)) {
            let id = site.id;
            holdings.complete(site, |bytes| contents.elements(id)?.buckets(bytes));
        }
    }
    let (maps, maps_omitted) = maps::maps(&context, &chains, &mut serials, &contents);
    let marks = recording.marks();
    let timeline = if options.timeline {
        timeline::timeline(&context, &blocks, &successions, &marks, &mut serials)
    } else {
        Vec::new()
    };
    let honesty = honesty::honesty(&context, &blocks, &sites, maps_omitted, resolver.warnings());
    let from = honesty.timeline_complete_from_ns;
    ends::fill_in(&mut sites, &context, &blocks, &figures.sums, from);
    Report {
        format: "mapgrow-report",
        version: VERSION,
        process,
        settings: process::settings(recording),
        memory: process::memory(recording),
        totals: totals::totals(&context, &figures, &roots),
        peak,
        sites,
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

/// For each group, the sizes that its largest map went through: a live one, or one whose
/// resizes are still in the timeline.
fn examples(
    context: &Context<'_>,
    blocks: &Blocks,
    chains: &[Chain],
    serials: &mut Serials,
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
    rows.sort_by_key(|site| {
        let peak = site.peak_live_bytes.unwrap_or(0);
        std::cmp::Reverse((
            sites::harm(site),
            peak,
            site.allocated_bytes,
            std::cmp::Reverse(site.id),
        ))
    });
    rows
}
