//! An edge and the facts of both its sites go in; what it means comes out: a resize, or one container
//! in place of another.

use super::evidence::{SiteFacts, group_width};
use super::resolve::{Function, PhysicalFrame, Resolver};
use crate::model::KnownBy;
use mapgrow_containers::classify::catalogue::{self, Container, Family, HASHBROWN, RAW_VEC};
use mapgrow_containers::classify::elements::Elements;
use mapgrow_containers::classify::whose::Whose;
use mapgrow_format::layout::edge;
use mapgrow_format::reader::{Edge, EdgeKind, Recording};

/// Frames between an allocation and the function that grows a container, at most, where no name
/// tells which one that is.
const NEAR: usize = 2;

/// What became of the old block when the new one came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The container moved into the new block.
    Resize,
    /// The program filled a new container of the same kind and dropped the old.
    Rebuild,
    /// A resize or a rebuild: nothing can tell.
    Replace,
    /// A growth was begun and given up: the new block was freed.
    Aborted,
    /// Two blocks that have nothing to do with each other.
    Unrelated,
    /// The edge was not recorded.
    Unknown,
}

/// Where the way to the new block and the way to the free part.
enum Meeting<'a> {
    /// In this function; `inwards` are the functions between it and the allocation.
    In {
        function: &'a Function,
        inwards: Vec<&'a Function>,
    },
    /// In a function without a name.
    Unnamed,
    /// Nowhere that makes sense.
    Nowhere,
}

/// Decides what an edge means, once the families of both sites are known.
pub(crate) fn relation(
    recording: &Recording,
    edge: &Edge<'_>,
    facts: &[Option<SiteFacts>],
    resolver: &mut Resolver<'_>,
) -> Relation {
    let Some(kind) = edge.kind() else {
        return Relation::Unknown;
    };
    if kind == EdgeKind::Realloc {
        return Relation::Resize;
    }
    let fact = |id: u32| facts.get(id as usize).and_then(Option::as_ref);
    let Some(new) = fact(edge.new_site()) else {
        return Relation::Unknown;
    };
    let Some(family) = new.family.filter(|family| family.has_resizes()) else {
        return Relation::Unrelated;
    };
    let epoch = recording
        .site(edge.new_site())
        .map_or(0, |site| site.module_epoch());
    let free_pc = edge.word(edge::FREE_PC);
    let free = resolver.frame(free_pc, epoch);
    let meeting = meeting(new, edge.join(), &free, free_pc == 0);
    if kind == EdgeKind::Abandon {
        return abandoned(family, &meeting);
    }
    let old = edge.old_site().map(fact);
    let same_kind = match old {
        None => true,
        Some(None) => false,
        Some(Some(old)) => match old.family {
            Some(old_family) => old_family == family && compatible(recording, old, new),
            // Not recognised by itself: a resize would tell what it is.
            None => family == &HASHBROWN && compatible(recording, old, new),
        },
    };
    match replaced(recording, edge, new, family, &meeting, &free) {
        Relation::Resize => Relation::Resize,
        // Which table took its place is told by the order of events.
        _ if family.step_by_step => Relation::Unrelated,
        // The end of a block that nobody recorded is nobody's rebuild.
        Relation::Rebuild if old.is_none() => Relation::Unrelated,
        other if same_kind => other,
        _ => Relation::Unrelated,
    }
}

fn abandoned(family: &Family, meeting: &Meeting<'_>) -> Relation {
    match meeting {
        Meeting::In { function, inwards } => {
            let grows = |function: &Function| {
                function
                    .name
                    .as_ref()
                    .is_some_and(|name| family.resizes_within(name))
            };
            let programs = inwards
                .iter()
                .any(|inner| inner.whose.is_some_and(Whose::uses_containers));
            let aborted = grows(function) && !programs;
            if aborted {
                Relation::Aborted
            } else {
                Relation::Unrelated
            }
        }
        // In the function that asked for the memory, a table that it frees at once.
        Meeting::Unnamed | Meeting::Nowhere => Relation::Unrelated,
    }
}

fn replaced(
    recording: &Recording,
    edge: &Edge<'_>,
    new: &SiteFacts,
    family: &'static Family,
    meeting: &Meeting<'_>,
    free: &PhysicalFrame,
) -> Relation {
    let (function, inwards) = match meeting {
        Meeting::In { function, inwards } => (function, inwards),
        Meeting::Unnamed if family == &HASHBROWN => return unnamed(recording, edge, new),
        // Known by the sizes of its tables: what frees the old one so near is what grows.
        Meeting::Unnamed if new.known_by == Some(KnownBy::Layout) && edge.join() <= NEAR => {
            return Relation::Resize;
        }
        Meeting::Unnamed | Meeting::Nowhere => return Relation::Replace,
    };
    let Some(name) = &function.name else {
        return Relation::Replace;
    };
    let of_map = family.container == Container::Map && new.known_by == Some(KnownBy::Symbol);
    let grows = family.resizes_within(name) || of_map && catalogue::grows_vector(name);
    if inwards
        .iter()
        .any(|inner| inner.whose.is_some_and(Whose::uses_containers))
    {
        // The new table is one that the program's hasher made while another table grew.
        return if grows {
            Relation::Unrelated
        } else {
            Relation::Rebuild
        };
    }
    if grows {
        return Relation::Resize;
    }
    let ended = |inner: &&Function| {
        inner
            .name
            .as_ref()
            .is_some_and(|name| family.resizes_within(name))
    };
    let jumped = edge.word(edge::FREE_PC) == 0;
    // The container's own code, as its last act.
    if jumped && family.owns(name) && function.whose == Some(Whose::Internal) {
        return Relation::Resize;
    }
    // A growth function came to its end between the allocation and the place where both meet:
    // the free has no part in it.
    if inwards.iter().any(ended) {
        // After a jump, the free may have been its last act or the program's.
        return if jumped {
            Relation::Replace
        } else {
            Relation::Rebuild
        };
    }
    let lines = free.has_lines();
    let names_it = family.owns(name);
    match function.whose {
        Some(Whose::Program | Whose::Library) if lines => Relation::Rebuild,
        Some(Whose::Program | Whose::Library) => {
            // Vectors resize by `realloc` alone.
            if family == &RAW_VEC {
                Relation::Rebuild
            } else {
                Relation::Replace
            }
        }
        _ if names_it && family.container == Container::Map => Relation::Resize,
        _ if lines || family == &RAW_VEC => Relation::Rebuild,
        _ => Relation::Replace,
    }
}

/// Without names: hashbrown's growth function asks for the new table and frees the old itself,
/// or nearly so, and doubles the table.
fn unnamed(recording: &Recording, edge: &Edge<'_>, new: &SiteFacts) -> Relation {
    let count = edge.word(edge::COUNT);
    let only_grows = count > 0 && edge.word(edge::GROWS) == count
        || count == 0 && edge.word(edge::W_GROWS) == edge.word(edge::W_COUNT);
    let Some(align) = new.align.filter(|_| only_grows) else {
        return Relation::Replace;
    };
    let direct = edge.join() == 0 && edge.word(edge::FREE_CALLEE_PC) == 0;
    let group = u128::from(group_width(recording));
    let (old, new) = if count > 0 {
        (
            u128::from(edge.word(edge::OLD_BYTES)),
            u128::from(edge.word(edge::NEW_BYTES)),
        )
    } else {
        (0, 0)
    };
    let tails = u128::from(count) * group;
    // Rounding of small tables moves each sum by less than the alignment.
    let slack = u128::from(count) * u128::from(align) * 2;
    let doubled = 2 * old.saturating_sub(tails);
    let doubles = old > 0 && doubled.abs_diff(new.saturating_sub(tails)) <= slack;
    if direct || edge.join() <= NEAR && doubles {
        Relation::Resize
    } else {
        Relation::Replace
    }
}

/// Whether tables of both sites can hold the same elements.
fn compatible(recording: &Recording, old: &SiteFacts, new: &SiteFacts) -> bool {
    if let (Some(old), Some(new)) = (&old.type_name, &new.type_name)
        && old != new
    {
        return false;
    }
    if new.family != Some(&HASHBROWN) {
        return true;
    }
    let Some(align) = new.align else {
        return old.align.is_none();
    };
    if old.align != Some(align) {
        return false;
    }
    let mut elements = Elements::new(align, group_width(recording));
    new.sizes
        .iter()
        .chain(&old.sizes)
        .for_each(|&bytes| elements.see(bytes));
    !elements.impossible()
}

/// The physical function of the frame: it went to the free by a jump, so where it was by then,
/// and in which of the functions inlined there, is not known.
fn left_by_jump(new: &SiteFacts, join: usize) -> Meeting<'_> {
    let Some((frame, inner)) = new.stack.get(join).zip(new.stack.get(..join)) else {
        return Meeting::Nowhere;
    };
    match frame.functions.split_last() {
        Some((function, inlined)) if frame.named() => Meeting::In {
            function,
            inwards: inner
                .iter()
                .flat_map(|frame| frame.functions.iter())
                .chain(inlined)
                .collect(),
        },
        _ => Meeting::Unnamed,
    }
}

/// The innermost function that the way to the new block and the way to the free have in
/// common. Functions inlined into the same physical function are the same one only if they
/// were called from the same line.
fn meeting<'a>(new: &'a SiteFacts, join: usize, free: &PhysicalFrame, jumped: bool) -> Meeting<'a> {
    let Some(frame) = new.stack.get(join) else {
        return Meeting::Nowhere;
    };
    if jumped {
        return left_by_jump(new, join);
    }
    let (allocs, frees) = (&frame.functions, &free.functions);
    if !frame.named() || !free.named() {
        return Meeting::Unnamed;
    }
    // One call entered both: the function went on to what only frees by a jump.
    let frees_only = frees
        .last()
        .is_some_and(|last| last.whose == Some(Whose::Plumbing));
    if frees_only && allocs.last().map(|last| &last.name) != frees.last().map(|last| &last.name) {
        return left_by_jump(new, join);
    }
    let mut common = None;
    for (alloc, freed) in allocs.iter().rev().zip(frees.iter().rev()) {
        if alloc.name.is_none() || alloc.name != freed.name {
            break;
        }
        common = Some(common.map_or(0, |levels: usize| levels + 1));
        let place = |function: &Function| (function.file.clone(), function.line);
        if place(alloc) != place(freed) {
            break;
        }
    }
    let Some(level) = common else {
        return Meeting::Nowhere;
    };
    let within = allocs.len() - 1 - level;
    let inwards = new.stack[..join]
        .iter()
        .flat_map(|frame| frame.functions.iter());
    Meeting::In {
        function: &allocs[within],
        inwards: inwards.chain(&allocs[..within]).collect(),
    }
}

/// Whether the new bytes are between `low` and `high` tenths of the old.
pub(crate) fn within(edge: &Edge<'_>, low: u128, high: u128) -> bool {
    let old = u128::from(edge.word(edge::OLD_BYTES));
    let new = u128::from(edge.word(edge::NEW_BYTES)) * 10;
    old > 0 && (old * low..=old * high).contains(&new)
}

/// Whether each new block was about twice as large as the old.
pub(crate) fn doubles(edge: &Edge<'_>) -> bool {
    let count = edge.word(edge::COUNT);
    count > 0 && edge.word(edge::GROWS) == count && within(edge, 19, 21)
}
