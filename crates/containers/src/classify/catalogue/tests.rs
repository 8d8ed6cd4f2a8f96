//! What the catalogue makes of names.

use super::*;

#[test]
fn a_common_name_is_the_familys_whose_functions_called_it() {
    for (stack, family) in [
        (
            "hash_create assoc_create bind_array reader_loop main",
            Some("bash_hash"),
        ),
        (
            "hash_rehash hash_search bind_variable execute main",
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
        let found = family_asking(&names[0], || names.iter(), false);
        assert_eq!(found.map(|family| family.name), family, "{stack}");
    }
    let stack = ["hash_search", "bind_variable", "reader_loop"].map(Name::parse);
    let found = family_of_code(&stack[0], || stack.iter());
    assert_eq!(found.map(|family| family.name), Some("bash_hash"));
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
        ("dictresize", "cpython_dict"),
        ("_dictExpand", "redis_dict"),
        ("ska::detailv3::sherwood_v3_table<int>::rehash", "ska_flat"),
        (
            "robin_hood::detail::Table<true, 80>::initData",
            "robin_hood",
        ),
        ("emhash7::HashMap<int, int>::alloc_bucket", "emhash"),
        ("phmap::priv::Allocate<8>", "phmap"),
        ("kh_resize_words", "khash"),
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
        let found = family_asking(&name, || [&name].into_iter(), false);
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
        let found = family_asking(&names[0], || names.iter(), false);
        assert_eq!(found.map(|family| family.name), family, "{stack:?}");
    }
    for name in [
        "hashbrown::map::HashMap<K,V>::insert",
        "my_M_rehash",
        "demo::dictresize",
    ] {
        let name = Name::parse(name);
        let found = family_asking(&name, || [&name].into_iter(), false);
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
