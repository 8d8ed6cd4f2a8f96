//! Sizes of tables go in; the sizes that an element of hashbrown's tables can have come out, by site.

use super::analysis::Analysis;
use super::evidence::group_width;
use super::resize_or_rebuild::Relation;
use mapgrow_containers::classify::catalogue::HASHBROWN;
use mapgrow_containers::classify::elements::Elements;
use mapgrow_format::reader::Recording;
use std::collections::HashMap;

/// What is known of the element type, with the map's own tables taken in.
pub(crate) fn narrowed(known: &Elements, tables: &[u64]) -> Elements {
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
pub(crate) struct ElementTypes {
    class: Vec<usize>,
    elements: HashMap<usize, Elements>,
}

impl ElementTypes {
    pub fn of(recording: &Recording, analysis: &Analysis) -> Self {
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

    pub fn of_site(&self, site: u32) -> Option<&Elements> {
        self.elements.get(&self.class_of(site)?)
    }

    /// Sites of one class hold the same type.
    pub fn class_of(&self, site: u32) -> Option<usize> {
        self.class.get(site as usize).copied()
    }

    /// Takes in what the tables of a class themselves say of their elements.
    pub fn know(&mut self, class: usize, bytes: u64) {
        if let Some(elements) = self.elements.get_mut(&class) {
            elements.know(bytes);
        }
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
