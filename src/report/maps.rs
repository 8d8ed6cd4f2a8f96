//! Live maps as the report lists them.

use super::Options;
use super::analysis::Analysis;
use super::chains::Chain;
use super::clock::Clock;
use super::facts::group_width;
use super::groups::Groups;
use super::model::Map;
use super::process::Threads;
use super::relations::Relation;
use super::serials::Serials;
use crate::classify::catalogue::{Family, HASHBROWN};
use crate::classify::shape::{self, Elements};
use crate::recording::layout::WEIGHT_ONE;
use crate::recording::reader::Recording;
use std::collections::HashMap;

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
    let element_types = ElementTypes::of(context.recording, context.analysis);
    let maps = order
        .into_iter()
        .map(|chain| map(context, chain, serials, &element_types));
    (maps.collect(), omitted)
}

fn map(
    context: &Context<'_>,
    chain: &Chain,
    serials: &mut Serials,
    element_types: &ElementTypes,
) -> Map {
    let block = &chain.block;
    let tables = chain.sizes();
    let fact = context.analysis.fact(block.site);
    let family = fact.and_then(|fact| fact.family);
    let elements = element_types
        .of_site(block.site)
        .filter(|_| family == Some(&HASHBROWN))
        .map(|known| narrowed(known, &tables));
    let buckets = elements
        .as_ref()
        .and_then(|elements| elements.buckets(block.bytes));
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
        element_bytes: elements.as_ref().and_then(Elements::element),
        bytes: block.bytes,
        capacity: buckets.map(shape::capacity),
        entries: None,
        tombstones: None,
        load: None,
        retained_bytes: None,
        tables,
        history_complete: chain.complete,
        weight: f64::from(block.weight) / WEIGHT_ONE as f64,
        hash_quality: None,
        next_resize: None,
    }
}

/// What is known of the element type, with the map's own tables taken in.
fn narrowed(known: &Elements, tables: &[u64]) -> Elements {
    let mut elements = known.clone();
    for &bytes in tables.iter().filter(|&&bytes| bytes != 0) {
        let before = elements.clone();
        elements.see(bytes);
        if elements.impossible() {
            elements = before;
        }
    }
    elements
}

/// The element sizes of hashbrown's tables, shared by all sites that hold the same type: those
/// between which a map moved, that grow in the same function, or whose type has one name.
struct ElementTypes {
    class: Vec<usize>,
    elements: HashMap<usize, Elements>,
}

impl ElementTypes {
    fn of(recording: &Recording, analysis: &Analysis) -> Self {
        let mut class: Vec<usize> = (0..recording.site_count()).collect();
        let mut by_function: HashMap<u64, usize> = HashMap::new();
        let mut by_type: HashMap<&str, usize> = HashMap::new();
        let hashbrown = |site: &usize| analysis.family(*site as u32) == Some(&HASHBROWN);
        for site in (0..class.len()).filter(hashbrown) {
            let Some(fact) = analysis.fact(site as u32) else {
                continue;
            };
            if let Some(function) = fact.grown_at {
                let first = *by_function.entry(function).or_insert(site);
                join(&mut class, first, site);
            }
            let full = fact.type_name.as_deref().filter(|name| name.contains('<'));
            if let Some(name) = full {
                let first = *by_type.entry(name).or_insert(site);
                join(&mut class, first, site);
            }
        }
        for edge in recording.edges() {
            if analysis.relation(edge.id) == Relation::Resize
                && let Some(old) = edge.old_site()
                && hashbrown(&(old as usize))
                && hashbrown(&(edge.new_site() as usize))
            {
                join(&mut class, old as usize, edge.new_site() as usize);
            }
        }
        let mut types = Self {
            class,
            elements: HashMap::new(),
        };
        types.see_all(recording, analysis);
        types
    }

    fn see_all(&mut self, recording: &Recording, analysis: &Analysis) {
        let group = group_width(recording);
        for site in 0..self.class.len() {
            let Some(fact) = analysis.fact(site as u32) else {
                continue;
            };
            let Some(align) = fact.align.filter(|_| fact.family == Some(&HASHBROWN)) else {
                continue;
            };
            let class = root(&mut self.class, site);
            let elements = self
                .elements
                .entry(class)
                .or_insert_with(|| Elements::new(align, group));
            for &bytes in &fact.sizes {
                let before = elements.clone();
                elements.see(bytes);
                // Types that were taken for one, or a size misread: keep what held so far.
                if elements.impossible() {
                    *elements = before;
                }
            }
            elements.know_multiple_of(fact.element_align);
            if let Some(bytes) = fact.element_bytes {
                elements.know(bytes);
            }
        }
        let roots: Vec<usize> = (0..self.class.len())
            .map(|site| root(&mut self.class, site))
            .collect();
        self.class = roots;
    }

    fn of_site(&self, site: u32) -> Option<&Elements> {
        self.elements.get(self.class.get(site as usize)?)
    }
}

fn root(class: &mut [usize], mut site: usize) -> usize {
    while class[site] != site {
        class[site] = class[class[site]];
        site = class[site];
    }
    site
}

fn join(class: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(class, one), root(class, other));
    let (low, high) = (one.min(other), one.max(other));
    class[high] = low;
}
