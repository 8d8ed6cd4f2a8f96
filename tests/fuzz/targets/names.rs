//! Names by address, of all the kinds that analysis tells apart: the target that reads recordings
//! gives them, and the recordings that it begins from ask for them.

pub const NAMES: [&str; 8] = [
    "hashbrown::raw::RawTable<T,A>::reserve_rehash",
    "alloc::raw_vec::RawVec<T,A>::grow_one",
    "alloc::collections::btree::node::LeafNode<K,V>::new",
    "__rust_alloc",
    "dictresize",
    "std::rt::lang_start",
    "demo::Cache::put",
    "demo::main",
];

/// The name of the function at `address`, before what is inlined into it.
pub fn of(address: u64) -> &'static str {
    NAMES[(address >> 3) as usize % NAMES.len()]
}

/// How many functions there are at `address`: none, this one and another, or this one.
pub fn kind(address: u64) -> u64 {
    (address % 5).min(2)
}
