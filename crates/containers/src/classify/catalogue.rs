//! The catalogue: which functions make a container what it is.
//!
//! A pattern is matched on the path of a function as [`Name`] brings it into form:
//! `a::b::` (ending in `::`) is a prefix, `*::name` any function of that name, `*::a::*` any
//! path with `a::` in it, `name_*` any C function that starts so (`a::name_*` any in `a`), anything
//! else the whole path.

use super::c_families::C_FAMILIES;
pub use super::c_families::{DEQUE_BLOCKS, HASHTABLE_NODES, nodes_of};
use super::c_plumbing::C_PLUMBING;
use super::header_families::{ARENA, HEADER_FAMILIES};
use super::names::Name;
use super::std_cxx_families::STD_CXX_FAMILIES;
use super::table::{self, Table, TableError};
use std::sync::OnceLock;

/// What a container is to the program that uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Keys, with or without values.
    Map,
    /// A sequence in one block.
    Vector,
    /// Keys in nodes: one block for each node, and nothing is ever moved to a larger one.
    Tree,
    /// Something that grows, nobody knows what.
    Unknown,
}

/// A kind of container.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Name in reports.
    pub name: &'static str,
    /// What it is.
    pub container: Container,
    /// Functions that ask for the memory of a table: a block belongs to the family when the
    /// first function outside the allocator's plumbing is one of these.
    pub tables: &'static [&'static str],
    /// Functions (last part of the path) within which a whole resize happens, from the
    /// allocation of the new table to the free of the old.
    pub resizes: &'static [&'static str],
    /// Code of the container around those: a table and a free that meet in one of these
    /// functions are a resize whose function was inlined into it.
    pub own: &'static [&'static str],
    /// Where the names in `tables` and `own` are ones that any program may have: functions of which
    /// one must be on the stack, too, in the same object. Empty: the names alone are believed.
    pub callers: &'static [&'static str],
    /// Functions that those of `tables` are inlined into: where no line tables tell, a block
    /// asked for by one of these belongs to the family.
    pub hosts: &'static [&'static str],
    /// Whether growth within the same size happens without an allocation, unseen.
    pub rehashes_unseen: bool,
    /// Whether a resize goes on over many calls, old and new table side by side meanwhile.
    pub step_by_step: bool,
}

const RUST_MAPS: &[&str] = &[
    "hashbrown::",
    "std::collections::hash::",
    "std::collections::hash_map::",
    "indexmap::",
    "dashmap::",
    "allocator_api2::",
];

/// std's `HashMap` and `HashSet`, the hashbrown crate and what stands on it.
pub static HASHBROWN: Family = Family {
    name: "hashbrown",
    container: Container::Map,
    tables: &["hashbrown::raw::", "hashbrown::scopeguard::"],
    resizes: &[
        "reserve_rehash",
        "reserve_rehash_inner",
        "resize",
        "resize_inner",
        "reserve",
        "try_reserve",
        "shrink_to",
        "shrink_to_fit",
    ],
    own: RUST_MAPS,
    callers: &[],
    hosts: RUST_MAPS,
    rehashes_unseen: true,
    step_by_step: false,
};

/// `Vec`, `String`, `VecDeque`, `BinaryHeap`.
pub static RAW_VEC: Family = Family {
    name: "raw_vec",
    container: Container::Vector,
    tables: &["alloc::raw_vec::"],
    resizes: &[
        "finish_grow",
        "grow_one",
        "grow_amortized",
        "grow_exact",
        "do_reserve_and_handle",
        "reserve",
        "reserve_exact",
        "reserve_for_push",
        "try_reserve",
        "try_reserve_exact",
        "shrink",
        "shrink_unchecked",
        "shrink_to_fit",
    ],
    own: &["alloc::raw_vec::"],
    callers: &[],
    hosts: &[
        "alloc::vec::",
        "alloc::string::",
        "alloc::str::",
        "alloc::slice::",
        "alloc::collections::vec_deque::",
        "alloc::collections::binary_heap::",
    ],
    rehashes_unseen: false,
    step_by_step: false,
};

/// `BTreeMap` and `BTreeSet`: nodes.
pub static BTREE: Family = Family {
    name: "btree",
    container: Container::Tree,
    tables: &["alloc::collections::btree::"],
    resizes: &[],
    own: &[],
    callers: &[],
    hosts: &[],
    rehashes_unseen: false,
    step_by_step: false,
};

/// A container that nobody catalogued and that grows by `realloc` or by replacing blocks.
pub static UNKNOWN: Family = Family {
    name: "unknown_container",
    container: Container::Unknown,
    tables: &[],
    resizes: &[],
    own: &[],
    callers: &[],
    hosts: &[],
    rehashes_unseen: false,
    step_by_step: false,
};

/// The smallvec crate's vector.
pub static SMALLVEC: Family = Family {
    name: "smallvec",
    container: Container::Vector,
    tables: &[
        "smallvec::SmallVec::try_grow",
        "smallvec::SmallVec::grow",
        "smallvec::layout_array",
        // Line tables have no types of methods that were inlined.
        "smallvec::try_grow",
        "smallvec::grow",
    ],
    resizes: &["try_grow", "grow", "try_reserve", "reserve"],
    own: &[],
    callers: &[],
    hosts: &[],
    rehashes_unseen: false,
    step_by_step: false,
};

/// What the user added.
static ADDED: OnceLock<Table> = OnceLock::new();

/// Adds families and functions, as [`table`] describes them, that go before the known ones. To be
/// called before the first report is made; what a second call adds is left out.
///
/// # Errors
/// The first line that is not understood.
pub fn add(text: &str) -> Result<(), TableError> {
    let table = table::parse(text)?;
    // The first one stays.
    let _ = ADDED.set(table);
    Ok(())
}

fn added() -> impl Iterator<Item = &'static Family> {
    ADDED.get().into_iter().flat_map(|table| &table.families)
}

/// All families that symbols tell: the user's, Rust's, and those of C and C++.
pub fn families() -> impl Iterator<Item = &'static Family> {
    added()
        .chain([&HASHBROWN, &RAW_VEC, &BTREE, &SMALLVEC])
        .chain(c_families())
}

/// Those of C and C++.
fn c_families() -> impl Iterator<Item = &'static Family> {
    HEADER_FAMILIES
        .into_iter()
        .chain(STD_CXX_FAMILIES)
        .chain(C_FAMILIES)
}

/// Functions of C and C++, and the user's, that only hand requests on to the allocator.
pub fn plumbing() -> impl Iterator<Item = &'static str> {
    let added = ADDED.get().into_iter().flat_map(|table| &table.plumbing);
    added.chain(C_PLUMBING).copied()
}

/// The family of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Family> {
    families().find(|family| family.name == name)
}

/// Names of functions that fill a container anew: a free that meets the new table in one of
/// them frees another container.
const CONSTRUCTORS: &[&str] = &[
    "clone",
    "clone_from",
    "clone_from_impl",
    "clone_from_spec",
    "from_iter",
    "from",
    "into",
    "collect",
    "to_owned",
    "to_vec",
    "default",
    "extend",
    "with_capacity",
    "with_capacity_and_hasher",
    "drop",
    "drop_in_place",
];

pub(super) fn matches(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("*::") {
        match rest.strip_suffix('*') {
            Some(inner) => path.contains(inner),
            None => {
                path == rest
                    || path
                        .strip_suffix(rest)
                        .is_some_and(|scope| scope.ends_with("::"))
            }
        }
    } else if let Some(start) = pattern.strip_suffix('*') {
        path.strip_prefix(start)
            .is_some_and(|rest| !rest.contains("::"))
    } else if pattern.ends_with("::") {
        path.starts_with(pattern)
    } else {
        path == pattern
    }
}

pub(super) fn any(patterns: &[&str], path: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, path))
}

/// A function on the stack of another one.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// What it is called.
    pub name: &'a Name,
    /// Whether it lies in the same object as the other one: an interpreter that runs a library's
    /// function says nothing of what that library's functions are.
    pub here: bool,
}

/// The family whose table a function asks for. `around` are the functions of its stack, itself and
/// those outwards first; with `inlined_too`, functions that the asking one is inlined into count as
/// well, for when inlined functions are not known.
pub fn family_asking<'a, Stack: Iterator<Item = Around<'a>>>(
    name: &Name,
    around: impl Fn() -> Stack,
    inlined_too: bool,
) -> Option<&'static Family> {
    let by = |patterns: fn(&Family) -> &'static [&'static str]| {
        families().find(|family| any(patterns(family), &name.path) && family.is_believed(around()))
    };
    let found =
        by(|family| family.tables).or_else(|| by(|family| family.hosts).filter(|_| inlined_too))?;
    Some(built_on_vector(found, around().map(|of| of.name)).unwrap_or(found))
}

/// The family of what gives memory out in parts, where this function asks for the memory.
#[must_use]
pub fn arena(name: &Name) -> Option<&'static Family> {
    any(ARENA.tables, &name.path).then_some(&ARENA)
}

/// The families of C++'s vectors, which other containers keep their tables in.
pub const CPP_VECTORS: [&str; 2] = ["libstdcxx_vector", "libcxx_vector"];

/// Whether a function of C++'s vectors grows one: also one that is a map's table.
#[must_use]
pub fn grows_vector(name: &Name) -> bool {
    let mut vectors = CPP_VECTORS.iter().filter_map(|name| named(name));
    vectors.any(|family| family.resizes_within(name))
}

/// The map that keeps its table in a vector of C++'s, where the vector's functions were called by
/// that map's.
fn built_on_vector<'a>(
    vector: &Family,
    outwards: impl Iterator<Item = &'a Name>,
) -> Option<&'static Family> {
    if !CPP_VECTORS.contains(&vector.name) {
        return None;
    }
    let mut outside = outwards.filter(|name| !name.path.starts_with("std::"));
    let asks = outside.next()?;
    c_families()
        .filter(|family| family.container == Container::Map && family.callers.is_empty())
        .find(|family| any(family.tables, &asks.path))
}

/// The family of which a function of C or C++ is part. `around` are the functions of its stack,
/// itself among them.
pub fn family_of_code<'a, Stack: Iterator<Item = Around<'a>>>(
    name: &Name,
    around: impl Fn() -> Stack,
) -> Option<&'static Family> {
    added()
        .chain(c_families())
        .find(|family| any(family.own, &name.path) && family.is_believed(around()))
}

/// Families of C and C++ that have a function of this name.
fn claiming(path: &str) -> impl Iterator<Item = &'static Family> {
    let claims = move |family: &&Family| any(family.own, path) || any(family.tables, path);
    added().chain(c_families()).filter(claims)
}

/// Whether a function is part of a C or C++ container, if its name is to be believed.
pub(super) fn is_container_code(path: &str) -> bool {
    claiming(path).next().is_some()
}

/// Whether a container of C has a function of this name, but any program may have one, too.
pub(super) fn is_common_name(path: &str) -> bool {
    let mut families = claiming(path).peekable();
    let proper = |family: &Family| family.callers.is_empty() || any(family.callers, path);
    families.peek().is_some() && !families.any(proper)
}

/// Whether a function by one of the names that any program may have is a container's after all, by
/// the functions of its stack.
pub fn is_containers<'a, Stack: Iterator<Item = Around<'a>>>(
    name: &Name,
    around: impl Fn() -> Stack,
) -> bool {
    claiming(&name.path).any(|family| family.is_believed(around()))
}

/// Whether a vector's memory ends up in a boxed slice, which never grows.
#[must_use]
pub fn boxes_a_slice(name: &Name) -> bool {
    name.path.starts_with("alloc::boxed::") && name.last().ends_with("_slice")
}

impl Family {
    /// Whether functions by the names of this family's, with these on the stack, are its own.
    fn is_believed<'a>(&self, mut around: impl Iterator<Item = Around<'a>>) -> bool {
        // Templates are of whichever object was loaded first. What users say they know.
        let anywhere = |name: &Name| name.path.contains("::") || self.is_added();
        self.callers.is_empty()
            || around.any(|of| any(self.callers, &of.name.path) && (of.here || anywhere(of.name)))
    }

    fn is_added(&self) -> bool {
        added().any(|family| std::ptr::eq(family, self))
    }

    /// Whether a whole resize of this family happens within the function.
    #[must_use]
    pub fn resizes_within(&self, name: &Name) -> bool {
        self.resizes.contains(&name.last())
            && (any(self.tables, &name.path) || any(self.own, &name.path))
            && name.of_trait.is_none()
    }

    /// Whether the function is code of this family's containers that may have a resize inlined.
    #[must_use]
    pub fn owns(&self, name: &Name) -> bool {
        (any(self.own, &name.path) || any(self.tables, &name.path))
            && !CONSTRUCTORS.contains(&name.last())
    }

    /// Whether resizes exist for this family.
    #[must_use]
    pub fn has_resizes(&self) -> bool {
        self.container != Container::Tree
    }
}

#[cfg(test)]
mod tests;
