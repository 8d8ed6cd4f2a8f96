//! The catalogue's part for C and C++: one entry for each container, in the words of its own
//! source. See [`Family`] for what the columns mean, and
//! [`catalogue`](super::catalogue) for what patterns match.

use super::catalogue::Container::{Map, Vector};
use super::catalogue::{Container, Family};

/// Nodes of libstdc++'s unordered containers.
pub const HASHTABLE_NODES: &str = "libstdcxx_hashtable_node";

/// Blocks of libstdc++'s deques, to which a table of pointers leads.
pub const DEQUE_BLOCKS: &str = "libstdcxx_deque_block";

/// Families of nodes that hang on a table, and the family of the table.
const NODES: [(&str, &str); 7] = [
    (HASHTABLE_NODES, "libstdcxx_hashtable"),
    (DEQUE_BLOCKS, "libstdcxx_deque"),
    ("libcxx_hashtable_node", "libcxx_hashtable"),
    ("boost_unordered_node", "boost_unordered"),
    ("abseil_node", "abseil_flat"),
    ("phmap_node", "phmap"),
    ("qt_hash_node", "qt_hash"),
];

/// The family of the tables that these nodes hang on, if nodes they are.
#[must_use]
pub fn nodes_of(family: &str) -> Option<&'static str> {
    let found = NODES.iter().find(|(nodes, _)| *nodes == family);
    found.map(|&(_, table)| table)
}

pub(super) const fn family(
    name: &'static str,
    container: Container,
    tables: &'static [&'static str],
    resizes: &'static [&'static str],
    own: &'static [&'static str],
) -> Family {
    Family {
        name,
        container,
        tables,
        resizes,
        own,
        callers: &[],
        hosts: &[],
        rehashes_unseen: false,
        step_by_step: false,
    }
}

/// A family whose functions have names that others may have too.
pub(super) const fn called_by(callers: &'static [&'static str], family: Family) -> Family {
    Family { callers, ..family }
}

/// A family whose entries move to the new table a few at a time.
const fn step_by_step(family: Family) -> Family {
    Family {
        step_by_step: true,
        ..family
    }
}

/// What is around a function of CPython's containers: their interface, and what runs Python. Not
/// all that begins with `Py`, which modules' own functions do as well.
const CPYTHON: &[&str] = &[
    "PyDict_*",
    "_PyDict_*",
    "PyList_*",
    "_PyList_*",
    "PySet_*",
    "_PySet_*",
    "PyObject_*",
    "_PyObject_*",
    "PyMem_*",
    "_PyMem_*",
    "PyEval_*",
    "_PyEval_*",
    "_TAIL_CALL_*",
];

/// The names that no other dict has: of Redis, and of who took its files.
const REDIS: &[&str] = &[
    "dictAddRaw",
    "dictAddOrFind",
    "dictTryExpand",
    "dictExpandIfNeeded",
    "dictFindPositionForInsert",
    "dictInsertAtPosition",
    "dictRehashMilliseconds",
    "dictRehashMicroseconds",
    "_dictExpand",
    "_dictResize",
    "_dictInit",
    "_dictKeyIndex",
    "_dictExpandIfNeeded",
    "_dictRehashStep",
    "zmalloc*",
    "zcalloc*",
    "ztrymalloc*",
    "ztrycalloc*",
    "valkey_malloc",
    "valkey_calloc",
];

/// Ruby's own names. (`st_` and `ary_` are many programs'.)
const RUBY: &[&str] = &[
    "rb_st_*",
    "rb_hash_*",
    "rb_ary_*",
    "ruby_xmalloc*",
    "ruby_xrealloc*",
    "ruby_xcalloc*",
    "objspace_x*",
    "rb_gc_impl_*",
];

/// Containers of C, and of C++ beside its standard libraries, that symbols tell.
pub(super) static C_FAMILIES: [&Family; 21] = [
    &family(
        "abseil_flat",
        Map,
        &[
            "*::container_internal::raw_hash_set::initialize_slots",
            "*::container_internal::raw_hash_set::resize",
            "*::container_internal::raw_hash_set::resize_impl",
            "*::container_internal::HashSetResizeHelper::InitializeSlots",
            "*::container_internal::Allocate",
        ],
        &["resize", "resize_impl"],
        &["*::container_internal::*"],
    ),
    &family(
        "boost_unordered",
        Map,
        &[
            "boost::unordered::detail::foa::",
            "boost::unordered::detail::grouped_bucket_array::",
            "boost::unordered::detail::table::create_buckets",
        ],
        &[
            "rehash",
            "rehash_impl",
            "reserve_for_insert",
            "resize_and_add_node_unique",
            "create_buckets",
            "unchecked_rehash",
            "unchecked_emplace_with_rehash",
        ],
        &["boost::unordered::"],
    ),
    &family(
        "dense_hash_map",
        Map,
        &["google::dense_hashtable::"],
        &["resize_delta", "maybe_shrink", "clear_to_size", "resize"],
        &[
            "google::dense_hashtable::",
            "google::dense_hash_map::",
            "google::dense_hash_set::",
        ],
    ),
    &family(
        "tsl_robin",
        Map,
        &["tsl::detail_robin_hash::"],
        &["rehash_impl", "rehash", "reserve", "clear"],
        &[
            "tsl::detail_robin_hash::",
            "tsl::robin_map::",
            "tsl::robin_set::",
        ],
    ),
    &family(
        "tsl_hopscotch",
        Map,
        &["tsl::detail_hopscotch_hash::"],
        &["rehash_impl", "rehash", "reserve"],
        &[
            "tsl::detail_hopscotch_hash::",
            "tsl::hopscotch_map::",
            "tsl::hopscotch_set::",
        ],
    ),
    &family(
        "glib_hash",
        Map,
        &[
            "g_hash_table_resize",
            "g_hash_table_setup_storage",
            "g_hash_table_realloc_key_or_value_array",
            "g_hash_table_new_full",
            "g_hash_table_new",
        ],
        &["g_hash_table_resize", "g_hash_table_maybe_resize"],
        &["g_hash_table_*"],
    ),
    &family(
        "glib_array",
        Vector,
        &["g_array_maybe_expand", "g_ptr_array_maybe_expand"],
        &["g_array_maybe_expand", "g_ptr_array_maybe_expand"],
        &["g_array_*", "g_ptr_array_*", "g_byte_array_*"],
    ),
    &family(
        "glib_string",
        Vector,
        &["g_string_maybe_expand"],
        &["g_string_maybe_expand"],
        &["g_string_*"],
    ),
    &called_by(
        CPYTHON,
        family(
            "cpython_dict",
            Map,
            &[
                "dictresize",
                "insertion_resize",
                "new_keys_object",
                "clone_combined_dict_keys",
            ],
            &["dictresize", "insertion_resize"],
            &[
                "PyDict_*",
                "_PyDict_*",
                "insertdict",
                "insert_to_emptydict",
                "insertion_resize",
                "dict_merge",
                "dict_ass_sub",
                "dict_setdefault_impl",
                "dict_subscript",
                "free_keys_object",
            ],
        ),
    ),
    &called_by(
        CPYTHON,
        family(
            "cpython_set",
            Map,
            &["set_table_resize"],
            &["set_table_resize"],
            &[
                "PySet_*",
                "_PySet_*",
                "set_add_entry",
                "set_add_key",
                "set_update_internal",
            ],
        ),
    ),
    &called_by(
        CPYTHON,
        family(
            "cpython_list",
            Vector,
            &[
                "list_resize",
                "list_preallocate_exact",
                "PyList_New",
                "list_extend",
                "list_init",
            ],
            &["list_resize"],
            &[
                "PyList_*",
                "_PyList_*",
                "list_append",
                "list_extend",
                "ins1",
                "app1",
            ],
        ),
    ),
    &step_by_step(called_by(
        REDIS,
        family(
            "redis_dict",
            Map,
            &[
                "dictExpand",
                "_dictExpand",
                "_dictResize",
                "dictTryExpand",
                "_dictInit",
            ],
            // What an incremental rehash began is ended by one of its later steps.
            &["_dictExpand", "_dictResize", "dictExpand"],
            &[
                "dictAdd",
                "dictAddRaw",
                "dictAddOrFind",
                "dictReplace",
                "dictResize",
                "dictFind",
                "dictFindPositionForInsert",
                "dictInsertAtPosition",
                "_dictKeyIndex",
                "_dictExpandIfNeeded",
                "dictExpandIfNeeded",
                "_dictRehashStep",
                "dictRehash",
                "dictRehashMilliseconds",
                "dictRehashMicroseconds",
            ],
        ),
    )),
    &called_by(
        &["luaH_*", "luaM_*", "luaV_finishset", "lua_raw*", "lua_set*"],
        family(
            "lua_table",
            Map,
            &["setnodevector", "setarrayvector", "luaH_resize", "luaH_new"],
            &["luaH_resize", "rehash"],
            &["luaH_*", "rehash", "luaV_finishset", "lua_raw*", "lua_set*"],
        ),
    ),
    &called_by(
        RUBY,
        family(
            "ruby_hash",
            Map,
            &[
                "rebuild_table",
                "rebuild_table_if_necessary",
                "st_init_table_with_size",
                "st_init_existing_table_with_size",
            ],
            &["rebuild_table"],
            &["st_*", "rb_st_*", "rb_hash_*"],
        ),
    ),
    &called_by(
        RUBY,
        family(
            "ruby_array",
            Vector,
            &[
                "ary_resize_capa",
                "ary_double_capa",
                "rb_ary_store",
                "ary_heap_realloc",
            ],
            &["ary_resize_capa", "ary_double_capa", "ary_heap_realloc"],
            &["rb_ary_*", "ary_*"],
        ),
    ),
    &family(
        "perl_hash",
        Map,
        &[
            "Perl_hv_common",
            "S_hsplit",
            "Perl_hv_ksplit",
            "S_hv_auxinit",
        ],
        &["S_hsplit", "Perl_hv_ksplit"],
        // The keys of all hashes lie in a hash of their own.
        &[
            "Perl_hv_*",
            "S_hv_*",
            "S_share_hek_flags",
            "Perl_share_hek",
            "S_unshare_hek_or_pvn",
        ],
    ),
    &family(
        "perl_array",
        Vector,
        &["Perl_av_extend_guts", "Perl_av_make", "Perl_sv_grow"],
        &["Perl_av_extend_guts", "Perl_sv_grow"],
        &["Perl_av_*", "Perl_sv_*"],
    ),
    &called_by(
        // Every process of PostgreSQL begins in one of the last four. `hash_create` and
        // `hash_search` are functions of bash, too.
        &[
            "hash_search_with_hash_value",
            "ShmemInitHash",
            "PostmasterMain",
            "PostgresMain",
            "PostgresSingleUserMain",
            "BootstrapModeMain",
        ],
        family(
            "postgres_dynahash",
            Map,
            &[
                "expand_table",
                "dir_realloc",
                "seg_alloc",
                "element_alloc",
                "init_htab",
                "hash_create",
            ],
            &["dir_realloc", "expand_table"],
            &[
                "hash_search",
                "hash_search_with_hash_value",
                "expand_table",
                "get_hash_entry",
            ],
        ),
    ),
    &called_by(
        &["sqlite3HashInsert"],
        family(
            "sqlite_hash",
            Map,
            &["rehash"],
            &["rehash"],
            &["sqlite3HashInsert"],
        ),
    ),
    &called_by(
        &["OPENSSL_LH_*", "ossl_lh_*"],
        family(
            "openssl_lhash",
            Map,
            &["expand", "contract", "OPENSSL_LH_new"],
            &["expand", "contract"],
            &["OPENSSL_LH_*", "ossl_lh_*"],
        ),
    ),
    &called_by(
        // One of these is on all of its stacks.
        &["shell_initialize", "reader_loop", "parse_and_execute"],
        family(
            "bash_hash",
            Map,
            &["hash_create", "hash_rehash", "hash_grow"],
            &["hash_rehash", "hash_grow"],
            &["hash_search", "hash_insert"],
        ),
    ),
];
