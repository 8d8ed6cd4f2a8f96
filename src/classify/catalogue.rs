//! The catalogue: which functions make a container what it is.
//!
//! A pattern is matched on the path of a function as [`Name`] brings it into form:
//! `a::b::` (ending in `::`) is a prefix, `*::name` any function of that name, anything else
//! the whole path.

use super::names::Name;

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
    /// Functions that those of `tables` are inlined into: where no line tables tell, a block
    /// asked for by one of these belongs to the family.
    pub hosts: &'static [&'static str],
    /// Whether growth within the same size happens without an allocation, unseen.
    pub rehashes_unseen: bool,
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
    hosts: RUST_MAPS,
    rehashes_unseen: true,
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
    hosts: &[
        "alloc::vec::",
        "alloc::string::",
        "alloc::str::",
        "alloc::slice::",
        "alloc::collections::vec_deque::",
        "alloc::collections::binary_heap::",
    ],
    rehashes_unseen: false,
};

/// `BTreeMap` and `BTreeSet`: nodes.
pub static BTREE: Family = Family {
    name: "btree",
    container: Container::Tree,
    tables: &["alloc::collections::btree::"],
    resizes: &[],
    own: &[],
    hosts: &[],
    rehashes_unseen: false,
};

/// A container that nobody catalogued and that grows by `realloc` or by replacing blocks.
pub static UNKNOWN: Family = Family {
    name: "unknown_container",
    container: Container::Unknown,
    tables: &[],
    resizes: &[],
    own: &[],
    hosts: &[],
    rehashes_unseen: false,
};

/// A family of C or C++: its growth functions allocate the tables themselves.
const fn grown_by(
    name: &'static str,
    container: Container,
    functions: &'static [&'static str],
    resizes: &'static [&'static str],
) -> Family {
    Family {
        name,
        container,
        tables: functions,
        resizes,
        own: &[],
        hosts: &[],
        rehashes_unseen: false,
    }
}

use Container::{Map, Vector};

/// All families that symbols tell.
pub static FAMILIES: [&Family; 16] = [
    &HASHBROWN,
    &RAW_VEC,
    &BTREE,
    &grown_by(
        "smallvec",
        Vector,
        &[
            "smallvec::SmallVec::try_grow",
            "smallvec::SmallVec::grow",
            "smallvec::layout_array",
        ],
        &["try_grow", "grow", "try_reserve", "reserve"],
    ),
    &grown_by(
        "libstdcxx_hashtable",
        Map,
        &["*::_M_rehash", "*::_M_rehash_aux", "*::_M_allocate_buckets"],
        &["_M_rehash", "_M_rehash_aux"],
    ),
    &grown_by(
        "libstdcxx_vector",
        Vector,
        &[
            "*::_M_realloc_insert",
            "*::_M_realloc_append",
            "*::_M_default_append",
            "*::_M_fill_insert",
            "*::_M_fill_append",
            "*::_M_range_insert",
            "*::_M_allocate_and_copy",
            "std::vector::reserve",
        ],
        &[
            "_M_realloc_insert",
            "_M_realloc_append",
            "_M_default_append",
            "_M_fill_insert",
            "_M_fill_append",
            "_M_range_insert",
            "reserve",
        ],
    ),
    &grown_by(
        "libstdcxx_string",
        Vector,
        &[
            "std::__cxx11::basic_string::_M_mutate",
            "std::__cxx11::basic_string::reserve",
        ],
        &["_M_mutate", "reserve"],
    ),
    &grown_by(
        "libcxx_hashtable",
        Map,
        &[
            "std::__1::__hash_table::__rehash",
            "std::__1::__hash_table::__do_rehash",
        ],
        &["__rehash", "__do_rehash"],
    ),
    &grown_by(
        "libcxx_vector",
        Vector,
        &[
            "*::__push_back_slow_path",
            "*::__emplace_back_slow_path",
            "std::__1::vector::__append",
        ],
        &[
            "__push_back_slow_path",
            "__emplace_back_slow_path",
            "__append",
        ],
    ),
    &grown_by(
        "cpython_dict",
        Map,
        &["dictresize", "insertion_resize", "new_keys_object"],
        &["dictresize", "insertion_resize"],
    ),
    &grown_by(
        "cpython_set",
        Map,
        &["set_table_resize"],
        &["set_table_resize"],
    ),
    &grown_by("cpython_list", Vector, &["list_resize"], &["list_resize"]),
    &grown_by(
        "redis_dict",
        Map,
        &[
            "dictExpand",
            "_dictExpand",
            "dictResize",
            "_dictResize",
            "dictTryExpand",
        ],
        &["_dictExpand", "_dictResize"],
    ),
    &grown_by(
        "glib_hash",
        Map,
        &[
            "g_hash_table_resize",
            "g_hash_table_setup_storage",
            "g_hash_table_realloc_key_or_value_array",
        ],
        &["g_hash_table_resize"],
    ),
    &grown_by(
        "lua_table",
        Map,
        &["luaH_resize", "setnodevector", "luaM_growaux_"],
        &["luaH_resize"],
    ),
    &grown_by(
        "ruby_st",
        Map,
        &[
            "rebuild_table",
            "st_init_table_with_size",
            "st_init_existing_table_with_size",
        ],
        &["rebuild_table"],
    ),
];

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
    if let Some(last) = pattern.strip_prefix("*::") {
        path == last
            || path
                .strip_suffix(last)
                .is_some_and(|scope| scope.ends_with("::"))
    } else if pattern.ends_with("::") {
        path.starts_with(pattern)
    } else {
        path == pattern
    }
}

pub(super) fn any(patterns: &[&str], path: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, path))
}

/// The family whose table a function asks for.
#[must_use]
pub fn family_of_table(name: &Name) -> Option<&'static Family> {
    FAMILIES
        .into_iter()
        .find(|family| any(family.tables, &name.path))
}

/// The family that a function uses, for when functions inlined into it are not known.
#[must_use]
pub fn family_of_host(name: &Name) -> Option<&'static Family> {
    let hosts = || {
        FAMILIES
            .into_iter()
            .find(|family| any(family.hosts, &name.path))
    };
    family_of_table(name).or_else(hosts)
}

/// Whether a vector's memory ends up in a boxed slice, which never grows.
#[must_use]
pub fn boxes_a_slice(name: &Name) -> bool {
    name.path.starts_with("alloc::boxed::") && name.last().ends_with("_slice")
}

impl Family {
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
mod tests {
    use super::*;

    #[test]
    fn table_functions_tell_their_family() {
        for (name, family) in [
            (
                "hashbrown::raw::RawTableInner::new_uninitialized",
                "hashbrown",
            ),
            (
                "<hashbrown::raw::RawTable<(u64, u64)>>::reserve_rehash::<F>",
                "hashbrown",
            ),
            ("alloc::raw_vec::finish_grow", "raw_vec"),
            ("alloc::raw_vec::RawVec<T,A>::grow_one", "raw_vec"),
            (
                "alloc::collections::btree::node::LeafNode<K,V>::new",
                "btree",
            ),
            (
                "std::_Hashtable<int, int>::_M_rehash(unsigned long, std::true_type)",
                "libstdcxx_hashtable",
            ),
            (
                "void std::vector<int>::_M_realloc_insert<int>(int*)",
                "libstdcxx_vector",
            ),
            ("dictresize", "cpython_dict"),
            ("_dictExpand", "redis_dict"),
        ] {
            let found = family_of_table(&Name::parse(name));
            assert_eq!(found.map(|family| family.name), Some(family), "{name}");
        }
        for name in [
            "hashbrown::map::HashMap<K,V>::insert",
            "my_M_rehash",
            "demo::dictresize",
        ] {
            assert_eq!(family_of_table(&Name::parse(name)), None, "{name}");
        }
    }

    #[test]
    fn clones_and_constructors_hold_no_resize() {
        let clone =
            Name::parse("<hashbrown::raw::RawTable<T,A> as core::clone::Clone>::clone_from");
        assert!(!HASHBROWN.owns(&clone) && !HASHBROWN.resizes_within(&clone));
        let rehash = Name::parse("hashbrown::raw::RawTable<T,A>::reserve_rehash");
        assert!(HASHBROWN.resizes_within(&rehash) && HASHBROWN.owns(&rehash));
        let insert = Name::parse("std::collections::hash::map::HashMap<K,V,S>::insert");
        assert!(HASHBROWN.owns(&insert) && !HASHBROWN.resizes_within(&insert));
        let user = Name::parse("demo::Cache::shrink_to_fit");
        assert!(!HASHBROWN.owns(&user) && !HASHBROWN.resizes_within(&user));
    }
}
