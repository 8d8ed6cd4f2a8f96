//! The catalogue's part for containers that C and C++ programs take from a header or from Qt: those
//! that keep their entries in the table, their nodes where they have some, and what would otherwise
//! be taken for one of the [`C_FAMILIES`](super::c_families).

use super::c_families::{called_by, family};
use super::catalogue::Container::{Map, Tree, Vector};
use super::catalogue::Family;

/// Nodes of a hash table.
const fn nodes(name: &'static str, tables: &'static [&'static str]) -> Family {
    family(name, Tree, tables, &[], &[])
}

/// Memory that is given out in parts, to containers and others: what it asks for is none of their
/// tables. Its functions are plumbing besides, and the way to whoever asked it.
pub(super) static ARENA: Family = family(
    "arena",
    Tree,
    &[
        "std::pmr::monotonic_buffer_resource::_M_new_buffer",
        "std::experimental::fundamentals_v1::pmr::monotonic_buffer_resource::_M_new_buffer",
        "boost::container::pmr::monotonic_buffer_resource::increase_next_buffer*",
        "bumpalo::Bump::alloc_layout_slow",
    ],
    &[],
    &[],
);

/// They go before the other families.
pub(super) static HEADER_FAMILIES: [&Family; 21] = [
    &ARENA,
    &nodes(
        "libcxx_hashtable_node",
        &["std::__1::__hash_table::__construct_node*"],
    ),
    &nodes(
        "boost_unordered_node",
        &[
            "boost::unordered::detail::node_constructor::create_node",
            "boost::unordered::detail::func::construct_node*",
        ],
    ),
    &nodes(
        "abseil_node",
        &[
            "*::container_internal::NodeHashMapPolicy::new_element",
            "*::container_internal::NodeHashSetPolicy::new_element",
        ],
    ),
    &nodes(
        "phmap_node",
        &[
            "phmap::priv::NodeHashMapPolicy::new_element",
            "phmap::priv::NodeHashSetPolicy::new_element",
        ],
    ),
    &nodes("qt_hash_node", &["QHashData::allocateNode"]),
    // Its nodes come from the function that the hash tables call, too.
    &called_by(
        &["*::container_internal::btree::*"],
        family(
            "abseil_btree",
            Tree,
            &[
                "*::container_internal::Allocate",
                "*::container_internal::btree::*",
            ],
            &[],
            &[],
        ),
    ),
    &family(
        "phmap",
        Map,
        &[
            "phmap::priv::Allocate",
            "phmap::priv::raw_hash_set::",
            "gtl::priv::Allocate",
            "gtl::priv::raw_hash_set::",
        ],
        &["resize"],
        &["phmap::", "gtl::priv::"],
    ),
    &family(
        "ska_flat",
        Map,
        &[
            "ska::detailv3::sherwood_v3_table::",
            "ska::detailv8::sherwood_v8_table::",
        ],
        &["rehash", "grow"],
        &[
            "ska::detailv3::",
            "ska::detailv8::",
            "ska::flat_hash_map::",
            "ska::flat_hash_set::",
        ],
    ),
    &family(
        "robin_hood",
        Map,
        &["robin_hood::detail::"],
        &["rehashPowerOfTwo", "rehash", "reserve", "increase_size"],
        &["robin_hood::"],
    ),
    // Its entries lie in a vector of their own.
    &family(
        "ankerl_dense",
        Map,
        &["ankerl::unordered_dense::"],
        &["increase_size", "rehash", "reserve"],
        &["ankerl::unordered_dense::"],
    ),
    &family(
        "emhash",
        Map,
        &["emhash5::", "emhash6::", "emhash7::", "emhash8::"],
        &["rehash", "rebuild", "rehash_base"],
        &["emhash5::", "emhash6::", "emhash7::", "emhash8::"],
    ),
    &family(
        "tsl_ordered",
        Map,
        &["tsl::detail_ordered_hash::"],
        &["rehash_impl", "rehash", "reserve"],
        &[
            "tsl::detail_ordered_hash::",
            "tsl::ordered_map::",
            "tsl::ordered_set::",
        ],
    ),
    &family(
        "libcuckoo",
        Map,
        &[
            "libcuckoo::bucket_container::",
            "libcuckoo::cuckoohash_map::",
        ],
        &["cuckoo_fast_double", "cuckoo_expand_simple"],
        &["libcuckoo::"],
    ),
    // klib: keys, values and flags have an array each.
    &Family {
        hosts: &["kh_put_*"],
        ..family(
            "khash",
            Map,
            &["kh_resize_*"],
            &[],
            &[
                "kh_resize_*",
                "kh_put_*",
                "kh_init_*",
                "kh_destroy_*",
                "kh_clear_*",
            ],
        )
    },
    // Maps grow by the function of the arrays.
    &called_by(
        &["stbds_hmput_*", "stbds_hmget_*", "stbds_shmode_func"],
        family(
            "stb_ds_map",
            Map,
            &["stbds_arrgrowf", "stbds_make_hash_index"],
            &["stbds_hmput_key"],
            &["stbds_hm*", "stbds_make_hash_index", "stbds_shmode_func"],
        ),
    ),
    &family(
        "stb_ds_array",
        Vector,
        &["stbds_arrgrowf"],
        &["stbds_arrgrowf"],
        &["stbds_arr*"],
    ),
    &family(
        "qt_hash",
        Map,
        &["QHashData::rehash", "QHashPrivate::"],
        &["rehash"],
        &[
            "QHashData::",
            "QHashPrivate::",
            "QHash::",
            "QMultiHash::",
            "QSet::",
        ],
    ),
    &family(
        "qt_array",
        Vector,
        &[
            "QArrayData::allocate",
            "QArrayData::reallocateUnaligned",
            "QListData::*",
        ],
        &["reallocData", "realloc"],
        &[
            "QArrayData::",
            "QTypedArrayData::",
            "QVector::",
            "QListData::",
            "QList::",
        ],
    ),
    &family(
        "qt_map",
        Tree,
        &["QMapDataBase::createNode"],
        &[],
        &["QMapDataBase::", "QMapData::", "QMapNode::", "QMap::"],
    ),
    // Groups of entries, each with a block that grows by one at a time, in a vector of groups.
    &family(
        "sparse_hash_map",
        Map,
        &[
            "google::sparsegroup::",
            "google::sparsetable::",
            "google::sparse_hashtable::",
        ],
        &["resize_delta", "maybe_shrink", "resize", "set"],
        &[
            "google::sparse_hashtable::",
            "google::sparsetable::",
            "google::sparsegroup::",
            "google::sparse_hash_map::",
            "google::sparse_hash_set::",
        ],
    ),
];
