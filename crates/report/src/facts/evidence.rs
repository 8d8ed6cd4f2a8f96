//! A recorded site goes in; what it is comes out, as far as its own stack and blocks tell.

use super::callers::{Position, caller, first_user, look_through_allocators, scripts_function};
use super::claims::{around, disbelieve};
use super::resolve::{Function, PhysicalFrame, Resolver};
use crate::model::KnownBy;
use mapgrow_containers::classify::catalogue::{self, DEQUE_BLOCKS, Family, HASHTABLE_NODES};
use mapgrow_containers::classify::cpython;
use mapgrow_containers::classify::elements::Elements;
use mapgrow_containers::classify::names::Name;
use mapgrow_containers::classify::types;
use mapgrow_containers::classify::whose::Whose;
use mapgrow_format::layout::{self, header};
use mapgrow_format::reader::{Recording, Site};
use std::collections::BTreeSet;

/// Sizes kept of one site; more would settle nothing.
const MAX_SIZES: usize = 64;

/// What is known of a recorded site.
#[derive(Debug)]
pub(crate) struct SiteFacts {
    pub stack: Vec<PhysicalFrame>,
    pub family: Option<&'static Family>,
    pub known_by: Option<KnownBy>,
    /// First frame in the program's own code.
    pub caller: Option<Position>,
    /// Type of the container as the program writes it.
    pub type_name: Option<String>,
    /// Size of an element, where the type's name tells.
    pub element_bytes: Option<u64>,
    /// What the element's alignment is a multiple of, as far as the type's name tells.
    pub element_align: u64,
    /// Address of the growth function's frame: sites that share it hold the same element type.
    pub grown_at: Option<u64>,
    /// Alignment asked for, if always the same.
    pub align: Option<u64>,
    /// Sizes of tables that this site was seen to allocate.
    pub sizes: BTreeSet<u64>,
    /// The outermost frame from which a table of a container that no name tells was replaced.
    pub grown_in: Option<usize>,
    /// Whether the caller uses a container that no name tells, and has no part in its code.
    pub used_beyond: bool,
    /// Whether anything was allocated here.
    pub used: bool,
}

impl SiteFacts {
    pub fn of(recording: &Recording, site: &Site<'_>, resolver: &mut Resolver<'_>) -> Self {
        let mut stack = resolver.stack(recording, site);
        disbelieve(&mut stack);
        look_through_allocators(&mut stack);
        let found = family_by_symbol(&stack);
        let used = site.word(layout::site::ALLOCS) | site.word(layout::site::SAMPLED_ALLOCS) != 0;
        let mut facts = Self {
            caller: caller(&stack).map(|at| scripts_function(&stack, at)),
            family: found.map(|(family, _)| family),
            known_by: found.map(|_| KnownBy::Symbol),
            type_name: None,
            grown_in: None,
            used_beyond: false,
            element_bytes: None,
            element_align: 1,
            grown_at: None,
            align: site
                .align_log2()
                .filter(|(low, high)| low == high)
                .map(|(low, _)| 1 << low),
            sizes: BTreeSet::new(),
            used,
            stack,
        };
        if used && site.word(layout::site::MIN_BYTES) <= site.word(layout::site::MAX_BYTES) {
            facts.see(site.word(layout::site::MIN_BYTES));
            facts.see(site.word(layout::site::MAX_BYTES));
        }
        if facts.family == Some(&catalogue::HASHBROWN) {
            // `malloc` is not told an alignment, and gives no less than a group's.
            let group = group_width(recording);
            facts.align = facts.align.map(|align| align.max(group));
        }
        if let Some((family, position)) = found {
            facts.find_type(family, position, resolver);
        }
        facts
    }

    /// Whether no name tells what is allocated here.
    pub fn is_unknown(&self) -> bool {
        self.family
            .is_none_or(|family| family == &catalogue::UNKNOWN)
    }

    /// Takes in the size of a table of this site.
    pub fn see(&mut self, bytes: u64) {
        if self.sizes.len() < MAX_SIZES {
            self.sizes.insert(bytes);
        }
    }

    /// Whether the blocks have the shape of a hashbrown table that doubles, whatever the names.
    pub fn looks_like_hashbrown(&self, site: &Site<'_>, recording: &Recording) -> bool {
        let group = group_width(recording);
        let Some(align) = self.align.filter(|&align| align >= group) else {
            return false;
        };
        if site.entry() != layout::site::ENTRY_ALLOC || self.sizes.len() < 2 {
            return false;
        }
        let mut elements = Elements::new(align, group);
        self.sizes.iter().for_each(|&bytes| elements.see(bytes));
        !elements.impossible()
    }

    /// Whether an interpreter without symbols allocates tables of a dict here.
    pub fn looks_like_cpython_dict(&self) -> bool {
        /// Two could be chance.
        const ENOUGH: usize = 3;
        let names = self
            .stack
            .iter()
            .flat_map(|frame| frame.functions.iter())
            .filter_map(|function| function.name.as_deref());
        self.sizes.len() >= ENOUGH
            && self
                .sizes
                .iter()
                .all(|&bytes| cpython::is_dict_table(bytes))
            && names
                .into_iter()
                .any(|name| cpython::is_interpreters(&name.path))
    }

    /// The functions up to this frame, and those without a name, belong to the container, though
    /// no name says so: the caller is the first one outside.
    pub fn step_out_of(&mut self, inner: usize) {
        let (_, outer) = self.stack.split_at(inner.min(self.stack.len()));
        let user = first_user(outer).map(|(at, _)| at);
        let named = user.and_then(|at| {
            let (more, within) = caller(&outer[at..])?;
            Some((inner + at + more, within))
        });
        let named = named.map(|at| scripts_function(&self.stack, at));
        self.caller = named.or(self.caller);
    }

    /// What the function that grows the container called for memory has no part in it.
    pub fn step_out_of_helpers(&mut self) {
        let Some((grown_in, (at, _))) = self.grown_in.zip(self.caller) else {
            return;
        };
        let grows = self.stack.get(grown_in).filter(|_| grown_in > at);
        let own = |function: &Function| function.whose == Some(Whose::Program);
        let within = grows.and_then(|frame| frame.functions.iter().position(own));
        if let Some(within) = within {
            self.caller = Some((grown_in, within));
        }
    }

    fn find_type(
        &mut self,
        family: &'static Family,
        (at, _): Position,
        resolver: &mut Resolver<'_>,
    ) {
        let user = first_user(&self.stack).or(self.caller);
        let outwards = &self.stack[at..user.map_or(at, |(at, _)| at).max(at) + 1];
        self.grown_at = outwards
            .iter()
            .find(|frame| {
                frame
                    .functions
                    .iter()
                    .filter_map(|function| function.name.as_deref())
                    .any(|name| name.path.starts_with("hashbrown::raw::RawTable::"))
            })
            .map(|frame| frame.address);
        let names: Vec<&Name> = outwards
            .iter()
            .flat_map(|frame| frame.functions.iter())
            .take_while(|function| !function.whose.is_some_and(Whose::uses_containers))
            .filter_map(|function| function.name.as_deref())
            .collect();
        let elements = resolver.element_type(outwards);
        let elements = elements.map(|list| types::elements(&list));
        // Sizes are those of Rust's types: C++ has other ones of the same names.
        let is_rust = !family.name.starts_with("lib");
        if let Some(elements) = elements.as_ref().filter(|_| is_rust) {
            let tuple = match elements.as_slice() {
                [array] if family == &catalogue::SMALLVEC => {
                    let of = array
                        .strip_prefix('[')
                        .and_then(|rest| rest.rsplit_once(';'));
                    of.map_or_else(String::new, |(element, _)| element.to_owned())
                }
                [one] => one.clone(),
                several => format!("({})", several.join(", ")),
            };
            self.element_bytes = types::layout(&tuple).map(|(bytes, _)| bytes);
            self.element_align = types::least_align(&tuple);
        }
        self.type_name = type_name(family, &names, elements.as_deref());
    }
}

/// Width of hashbrown's control group where the recording was made.
pub(crate) fn group_width(recording: &Recording) -> u64 {
    match recording.header(header::GROUP_WIDTH) {
        8 => 8,
        _ => 16,
    }
}

/// The family whose table function asked for the block: the first function that is not the
/// allocator's plumbing decides.
fn family_by_symbol(stack: &[PhysicalFrame]) -> Option<(&'static Family, Position)> {
    for (at, frame) in stack.iter().enumerate() {
        for (within, function) in frame.functions.iter().enumerate() {
            if function.whose == Some(Whose::Plumbing) {
                let arena = function.name.as_deref().and_then(catalogue::arena);
                if let Some(arena) = arena {
                    return Some((arena, (at, within)));
                }
                continue;
            }
            let name = function.name.as_deref()?;
            let inlined_too = !frame.has_lines();
            let around = || around(stack, (at, within));
            let family = catalogue::family_asking(name, around, inlined_too)?;
            let boxed = family == &catalogue::RAW_VEC && {
                let rest = frame.functions[within..].iter().chain(
                    stack[at + 1..]
                        .iter()
                        .flat_map(|frame| frame.functions.iter()),
                );
                let mut outside = rest.filter_map(|function| function.name.as_deref());
                let first = outside.find(|name| !name.path.starts_with("alloc::raw_vec::"));
                first.is_some_and(catalogue::boxes_a_slice)
            };
            return (!boxed).then_some((family, (at, within)));
        }
    }
    None
}

/// The same for libstdc++, whose tables of nodes have pairs for elements where they are maps.
fn cpp_type_name(
    family: &Family,
    calls: &dyn Fn(&str) -> bool,
    elements: &[String],
) -> Option<String> {
    let element = types::short(elements.first()?);
    let of_nodes = |map: &str, set: &str| {
        let pair = element
            .strip_prefix("pair<")
            .and_then(|rest| rest.strip_suffix('>'));
        let pair = pair.map(types::elements).filter(|pair| pair.len() == 2);
        match pair.as_deref() {
            Some([key, value]) if !calls(&format!("std::{set}")) => {
                let key = key.strip_prefix("const ").unwrap_or(key);
                let key = key.strip_suffix(" const").unwrap_or(key);
                format!("{map}<{key}, {value}>")
            }
            _ => format!("{set}<{element}>"),
        }
    };
    Some(match family.name {
        "libstdcxx_vector" => format!("vector<{element}>"),
        "libstdcxx_deque" | DEQUE_BLOCKS => format!("deque<{element}>"),
        "libstdcxx_list" => format!("list<{element}>"),
        "libstdcxx_hashtable" | HASHTABLE_NODES if calls("std::unordered_multi") => {
            of_nodes("unordered_multimap", "unordered_multiset")
        }
        "libstdcxx_hashtable" | HASHTABLE_NODES => of_nodes("unordered_map", "unordered_set"),
        "libstdcxx_tree" if calls("std::multi") => of_nodes("multimap", "multiset"),
        "libstdcxx_tree" => of_nodes("map", "set"),
        _ => return None,
    })
}

/// How the program writes the type: by the functions between the table and the program.
fn type_name(family: &Family, names: &[&Name], elements: Option<&[String]>) -> Option<String> {
    let calls = |prefix: &str| names.iter().any(|name| name.path.starts_with(prefix));
    let outer = match family.name {
        "hashbrown" if calls("indexmap::set") => "IndexSet",
        "hashbrown" if calls("indexmap::") => "IndexMap",
        "hashbrown" if calls("dashmap::set") => "DashSet",
        "hashbrown" if calls("dashmap::") => "DashMap",
        "hashbrown" if calls("std::collections::hash::set") || calls("hashbrown::set") => "HashSet",
        "hashbrown" if calls("hashbrown::table") => "HashTable",
        "hashbrown" => "HashMap",
        "raw_vec" if calls("alloc::string::") => return Some("String".to_owned()),
        "raw_vec" if calls("std::path::PathBuf") => return Some("PathBuf".to_owned()),
        "raw_vec" if calls("alloc::collections::vec_deque::") => "VecDeque",
        "raw_vec" if calls("alloc::collections::binary_heap::") => "BinaryHeap",
        "raw_vec" if calls("indexmap::") => "IndexMap",
        "raw_vec" => "Vec",
        "smallvec" => "SmallVec",
        "btree" if calls("alloc::collections::btree::set") => "BTreeSet",
        "btree" if calls("alloc::collections::btree::map") => "BTreeMap",
        "btree" if elements.is_some() => "BTreeMap",
        _ => return cpp_type_name(family, &calls, elements?),
    };
    // Their tables hold positions and buckets, not keys and values.
    if outer.starts_with("Index") {
        return Some(outer.to_owned());
    }
    let mut elements: Vec<String> = elements
        .unwrap_or_default()
        .iter()
        .map(|element| types::short(element))
        .collect();
    if elements.is_empty() {
        let plain = ["HashMap", "Vec", "HashTable"];
        return (!plain.contains(&outer)).then(|| outer.to_owned());
    }
    // A set is a map to nothing.
    let set = match outer {
        "HashMap" => Some("HashSet"),
        "BTreeMap" => Some("BTreeSet"),
        "HashSet" | "BTreeSet" | "IndexSet" | "DashSet" => Some(outer),
        _ => None,
    };
    let outer = match (set, elements.as_slice()) {
        (Some(set), [_, nothing]) if nothing == "()" => {
            elements.pop();
            set
        }
        _ => outer,
    };
    let list = match (outer, elements.as_slice()) {
        // A vector of tuples has one element type.
        ("Vec" | "VecDeque" | "BinaryHeap", [_, _, ..]) => format!("({})", elements.join(", ")),
        _ => elements.join(", "),
    };
    Some(format!("{outer}<{list}>"))
}
