//! Recorded sites and edges go in; the family of each site and the relation of each edge come out.
//!
//! Strongest evidence first: the functions on a site's own stack, then the shape of its blocks,
//! then how its blocks replace each other, last what they were seen to turn into or to come
//! from.

use super::blocks::Blocks;
use super::evidence::{SiteFacts, group_width};
use super::resize_or_rebuild::{Relation, doubles, relation};
use super::resolve::Resolver;
use crate::model::KnownBy;
use foldhash::HashSet;
use mapgrow_containers::classify::catalogue::{self, Family, HASHBROWN, RAW_VEC, UNKNOWN};
use mapgrow_containers::classify::elements::Elements;
use mapgrow_format::layout::{edge, event, header};
use mapgrow_format::reader::{Edge, EdgeKind, Recording};

/// Passes over the edges in which knowledge spreads from one site to the next.
const PASSES: usize = 8;

/// What every site and every edge is.
#[derive(Debug)]
pub(crate) struct Analysis {
    /// By site; `None` where the record is incomplete.
    pub facts: Vec<Option<SiteFacts>>,
    /// By edge.
    pub(crate) relations: Vec<Relation>,
    /// Edges of growths during which the thread did other work.
    pub(crate) little_by_little: HashSet<u32>,
}

impl Analysis {
    pub fn of(recording: &Recording, blocks: &Blocks, resolver: &mut Resolver<'_>) -> Self {
        resolver.look_ahead(recording);
        let facts = (0..recording.site_count() as u32)
            .map(|id| Some(SiteFacts::of(recording, &recording.site(id)?, resolver)))
            .collect();
        let mut analysis = Self {
            facts,
            relations: Vec::new(),
            little_by_little: HashSet::default(),
        };
        analysis.see_sizes(recording, blocks);
        analysis.tell_by_shape(recording);
        analysis.tell_by_realloc(recording);
        analysis.relations = vec![Relation::Unknown; recording.edge_count()];
        for _ in 0..PASSES {
            let mut changed = false;
            for edge in recording.edges() {
                let relation = relation(recording, &edge, &analysis.facts, resolver);
                let slot = &mut analysis.relations[edge.id as usize];
                changed |= *slot != relation;
                *slot = relation;
                changed |= analysis.spread(recording, &edge);
            }
            if !changed {
                break;
            }
        }
        analysis.tell_by_replacement(recording);
        analysis.tell_little_by_little(recording, blocks);
        analysis.tell_by_interface();
        analysis.step_out_of_containers(recording, resolver);
        analysis.name_by_class();
        analysis
    }

    pub fn fact(&self, site: u32) -> Option<&SiteFacts> {
        self.facts.get(site as usize)?.as_ref()
    }

    pub fn family(&self, site: u32) -> Option<&'static Family> {
        self.fact(site)?.family
    }

    pub fn relation(&self, edge: u32) -> Relation {
        self.relations
            .get(edge as usize)
            .copied()
            .unwrap_or(Relation::Unknown)
    }

    /// Whether the entries of such a growth moved little by little, and stopped nobody.
    pub fn moves_little_by_little(&self, edge: u32) -> bool {
        self.little_by_little.contains(&edge)
    }

    fn see_sizes(&mut self, recording: &Recording, blocks: &Blocks) {
        let mut see = |site: Option<u32>, bytes: u64| {
            let fact = site.and_then(|site| self.facts.get_mut(site as usize)?.as_mut());
            if let Some(fact) = fact.filter(|_| bytes != 0) {
                fact.see(bytes);
            }
        };
        for block in &blocks.live {
            see(Some(block.site), block.bytes);
        }
        for (&site, alone) in &blocks.alone {
            let (least, most) = alone.sizes.unwrap_or_default();
            see(Some(site), least);
            see(Some(site), most);
        }
        for event in blocks
            .births
            .iter()
            .filter(|event| event.kind != event::KIND_ABANDON)
        {
            let bytes = event.old_bytes.max(event.new_bytes);
            see(Some(event.what), bytes);
        }
        for event in &blocks.resizes {
            if event.kind == event::KIND_MARK {
                continue;
            }
            if let Some(edge) = recording.edge(event.what).filter(|edge| edge.id != 0) {
                see(edge.old_site(), event.old_bytes);
                see(Some(edge.new_site()), event.new_bytes);
            }
        }
        // A node that no live block leads to is free, and its words mean something else.
        let mut met = vec![false; recording.history_count()];
        for block in &blocks.live {
            for node in recording.history_of(block, &mut met).flatten() {
                if let Some(edge) = recording.edge(node.edge).filter(|edge| edge.id != 0) {
                    see(edge.old_site(), node.bytes);
                }
            }
        }
    }

    fn tell_by_shape(&mut self, recording: &Recording) {
        for site in recording.sites() {
            let Some(Some(fact)) = self.facts.get_mut(site.id as usize) else {
                continue;
            };
            let nameless = !fact.stack.first().is_some_and(|frame| frame.has_lines());
            if fact.family.is_none() && nameless && fact.looks_like_hashbrown(&site, recording) {
                fact.family = Some(&HASHBROWN);
                fact.known_by = Some(KnownBy::Layout);
            }
            if fact.family.is_none() && nameless && fact.looks_like_cpython_dict() {
                fact.family = catalogue::named("cpython_dict");
                fact.known_by = Some(KnownBy::Layout);
                fact.step_out_of(0);
            }
        }
    }

    /// A block that grows by `realloc` is a container's; one that doubles each time, in a
    /// program whose blocks come from Rust's interface, is a vector's. One that was only ever
    /// cut to what it holds is a container's if it was before: a path or a line that was read is
    /// none.
    fn tell_by_realloc(&mut self, recording: &Recording) {
        let edges = || {
            let all = recording.edges();
            all.filter(|edge| edge.kind() == Some(EdgeKind::Realloc))
        };
        let only_shrank = |edge: &Edge<'_>| {
            let any = |words: [usize; 2]| words.into_iter().any(|word| edge.word(word) > 0);
            any([edge::SHRINKS, edge::W_SHRINKS]) && !any([edge::GROWS, edge::W_GROWS])
        };
        for edge in edges().filter(|edge| !only_shrank(edge)) {
            self.tell_reallocated(recording, &edge);
        }
        for edge in edges().filter(only_shrank) {
            let was_container = edge
                .old_site()
                .and_then(|site| self.fact(site))
                .is_some_and(|fact| fact.family.is_some());
            if was_container {
                self.tell_reallocated(recording, &edge);
            }
        }
    }

    fn tell_reallocated(&mut self, recording: &Recording, edge: &Edge<'_>) {
        let rust = recording.header(header::BACKEND) != header::BACKEND_PROGRAM;
        let Some(Some(fact)) = self.facts.get_mut(edge.new_site() as usize) else {
            return;
        };
        if fact.family.is_some() && fact.known_by != Some(KnownBy::Behaviour) {
            return;
        }
        let family = if rust && doubles(edge) {
            &RAW_VEC
        } else {
            &UNKNOWN
        };
        if fact.family != Some(&RAW_VEC) {
            fact.family = Some(family);
            fact.known_by = Some(KnownBy::Behaviour);
        }
    }

    /// Carries what one end of an edge is over to the other.
    fn spread(&mut self, recording: &Recording, edge: &Edge<'_>) -> bool {
        let Some(old_site) = edge.old_site().filter(|_| edge.id != 0) else {
            return false;
        };
        let (Some(old), Some(new)) = (self.fact(old_site), self.fact(edge.new_site())) else {
            return false;
        };
        let told = match (old.family, new.family, self.relation(edge.id)) {
            (None, Some(family), Relation::Resize) => Some((old_site, family, KnownBy::Behaviour)),
            (Some(family), None, _)
                if family == &HASHBROWN
                    && edge.kind() == Some(EdgeKind::Replace)
                    && !new.stack.first().is_some_and(|frame| frame.has_lines())
                    && shares_elements(recording, old, new) =>
            {
                Some((edge.new_site(), family, KnownBy::Layout))
            }
            _ => None,
        };
        let Some((site, family, known_by)) = told else {
            return false;
        };
        let type_name = new.type_name.clone();
        if let Some(Some(fact)) = self.facts.get_mut(site as usize) {
            fact.family = Some(family);
            fact.known_by = Some(known_by);
            fact.type_name = fact.type_name.take().or(type_name);
        }
        true
    }
}

fn shares_elements(recording: &Recording, old: &SiteFacts, new: &SiteFacts) -> bool {
    let Some(align) = new.align.filter(|_| new.align == old.align) else {
        return false;
    };
    let mut elements = Elements::new(align, group_width(recording));
    old.sizes
        .iter()
        .chain(&new.sizes)
        .for_each(|&bytes| elements.see(bytes));
    old.sizes.len() >= 2 && !elements.impossible()
}
