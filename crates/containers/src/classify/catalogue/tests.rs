//! What the catalogue makes of names.

use super::*;

/// What a stack of C functions in one object, innermost first, says of the innermost.
fn asked_by(stack: &str) -> Option<&'static str> {
    let names: Vec<Name> = stack.split(' ').map(Name::parse).collect();
    family_asking(&names[0], || here(&names), false).map(|family| family.name)
}

/// Functions of one object.
fn here(names: &[Name]) -> impl Iterator<Item = Around<'_>> {
    names.iter().map(|name| Around { name, here: true })
}

#[test]
fn a_common_name_is_the_familys_whose_functions_called_it() {
    for (stack, family) in [
        (
            "hash_create assoc_create bind_array reader_loop main",
            Some("bash_hash"),
        ),
        (
            "hash_rehash hash_search bind_variable execute reader_loop main",
            Some("bash_hash"),
        ),
        (
            "hash_create InitTypes InitPostgres PostgresSingleUserMain main",
            Some("postgres_dynahash"),
        ),
        (
            "expand_table hash_search_with_hash_value lookup",
            Some("postgres_dynahash"),
        ),
        ("hash_create make_cache main", None),
    ] {
        let names: Vec<Name> = stack.split(' ').map(Name::parse).collect();
        let found = family_asking(&names[0], || here(&names), false);
        assert_eq!(found.map(|family| family.name), family, "{stack}");
    }
    let stack = ["hash_search", "bind_variable", "reader_loop"].map(Name::parse);
    let found = family_of_code(&stack[0], || here(&stack));
    assert_eq!(found.map(|family| family.name), Some("bash_hash"));
}

/// Names that C programs give to functions of their own, where nothing else is the interpreter's or
/// the library's, and where something is.
#[test]
fn a_name_that_any_program_may_have_is_not_believed_alone() {
    for stack in [
        "rehash dict_add intern main",
        "insertdict dict_add main",
        "dictresize insertdict dict_add main",
        "list_resize list_append push main",
        "set_table_resize set_add_entry set_add_key main",
        "st_rehash st_insert main",
        "rebuild_table st_insert main",
        "ary_heap_realloc ary_push main",
        "dictExpand dictResize dictAdd main",
        "dictResize dictAdd main",
        "expand_table hash_search main",
        "expand lh_insert main",
        "hash_create hash_insert main",
        "hash_grow hash_insert main",
    ] {
        assert_eq!(asked_by(stack), None, "{stack}");
        let names: Vec<Name> = stack.split(' ').map(Name::parse).collect();
        for name in &names {
            assert!(!is_containers(name, || here(&names)), "{}", name.path);
            assert!(family_of_code(name, || here(&names)).is_none());
        }
    }
    for (stack, family) in [
        ("dictresize insertdict PyDict_SetItem fill", "cpython_dict"),
        (
            "list_resize app1 list_append _PyEval_EvalFrameDefault",
            "cpython_list",
        ),
        ("set_table_resize set_add_key PySet_Add", "cpython_set"),
        ("dictExpand dictAddRaw dbAdd", "redis_dict"),
        ("_dictExpand dictResize serverCron", "redis_dict"),
        ("dictExpand rdbLoad main zcalloc", "redis_dict"),
        ("luaH_resize rehash luaH_newkey", "lua_table"),
        ("setnodevector rehash luaH_newkey", "lua_table"),
        ("rebuild_table st_update rb_hash_aset", "ruby_hash"),
        ("ary_heap_realloc ary_double_capa rb_ary_push", "ruby_array"),
        ("rehash sqlite3HashInsert", "sqlite_hash"),
    ] {
        assert_eq!(asked_by(stack), Some(family), "{stack}");
    }
}

/// A module of Python's that is written in C has functions of its own, which Python calls.
#[test]
fn what_is_around_counts_in_the_same_object() {
    let names = ["list_resize", "push", "_PyEval_EvalFrameDefault"].map(Name::parse);
    for (here, family) in [(true, Some("cpython_list")), (false, None)] {
        let around = || {
            names.iter().map(|name| Around {
                name,
                here: here || !name.path.starts_with('_'),
            })
        };
        let found = family_asking(&names[0], around, false);
        assert_eq!(found.map(|family| family.name), family);
    }
}

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
        (
            "std::__detail::_Hashtable_alloc<std::allocator<N> >::_M_allocate_node<int>",
            "libstdcxx_hashtable_node",
        ),
        ("_dictExpand", "redis_dict"),
        ("ska::detailv3::sherwood_v3_table<int>::rehash", "ska_flat"),
        (
            "robin_hood::detail::Table<true, 80>::initData",
            "robin_hood",
        ),
        ("emhash7::HashMap<int, int>::alloc_bucket", "emhash"),
        ("phmap::priv::Allocate<8>", "phmap"),
        ("kh_resize_words", "khash"),
        (
            "std::pmr::monotonic_buffer_resource::_M_new_buffer(unsigned long, unsigned long)",
            "arena",
        ),
        ("smallvec::try_grow<[u32; 4]>", "smallvec"),
        (
            "std::_Bvector_base<std::allocator<bool> >::_M_allocate",
            "libstdcxx_vector",
        ),
        ("g_string_maybe_expand", "glib_string"),
        ("QHashData::rehash(int)", "qt_hash"),
        ("QHashData::allocateNode(int)", "qt_hash_node"),
        (
            "std::__1::__hash_table<int>::__construct_node_hash<int>",
            "libcxx_hashtable_node",
        ),
        (
            "absl::lts::container_internal::btree<P>::new_leaf_node",
            "abseil_btree",
        ),
        (
            "absl::lts::container_internal::NodeHashMapPolicy<K, V>::new_element<A>",
            "abseil_node",
        ),
    ] {
        let name = Name::parse(name);
        let found = family_asking(&name, || here(std::slice::from_ref(&name)), false);
        assert_eq!(
            found.map(|family| family.name),
            Some(family),
            "{}",
            name.path
        );
    }
    let robin = "tsl::detail_robin_hash::robin_hash<int, H>::rehash_impl";
    for (stack, family) in [
        (
            ["std::vector<B>::vector", "std::vector<B>::operator=", robin],
            Some("tsl_robin"),
        ),
        (
            ["stbds_arrgrowf", "stbds_hmput_key", "fill"],
            Some("stb_ds_map"),
        ),
        (["stbds_arrgrowf", "fill", "main"], Some("stb_ds_array")),
        (
            ["std::vector<B>::_M_realloc_insert", "demo::fill", robin],
            Some("libstdcxx_vector"),
        ),
    ] {
        let names = stack.map(Name::parse);
        let found = family_asking(&names[0], || here(&names), false);
        assert_eq!(found.map(|family| family.name), family, "{stack:?}");
    }
    for name in [
        "hashbrown::map::HashMap<K,V>::insert",
        "my_M_rehash",
        "demo::dictresize",
    ] {
        let name = Name::parse(name);
        let found = family_asking(&name, || here(std::slice::from_ref(&name)), false);
        assert_eq!(found, None, "{}", name.path);
    }
}

#[test]
fn clones_and_constructors_hold_no_resize() {
    let clone = Name::parse("<hashbrown::raw::RawTable<T,A> as core::clone::Clone>::clone_from");
    assert!(!HASHBROWN.owns(&clone) && !HASHBROWN.resizes_within(&clone));
    let rehash = Name::parse("hashbrown::raw::RawTable<T,A>::reserve_rehash");
    assert!(HASHBROWN.resizes_within(&rehash) && HASHBROWN.owns(&rehash));
    let insert = Name::parse("std::collections::hash::map::HashMap<K,V,S>::insert");
    assert!(HASHBROWN.owns(&insert) && !HASHBROWN.resizes_within(&insert));
    let user = Name::parse("demo::Cache::shrink_to_fit");
    assert!(!HASHBROWN.owns(&user) && !HASHBROWN.resizes_within(&user));
}

#[test]
fn a_deque_asks_for_an_array_and_for_blocks() {
    for (name, family) in [
        (
            "void std::deque<Ev>::_M_push_back_aux<Ev const&>(Ev const&)",
            "libstdcxx_deque_block",
        ),
        (
            "std::deque<Ev>::_M_reallocate_map(unsigned long, bool)",
            "libstdcxx_deque",
        ),
        (
            "std::__cxx11::list<int>::_M_create_node<int const&>(int const&)",
            "libstdcxx_list",
        ),
    ] {
        let name = Name::parse(name);
        let found = family_asking(&name, || here(std::slice::from_ref(&name)), false);
        assert_eq!(found.map(|of| of.name), Some(family), "{}", name.path);
    }
}
