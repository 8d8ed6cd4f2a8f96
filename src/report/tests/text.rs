//! The text report, read as its reader will.

use super::{Names, program, report, table};
use crate::recording::fixture::Program;
use crate::recording::layout::{edge, header, site};
use crate::report::Report;
use crate::report::text::{By, Sort, TextOptions, render};

/// A service: a cache that grew large in steps of one stall each, a set that is rebuilt, a log
/// vector and an index of nodes.
fn service() -> (Program, Names) {
    let (mut names, mut program) = (Names::default(), program());
    program.recording.exe(
        "/opt/shop/bin/shop-server",
        &["shop-server", "--port", "8080"],
    );
    program.recording.set(header::COMMITTED_BYTES, 1_900_000);
    let insert = "std::collections::hash::map::HashMap<K,V,S>::insert@/rustc/1/library/std/src/collections/hash/map.rs:1201";
    let rehash =
        "hashbrown::raw::RawTable<T,A>::reserve_rehash@/rust/deps/hashbrown-0.16.1/src/raw.rs:1018";
    let serve = names.at(&["shop::server::handle_request@src/server.rs:120"]);
    let main = names.at(&["shop::main@src/main.rs:31"]);
    let begin = names.at(&["std::sys::backtrace::__rust_begin_short_backtrace@/rustc/1/library/std/src/sys/backtrace.rs:166"]);
    let outer = [serve, main, begin];

    let growth = names.at(&[rehash]);
    names.holds(growth, "(u64, shop::session::Session)");
    let put = names.at(&[insert, "shop::cache::Cache::put@src/cache.rs:58"]);
    let frames: Vec<u64> = [growth, put].into_iter().chain(outer).collect();
    let cache = program.recording.site(site::ENTRY_ALLOC, &frames);
    program.recording.site_words(cache)[site::SERIES_SHIFT] = 26;
    let free = names.at(&[rehash]);
    let grow = program
        .recording
        .edge(edge::KIND_REPLACE, Some(cache), cache, 0, free);
    let mut map = program.alloc(cache, table(64, 48), 16);
    for log2 in 7..=22 {
        program.now += 200_000_000;
        map = program.replace(map, grow, table(1 << log2, 48), 6 << log2);
    }
    program.keep(map, 0x7f3a_4000_0010);

    let growth = names.at(&[rehash]);
    names.holds(growth, "(shop::catalog::ArticleId, ())");
    let collect = names.at(&[
        "<hashbrown::map::HashMap<K,V,S,A> as core::iter::traits::collect::Extend<(K,V)>>::extend@/rust/deps/hashbrown-0.16.1/src/map.rs:4000",
        "<std::collections::hash::set::HashSet<T,S> as core::iter::traits::collect::FromIterator<T>>::from_iter@/rustc/1/library/std/src/collections/hash/set.rs:1000",
        "shop::catalog::Catalog::refresh@src/catalog.rs:77",
    ]);
    let dropped = names.at(&[
        "core::ptr::drop_in_place@/rustc/1/library/core/src/ptr/mod.rs:523",
        "shop::catalog::Catalog::refresh@src/catalog.rs:80",
    ]);
    let frames: Vec<u64> = [growth, collect].into_iter().chain(outer).collect();
    let set = program.recording.site(site::ENTRY_ALLOC, &frames);
    let rebuild = program
        .recording
        .edge(edge::KIND_REPLACE, Some(set), set, 1, dropped);
    let mut filled = program.alloc(set, table(4096, 8), 16);
    for _ in 0..3 {
        program.now += 500_000_000;
        filled = program.replace(filled, rebuild, table(4096, 8), 40_000);
    }
    program.keep(filled, 0x7f3a_0000_8010);

    let first =
        names.at(&["alloc::raw_vec::finish_grow@/rustc/1/library/alloc/src/raw_vec/mod.rs:700"]);
    let push = names.at(&[
        "alloc::raw_vec::RawVec<T,A>::grow_one@/rustc/1/library/alloc/src/raw_vec/mod.rs:340",
    ]);
    names.holds(push, "shop::audit::Entry");
    let append = names.at(&[
        "shop::audit::Log::append@/home/build/agent/work/1f3c/shop/crates/audit/src/log.rs:212",
    ]);
    let frames: Vec<u64> = [first, push, append].into_iter().chain(outer).collect();
    let log = program.recording.site(site::ENTRY_REALLOC, &frames);
    let grow = program
        .recording
        .edge(edge::KIND_REALLOC, Some(log), log, 0, first);
    let mut vector = program.alloc(log, 4096, 8);
    for doubled in 13..=24 {
        vector = program.replace(vector, grow, 1 << doubled, 90_000);
    }
    program.keep(vector, 0x7f3a_0010_0000);

    let node = names.at(&[
        "alloc::collections::btree::node::LeafNode<K,V>::new@/rustc/1/library/alloc/src/collections/btree/node.rs:80",
        "alloc::collections::btree::map::BTreeMap<K,V,A>::insert@/rustc/1/library/alloc/src/collections/btree/map.rs:1100",
        "shop::index::Index::add@src/index.rs:19",
    ]);
    let frames: Vec<u64> = [node].into_iter().chain(outer).collect();
    let tree = program.recording.site(site::ENTRY_ALLOC, &frames);
    let words = program.recording.site_words(tree);
    words[site::SAMPLED_ALLOCS] = 12;
    words[site::W_ALLOCS] = 12 * 2600 * 256;
    words[site::W_ALLOC_BYTES] = 12 * 2600 * 200;
    words[site::VAR_ALLOCS] = 12 * 2600 * 2599;
    words[site::VAR_ALLOC_BYTES] = 12 * 2600 * 2599 * 200 * 200 / (1 << 20);
    (words[site::MIN_BYTES], words[site::MAX_BYTES]) = (200, 200);
    for serial in 0..12 {
        let words =
            program
                .recording
                .live(0x7f3a_0000 + serial * 256, tree, 200, 1_000_000 + serial);
        words[crate::recording::layout::live::WEIGHT] = 2600 * 256;
    }
    program.recording.thread_words(1)[crate::recording::layout::thread::ALLOCATED] = 900 << 20;
    program.recording.thread_words(1)[crate::recording::layout::thread::FREED] = 620 << 20;
    program.recording.set(header::STATE, header::STATE_FINISHED);
    (program, names)
}

fn service_report() -> Report {
    let (mut program, mut names) = service();
    report(&mut program, &mut names)
}

fn columns(text: &str) -> usize {
    text.lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0)
}

#[test]
fn show() {
    let report = service_report();
    for by in [By::Site, By::Map, By::Type, By::Thread] {
        println!(
            "{}",
            render(
                &report,
                &TextOptions {
                    by,
                    ..TextOptions::default()
                }
            )
        );
    }
    println!(
        "{}",
        render(
            &report,
            &TextOptions {
                width: 80,
                ..TextOptions::default()
            }
        )
    );
}
