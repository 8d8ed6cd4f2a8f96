//! The catalogue's part for the C++ standard libraries, in the words of their own sources. See
//! [`Family`] for what the columns mean, and [`catalogue`](super::catalogue) for what patterns match.

use super::c_families::{DEQUE_BLOCKS, HASHTABLE_NODES, called_by, family};
use super::catalogue::Container::{Map, Tree, Vector};
use super::catalogue::Family;

/// Containers of libstdc++ and libc++ that symbols tell.
pub(super) static STD_CXX_FAMILIES: [&Family; 14] = [
    &family(
        "libstdcxx_hashtable",
        Map,
        &["std::_Hashtable::", "std::tr1::_Hashtable::"],
        &["_M_rehash", "_M_rehash_aux", "rehash", "reserve"],
        &[
            "std::_Hashtable::",
            "std::__detail::",
            "std::unordered_map::",
            "std::unordered_set::",
            "std::unordered_multimap::",
            "std::unordered_multiset::",
        ],
    ),
    // What the table's chains consist of: with the table it is one map.
    &family(
        HASHTABLE_NODES,
        Tree,
        &[
            "std::__detail::_Hashtable_alloc::_M_allocate_node",
            "std::__detail::_ReuseOrAllocNode::",
        ],
        &[],
        &[],
    ),
    &family(
        "libstdcxx_vector",
        Vector,
        // Of one of bits there is a base of its own.
        &[
            "std::vector::",
            "std::_Vector_base::",
            "std::_Bvector_base::",
        ],
        &[
            "_M_realloc_insert",
            "_M_realloc_append",
            "_M_default_append",
            "_M_fill_insert",
            "_M_fill_append",
            "_M_range_insert",
            "_M_insert_aux",
            "_M_reallocate",
            "_M_shrink_to_fit",
            "_S_do_it",
            "shrink_to_fit",
            "reserve",
        ],
        &["std::vector::", "std::__shrink_to_fit_aux::"],
    ),
    &family(
        "libstdcxx_string",
        Vector,
        &["std::__cxx11::basic_string::", "std::basic_string::"],
        &[
            "_M_mutate",
            "_M_replace",
            "_M_replace_aux",
            "_M_assign",
            "_M_append",
            "append",
            "assign",
            "push_back",
            "reserve",
            "resize",
            "shrink_to_fit",
            "swap",
        ],
        &["std::__cxx11::basic_string::", "std::basic_string::"],
    ),
    &family(
        "libstdcxx_deque",
        Vector,
        &[
            "std::_Deque_base::_M_allocate_map",
            "std::deque::_M_reallocate_map",
        ],
        &["_M_reallocate_map"],
        &["std::deque::"],
    ),
    // Its elements lie in blocks of one size: with the array of pointers to them it is one deque.
    &family(
        DEQUE_BLOCKS,
        Tree,
        &[
            "std::_Deque_base::_M_create_nodes",
            "std::deque::_M_push_back_aux",
            "std::deque::_M_push_front_aux",
            "std::deque::_M_new_elements_at_back",
            "std::deque::_M_new_elements_at_front",
        ],
        &[],
        &[],
    ),
    &family(
        "libstdcxx_list",
        Tree,
        &[
            "std::__cxx11::list::",
            "std::__cxx11::_List_base::",
            "std::list::",
            "std::_List_base::",
        ],
        &[],
        &["std::__cxx11::list::", "std::list::"],
    ),
    &family(
        "libstdcxx_tree",
        Tree,
        &["std::_Rb_tree::"],
        &[],
        &[
            "std::_Rb_tree::",
            "std::map::",
            "std::set::",
            "std::multimap::",
            "std::multiset::",
        ],
    ),
    &family(
        "libcxx_hashtable",
        Map,
        &[
            "std::__1::__hash_table::__rehash",
            "std::__1::__hash_table::__do_rehash",
        ],
        &["__rehash", "__do_rehash"],
        &[
            "std::__1::__hash_table::",
            "std::__1::unordered_map::",
            "std::__1::unordered_set::",
        ],
    ),
    // Before the vector, which grows through the same buffer.
    &called_by(
        &["std::__1::deque::"],
        family(
            "libcxx_deque",
            Vector,
            &["std::__1::__split_buffer::"],
            &["__add_back_capacity", "__add_front_capacity"],
            &["std::__1::deque::"],
        ),
    ),
    &family(
        "libcxx_list",
        Tree,
        &["std::__1::list::", "std::__1::__list_imp::"],
        &[],
        &["std::__1::list::"],
    ),
    &family(
        "libcxx_tree",
        Tree,
        &["std::__1::__tree::"],
        &[],
        &[
            "std::__1::__tree::",
            "std::__1::map::",
            "std::__1::set::",
            "std::__1::multimap::",
            "std::__1::multiset::",
        ],
    ),
    &family(
        "libcxx_vector",
        Vector,
        &["std::__1::vector::", "std::__1::__split_buffer::"],
        &[
            "__push_back_slow_path",
            "__emplace_back_slow_path",
            "__append",
            "__swap_out_circular_buffer",
            "insert",
            "reserve",
            "shrink_to_fit",
        ],
        &["std::__1::vector::"],
    ),
    &family(
        "libcxx_string",
        Vector,
        &["std::__1::basic_string::"],
        &[
            "__grow_by",
            "__grow_by_and_replace",
            "__shrink_or_extend",
            "reserve",
        ],
        &["std::__1::basic_string::"],
    ),
];
