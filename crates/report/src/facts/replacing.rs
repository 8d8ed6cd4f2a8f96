//! Sites and edges that nothing else told go in; containers that nobody catalogued come out, known by
//! how their blocks replace each other.

use super::analysis::Analysis;
use super::beyond::{akin, beyond, class_of, class_within, part, same_class};
use super::claims::around;
use super::evidence::SiteFacts;
use super::resize_or_rebuild::{Relation, doubles, within};
use super::resolve::{Function, NameAndFile, PhysicalFrame, Resolver};
use super::sets::Sets;
use crate::model::KnownBy;
use foldhash::HashMap;
use mapgrow_containers::classify::catalogue::{
    self, Container, Family, HASHBROWN, RAW_VEC, UNKNOWN,
};
use mapgrow_containers::classify::whose::Whose;
use mapgrow_format::layout::edge;
use mapgrow_format::reader::{Edge, EdgeKind, Recording};
use std::sync::Arc;

/// Frames between the function that grows a container and the one that asks for its memory, at
/// most, where nothing else joins the two.
const NEAR: usize = 2;

/// Growths that are no chance.
const ENOUGH: u64 = 3;

impl Analysis {
    /// Containers that nobody catalogued: the function that itself asked for the new block, or
    /// that has a helper for it, frees the old, time and again, and the new one is always larger by
    /// about the same factor. Within the code of a container of the catalogue, whose growth function
    /// has lost its name, once is enough.
    pub(crate) fn tell_by_replacement(&mut self, recording: &Recording) {
        let mut convincing: Vec<Growth> = Vec::new();
        let replaces = || {
            let edges = recording.edges();
            edges.filter(|edge| edge.kind() == Some(EdgeKind::Replace))
        };
        for edge in replaces() {
            let ends = edge.old_site().and_then(|old| self.open(&edge, old));
            let Some((old_site, new)) = ends else {
                continue;
            };
            let inside = grows_inside(new, edge.join());
            let grows = edge.word(edge::COUNT) >= if inside { 1 } else { ENOUGH }
                && edge.word(edge::GROWS) == edge.word(edge::COUNT)
                && within(&edge, 14, 41);
            let direct = inside
                || asks_itself(new, edge.join())
                || asks_within(new, edge.join())
                || old_site == edge.new_site() && doubles(&edge) && asks_near(new, edge.join());
            let a_table = !of_vectors(new) || built_of_vectors(new, &edge);
            if grows && direct && a_table {
                convincing.extend(Growth::of(new, &edge));
                self.is_growth(&edge, old_site);
            }
        }
        self.tell_by_doubling(recording);
        // A function that has grown tables so often grows one, too, that another caller left to it,
        // and its first table, which came from elsewhere.
        for edge in replaces().filter(|edge| within(edge, 14, 41)) {
            let ends = edge.old_site().and_then(|old| self.open(&edge, old));
            let known = ends.is_some_and(|(_, new)| {
                Growth::of(new, &edge).is_some_and(|growth| convincing.contains(&growth))
            });
            if let Some((old_site, _)) = ends.filter(|_| known) {
                self.is_growth(&edge, old_site);
            }
        }
    }

    /// Without lines, the function that grows a container of the catalogue may be inlined into the
    /// program, so that nothing tells a resize from a rebuild: one that always doubles is a resize.
    fn tell_by_doubling(&mut self, recording: &Recording) {
        let rusts = [&HASHBROWN, &RAW_VEC];
        let replaced = |edge: &Edge<'_>| {
            let new = self.fact(edge.new_site())?;
            let family = new.family.filter(|family| !rusts.contains(family))?;
            let mut old = edge.old_site().into_iter();
            let one_kind = old.all(|old| self.family(old) == Some(family));
            let open = self.relation(edge.id) == Relation::Replace;
            let by_name = new.known_by == Some(KnownBy::Symbol);
            (open && by_name && one_kind).then_some(new)
        };
        let mut convincing: Vec<Growth> = Vec::new();
        for edge in recording.edges() {
            let new = replaced(&edge).filter(|new| asks_near(new, edge.join()));
            let one_place = edge.old_site() == Some(edge.new_site());
            if one_place && edge.word(edge::COUNT) >= ENOUGH && doubles(&edge) {
                convincing.extend(new.and_then(|new| Growth::of(new, &edge)));
            }
        }
        // The first table came from elsewhere, or was too small to be recorded.
        let grown = recording.edges().filter(|edge| {
            let growth = replaced(edge).and_then(|new| Growth::of(new, edge));
            growth.is_some_and(|growth| convincing.contains(&growth)) && within(edge, 14, 41)
        });
        let grown: Vec<u32> = grown.map(|edge| edge.id).collect();
        for edge in grown {
            self.relations[edge as usize] = Relation::Resize;
        }
    }

    /// The site of the old table, and what is known of the new one's, where no name tells what they
    /// are; or all it tells is that the blocks are vectors', which may be a container's tables.
    fn open(&self, edge: &Edge<'_>, old_site: u32) -> Option<(u32, &SiteFacts)> {
        let (old, new) = (self.fact(old_site)?, self.fact(edge.new_site())?);
        let unknown = |fact: &SiteFacts| fact.is_unknown() || of_vectors(fact);
        let vectors = || of_vectors(old) || of_vectors(new);
        let resized = || self.relation(edge.id) == Relation::Resize;
        (unknown(old) && unknown(new) && !(vectors() && resized())).then_some((old_site, new))
    }

    /// A container that nobody catalogued grows here.
    fn is_growth(&mut self, edge: &Edge<'_>, old_site: u32) {
        for site in [old_site, edge.new_site()] {
            if let Some(Some(fact)) = self.facts.get_mut(site as usize) {
                fact.family = Some(&UNKNOWN);
                fact.known_by = Some(KnownBy::Behaviour);
                fact.type_name = None;
            }
        }
        if let Some(Some(new)) = self.facts.get_mut(edge.new_site() as usize) {
            new.grown_in = new.grown_in.max(Some(edge.join()));
        }
        self.relations[edge.id as usize] = Relation::Resize;
    }

    /// Where nothing tells the type of a container of C++, its class does.
    pub(crate) fn name_by_class(&mut self) {
        for fact in self.facts.iter_mut().flatten() {
            let named = fact.type_name.is_some() || fact.known_by != Some(KnownBy::Symbol);
            if let Some((family, until)) = fact.family.zip(fact.caller).filter(|_| !named)
                && family.container == Container::Map
            {
                fact.type_name = class_within(&fact.stack, until);
            }
        }
    }

    /// The place of a container that nobody catalogued is where the program uses it.
    pub(crate) fn step_out_of_containers(
        &mut self,
        recording: &Recording,
        resolver: &Resolver<'_>,
    ) {
        let library = |frame: &PhysicalFrame| {
            let path = resolver.module_path(frame);
            path.is_some_and(|path| path.rsplit('/').next().is_some_and(|of| of.contains(".so")))
        };
        let unknown = |fact: &&mut SiteFacts| fact.family == Some(&UNKNOWN);
        for fact in self.facts.iter_mut().flatten().filter(unknown) {
            let outside = |fact: &SiteFacts| {
                let grows = fact.caller.filter(|&(at, _)| !fact.stack[at].generated())?;
                // Where no program with lines called the library, its own functions are the users.
                let program = beyond(&fact.stack, grows, library);
                program.or_else(|| beyond(&fact.stack, grows, |_| false))
            };
            let found = outside(fact).or_else(|| {
                fact.step_out_of_helpers();
                outside(fact)
            });
            let Some(found) = found else {
                continue;
            };
            fact.caller = Some(found.user);
            fact.type_name = fact.type_name.take().or(found.class);
            fact.used_beyond = true;
        }
        self.step_out_of_shared(recording);
    }

    /// Sites between which a container went on.
    fn chained(&self, recording: &Recording) -> Sets {
        let mut sets = Sets((0..self.facts.len()).collect());
        for edge in recording.edges() {
            let resize = self.relation(edge.id) == Relation::Resize;
            let ends = edge.old_site().filter(|_| resize && edge.id != 0);
            let ends = ends.map(|old| (old as usize, edge.new_site() as usize));
            if let Some((old, new)) = ends.filter(|&(old, new)| old.max(new) < self.facts.len()) {
                sets.join(old, new);
            }
        }
        sets
    }

    /// A function that grows several containers, for several others, is code of theirs, and so are all
    /// that are on the way to it from each: the places are where the ways part.
    fn step_out_of_shared(&mut self, recording: &Recording) {
        let mut chained = self.chained(recording);
        let mut shared: HashMap<NameAndFile, Vec<usize>> = HashMap::default();
        for (at, fact) in self.facts.iter().enumerate() {
            let found = fact
                .as_ref()
                .filter(|fact| fact.used && fact.family == Some(&UNKNOWN) && !fact.used_beyond);
            let grows = found.and_then(|fact| {
                let (at, within) = fact.caller?;
                fact.stack.get(at)?.functions.get(within)
            });
            if let Some(grows) = grows.filter(|grows| grows.whose == Some(Whose::Program)) {
                let function = (Arc::clone(&grows.shown), grows.file.clone());
                shared.entry(function).or_default().push(at);
            }
        }
        for sites in shared.into_values() {
            let first = chained.find(sites[0]);
            if sites.iter().all(|&site| chained.find(site) == first) {
                continue;
            }
            let stacks: Vec<_> = sites
                .iter()
                .filter_map(|&at| self.facts[at].as_ref())
                .collect();
            let Some(users) = part(&stacks) else {
                continue;
            };
            for (at, user) in sites.into_iter().zip(users) {
                if let Some(fact) = &mut self.facts[at] {
                    fact.caller = Some(user);
                    fact.used_beyond = true;
                }
            }
        }
    }

    /// What grows without a name, in code that only a container's interface calls, is that
    /// container: its library was stripped, but for what others call.
    pub(crate) fn tell_by_interface(&mut self) {
        for fact in self.facts.iter_mut().flatten() {
            let unknown = fact.family == Some(&UNKNOWN);
            let found = family_of_interface(fact).filter(|_| unknown);
            // A vector that grew by itself is known as one; this one is a container's table.
            let found = found.filter(|(family, _)| !catalogue::CPP_VECTORS.contains(&family.name));
            if let Some((family, at)) = found {
                fact.family = Some(family);
                fact.step_out_of(at);
            }
        }
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
    let family = catalogue::family_of_code(name, || around(&fact.stack, (at, 0)))?;
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

/// Whether the function in which allocation and free meet asked for memory by functions of its own
/// container: a helper that has no other use, or the constructor of another one of its kind, which
/// is filled, and whose table is taken by a swap; the old table dies with the other one.
fn asks_within(fact: &SiteFacts, join: usize) -> bool {
    let Some((inner, frame)) = fact.stack.get(..join).zip(fact.stack.get(join)) else {
        return false;
    };
    let mut between = users(inner).peekable();
    between.peek().is_some()
        && between.all(|function| {
            let mut meets = frame.functions.iter();
            meets.any(|meets| same_class(function, meets))
        })
}

/// Whether the function in which allocation and free meet asked for memory, if not itself, then by
/// one that is called for little else: it stands close by.
fn asks_near(fact: &SiteFacts, join: usize) -> bool {
    let first = first_beyond_plumbing(&fact.stack);
    join < fact.stack.len() && join.saturating_sub(first) <= NEAR
}

/// Functions that use containers.
fn users(stack: &[PhysicalFrame]) -> impl Iterator<Item = &Function> {
    let functions = stack.iter().flat_map(|frame| frame.functions.iter());
    functions.filter(|function| function.whose.is_some_and(Whose::uses_containers))
}

/// Whether the blocks are known as those of C++'s vectors.
fn of_vectors(fact: &SiteFacts) -> bool {
    fact.family
        .is_some_and(|family| catalogue::CPP_VECTORS.contains(&family.name))
}

/// Whether a container fills a new vector and drops the old where it grows. A function of the program
/// that does so with a vector of its own rebuilds it; of a class, it does so for others.
fn built_of_vectors(new: &SiteFacts, edge: &Edge<'_>) -> bool {
    let Some(asks) = users(&new.stack).next() else {
        return false;
    };
    let meets = new.stack.get(edge.join()).map(|frame| &frame.functions);
    let Some(class) = class_of(asks).filter(|_| meets.is_some()) else {
        return false;
    };
    let akin = meets.is_some_and(|meets| meets.iter().any(|meets| akin(asks, meets)));
    akin && (class.is_template() || doubles(edge))
}
