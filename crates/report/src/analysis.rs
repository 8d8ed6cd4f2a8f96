//! From recorded sites and edges to families and relations.
//!
//! Strongest evidence first: the functions on a site's own stack, then the shape of its blocks,
//! then how its blocks replace each other, last what they were seen to turn into or to come
//! from.

use super::facts::{SiteFacts, group_width};
use super::model::KnownBy;
use super::relations::{Relation, relation};
use super::resolve::{Function, PhysicalFrame, Resolver};
use mapgrow_containers::classify::catalogue::{self, Family, HASHBROWN, RAW_VEC, UNKNOWN};
use mapgrow_containers::classify::shape::Elements;
use mapgrow_containers::classify::whose::Whose;
use mapgrow_format::layout::{edge, event, header};
use mapgrow_format::reader::{BlockEvent, Edge, EdgeKind, LiveBlock, Recording};

/// Passes over the edges in which knowledge spreads from one site to the next.
const PASSES: usize = 8;

/// The parts of a recording that several steps need, read once.
#[derive(Debug)]
pub(super) struct Blocks {
    pub live: Vec<LiveBlock>,
    /// Live records that were being written.
    pub unreadable: u64,
    pub resizes: Vec<BlockEvent>,
    pub births: Vec<BlockEvent>,
}

impl Blocks {
    pub fn read(recording: &Recording) -> Self {
        let mut unreadable = 0;
        let live = recording.live().filter_map(|block| {
            unreadable += u64::from(block.is_none());
            block
        });
        Self {
            live: live.collect(),
            unreadable,
            resizes: recording.resize_events(),
            births: recording.birth_events(),
        }
    }
}

/// What every site and every edge is.
#[derive(Debug)]
pub(super) struct Analysis {
    /// By site; `None` where the record is incomplete.
    pub facts: Vec<Option<SiteFacts>>,
    /// By edge.
    relations: Vec<Relation>,
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
        analysis.tell_by_interface();
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

    /// What grows without a name, in code that only a container's interface calls, is that
    /// container: its library was stripped, but for what others call.
    fn tell_by_interface(&mut self) {
        for fact in self.facts.iter_mut().flatten() {
            let unknown = fact.family == Some(&UNKNOWN);
            if let Some((family, at)) = family_of_interface(fact).filter(|_| unknown) {
                fact.family = Some(family);
                fact.step_out_of(at);
            }
        }
    }

    /// Containers that nobody catalogued: the function that itself asked for the new block
    /// frees the old, time and again, and the new one is always larger by about the same
    /// factor. Within the code of a container of the catalogue, whose growth function has lost
    /// its name, once is enough.
    fn tell_by_replacement(&mut self, recording: &Recording) {
        let mut convincing: Vec<Growth> = Vec::new();
        let replaces = || {
            let edges = recording.edges();
            edges.filter(|edge| edge.kind() == Some(EdgeKind::Replace))
        };
        for edge in replaces() {
            let Some(old_site) = edge.old_site() else {
                continue;
            };
            let new = self.fact(edge.new_site());
            let inside = new.is_some_and(|fact| grows_inside(fact, edge.join()));
            let asks = |fact| asks_itself(fact, edge.join()) || constructs(fact, edge.join());
            let direct = inside || new.is_some_and(asks);
            let grows = edge.word(edge::COUNT) >= if inside { 1 } else { 3 }
                && edge.word(edge::GROWS) == edge.word(edge::COUNT)
                && within(&edge, 14, 41);
            let unknown = |site: u32| self.fact(site).is_some_and(SiteFacts::is_unknown);
            if !(unknown(old_site) && unknown(edge.new_site()) && direct && grows) {
                continue;
            }
            convincing.extend(new.and_then(|fact| Growth::of(fact, &edge)));
            self.is_growth(&edge, old_site);
        }
        // A function that has grown tables so often grows one, too, that another caller left to it,
        // and its first table, which came from elsewhere.
        for edge in replaces() {
            let new = self.fact(edge.new_site());
            let growth = new.and_then(|fact| Growth::of(fact, &edge));
            let known = growth.is_some_and(|growth| convincing.contains(&growth));
            let Some(old_site) = edge.old_site().filter(|_| known && within(&edge, 14, 41)) else {
                continue;
            };
            let unknown = |site: u32| self.fact(site).is_some_and(SiteFacts::is_unknown);
            if unknown(old_site) && unknown(edge.new_site()) {
                self.is_growth(&edge, old_site);
            }
        }
    }

    /// A container that nobody catalogued grows here.
    fn is_growth(&mut self, edge: &Edge<'_>, old_site: u32) {
        for site in [old_site, edge.new_site()] {
            if let Some(Some(fact)) = self.facts.get_mut(site as usize) {
                fact.family = Some(&UNKNOWN);
                fact.known_by = Some(KnownBy::Behaviour);
            }
        }
        self.relations[edge.id as usize] = Relation::Resize;
    }
}

/// The calls by which a function grows a container: where it asks for the new block, and where the
/// old one is freed.
#[derive(Debug, PartialEq, Eq)]
struct Growth {
    asks: u64,
    frees: u64,
}

impl Growth {
    fn of(new: &SiteFacts, edge: &Edge<'_>) -> Option<Self> {
        Some(Self {
            asks: new.stack.get(edge.join())?.address,
            frees: edge.word(edge::FREE_PC),
        })
    }
}

/// The family of the container whose interface called the nameless code, in the same object,
/// that asked for the block; and where on the stack that is.
fn family_of_interface(fact: &SiteFacts) -> Option<(&'static Family, usize)> {
    container_around(fact, first_beyond_plumbing(&fact.stack))
}

/// The frame that asked for memory. Nameless code that plumbing in the same object called is
/// plumbing too: an arena's, say, of which only the interface has kept its name.
fn first_beyond_plumbing(stack: &[PhysicalFrame]) -> usize {
    let plumbing = |frame: &PhysicalFrame| {
        let mut functions = frame.functions.iter();
        functions.all(|function| function.whose == Some(Whose::Plumbing))
    };
    let mut first = 0;
    for (at, frame) in stack.iter().enumerate() {
        let one_object = || {
            let mut since = stack[first..at].iter();
            since.all(|nameless| nameless.module == frame.module)
        };
        if plumbing(frame) && one_object() {
            first = at + 1;
        } else if frame.named() {
            break;
        }
    }
    first
}

/// The container of whose code a frame is: by its own name, or as nameless code that only that
/// container's interface, in the same object, can have called; and where on the stack the name is.
fn container_around(fact: &SiteFacts, first: usize) -> Option<(&'static Family, usize)> {
    let nameless = fact
        .stack
        .get(first..)?
        .iter()
        .take_while(|frame| !frame.named());
    let at = first + nameless.count();
    let interface = fact.stack.get(at)?;
    let one_object = |frame: &PhysicalFrame| frame.module == interface.module;
    let name = interface.functions.first()?.name.as_ref()?;
    let around = || {
        let functions = fact.stack[at..]
            .iter()
            .flat_map(|frame| frame.functions.iter());
        functions.filter_map(|function| function.name.as_deref())
    };
    let family = catalogue::family_of_code(name, around)?;
    fact.stack[first..at]
        .iter()
        .all(one_object)
        .then_some((family, at))
}

/// Whether a block that was asked for in a container's named code, and that replaces another where
/// the way to the free meets, stays within that container's code: in the very function that
/// asked, or in one around it that the same container's interface called.
fn grows_inside(fact: &SiteFacts, join: usize) -> bool {
    let Some((asks, named_at)) = family_of_interface(fact) else {
        return false;
    };
    let itself = named_at == join && first_beyond_plumbing(&fact.stack) == join;
    let meets = container_around(fact, join).map(|(family, _)| family);
    (named_at < join || itself) && meets == Some(asks) && asks.has_resizes()
}

/// Whether the new bytes are between `low` and `high` tenths of the old.
fn within(edge: &Edge<'_>, low: u128, high: u128) -> bool {
    let old = u128::from(edge.word(edge::OLD_BYTES));
    let new = u128::from(edge.word(edge::NEW_BYTES)) * 10;
    old > 0 && (old * low..=old * high).contains(&new)
}

fn doubles(edge: &Edge<'_>) -> bool {
    let count = edge.word(edge::COUNT);
    count > 0 && edge.word(edge::GROWS) == count && within(edge, 19, 21)
}

/// Whether the function in which allocation and free meet is the one that asked for memory.
fn asks_itself(fact: &SiteFacts, join: usize) -> bool {
    let inner = fact
        .stack
        .iter()
        .take(join)
        .flat_map(|frame| frame.functions.iter());
    let only_plumbing = inner
        .into_iter()
        .all(|function| function.whose == Some(Whose::Plumbing));
    (only_plumbing || join == first_beyond_plumbing(&fact.stack)) && join < fact.stack.len()
}

/// Whether the function in which allocation and free meet asked for memory by the constructor of
/// its own class: the container fills another one of its kind and takes its table by a swap, and
/// the old table dies with the other one.
fn constructs(fact: &SiteFacts, join: usize) -> bool {
    let Some((inner, frame)) = fact.stack.get(..join).zip(fact.stack.get(join)) else {
        return false;
    };
    let mut classes = frame.functions.iter().filter_map(|function| {
        let (class, _) = function.name.as_deref()?.path.rsplit_once("::")?;
        Some(class)
    });
    let programs = || {
        let inner = inner.iter().flat_map(|frame| frame.functions.iter());
        inner.filter(|function| function.whose != Some(Whose::Plumbing))
    };
    classes.any(|class| {
        let name = class.rsplit("::").next();
        programs().all(|function| method(function, class).is_some())
            && programs().any(|function| method(function, class) == name)
    })
}

/// The function's name within the class, if it is a method of it.
fn method<'f>(function: &'f Function, class: &str) -> Option<&'f str> {
    let path = &function.name.as_deref()?.path;
    path.strip_prefix(class)?.strip_prefix("::")
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
