//! Containers that nobody catalogued: where they are used, and what they are called.

use super::kinds::only;
use super::{BASE, Names, program, report};
use crate::{KnownBy, Report, Site};
use mapgrow_fixture::{Block, Program};
use mapgrow_format::layout::{edge, site};

/// A container that doubles four times: its stack, and where on it the free meets. A function may
/// have others inlined, innermost first and parted by `|`.
fn grown(stack: &[&str], join: u16) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let mut at = |frame: &&str| {
        let functions: Vec<&str> = frame.split('|').collect();
        names.at(&functions)
    };
    let frames: Vec<u64> = stack.iter().map(&mut at).collect();
    let free = at(&stack[usize::from(join)]);
    let site = program.recording.site(site::ENTRY_ALLOC, &frames);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, join, free);
    let mut block = program.alloc(site, 1024, 16);
    for log2 in 11..15 {
        block = program.replace(block, edge, 1 << log2, 100);
    }
    program.keep(block, 0x7000_0000_1000);
    report(&mut program, &mut names)
}

fn place(site: &Site) -> (&str, Option<&str>) {
    let caller = site.caller.as_ref().map(|caller| &*caller.function);
    (caller.expect("a caller"), site.type_name.as_deref())
}

#[test]
fn a_class_is_the_container_and_its_caller_the_place() {
    const REHASH: &str =
        "x::detail::table<long, x::hash<long>, std::allocator<long> >::rehash@x/map.hpp:40";
    const PUT: &str = "x::flat_map<long, double, std::hash<long> >::put@x/map.hpp:80";
    for (stack, join, function, of) in [
        // A template, and another one of its namespace.
        (
            &[REHASH, PUT, "Cache::add@cache.cpp:9", "main@main.cpp:3"][..],
            0,
            "Cache::add",
            Some("flat_map<long, double>"),
        ),
        (
            &[
                &format!("{REHASH}|{PUT}|Cache::add@cache.cpp:9"),
                "main@main.cpp:3",
            ],
            0,
            "Cache::add",
            Some("flat_map<long, double>"),
        ),
        // One that the program calls itself.
        (&[REHASH, "main@main.cpp:3"], 0, "main", Some("table<long>")),
        // A class that is no template, in the file of the others.
        (
            &[
                "Names::grow@n.cpp:4",
                "Names::add@n.cpp:9",
                "load@load.cpp:5",
                "main@load.cpp:9",
            ],
            0,
            "load",
            Some("Names"),
        ),
        // It may as well be a namespace, and all of the program in it.
        (
            &["game::grow@n.cpp:4", "game::run@n.cpp:9", "main@n.cpp:5"],
            0,
            "game::grow",
            None,
        ),
        (
            &["game::grow@n.cpp:4", "game::run@run.cpp:9", "other@n.cpp:5"],
            0,
            "game::grow",
            None,
        ),
        // A helper asks for the memory.
        (
            &[
                "Names::room@n.cpp:4",
                "Names::grow@n.cpp:9",
                "load@load.cpp:5",
            ],
            1,
            "load",
            Some("Names"),
        ),
        (
            &["room@n.c:4", "grow@n.c:9", "load@load.c:5"],
            1,
            "grow",
            None,
        ),
    ] {
        let report = grown(stack, join);
        let site = only(&report);
        assert_eq!(site.grows, Some(4), "{stack:?}");
        assert_eq!(site.known_by, Some(KnownBy::Behaviour));
        assert_eq!(place(site), (function, of), "{stack:?}");
    }
}

#[test]
fn what_a_header_or_a_macro_brought_is_not_the_programs() {
    for (stack, function) in [
        (
            &[
                "tab_grow@lib/tab.h:40",
                "tab_put@lib/tab.h:60",
                "load@load.c:9",
                "main@load.c:20",
            ][..],
            "load",
        ),
        (
            &["tab_grow@lib/tab.h:40", "load@load.c:9", "main@load.c:20"],
            "load",
        ),
        // `TABLE(words)` in line 5 made both.
        (
            &["grow_words@load.c:5", "put_words@load.c:5", "load@load.c:9"],
            "load",
        ),
        // Functions of one file otherwise are not.
        (
            &["tab_grow@load.c:5", "tab_put@load.c:9", "load@load.c:20"],
            "tab_grow",
        ),
        (
            &["tab_grow@lib/tab.h:40", "tab_put@lib/tab.h:60"],
            "tab_grow",
        ),
    ] {
        let report = grown(stack, 0);
        assert_eq!(place(only(&report)).0, function, "{stack:?}");
    }
}

/// A vector that a class fills anew and swaps is its table; one that a function of the program fills
/// anew is rebuilt.
#[test]
fn a_table_in_a_vector_grows() {
    const VECTOR: &str = "std::vector<Slot, std::allocator<Slot> >::_M_default_append@/usr/include/c++/12/bits/vector.tcc:7";
    let of_class = grown(
        &[
            VECTOR,
            "Table<int>::rehash@t.cpp:4",
            "Table<int>::put@t.cpp:9",
            "load@t.cpp:30",
        ],
        1,
    );
    let site = only(&of_class);
    assert_eq!(
        (site.family, site.grows),
        (Some("unknown_container"), Some(4))
    );
    assert_eq!(place(site), ("load", Some("Table<int>")));
    let of_program = grown(&[VECTOR, "load@t.cpp:30", "main@t.cpp:60"], 1);
    let site = only(&of_program);
    assert_eq!(
        (site.family, site.rebuilds),
        (Some("libstdcxx_vector"), Some(4))
    );
}

/// Two tables of C in one file: the functions that both have are the container's, unless the first
/// is called by others at once.
#[test]
fn a_function_that_grows_for_several_is_the_containers() {
    assert_eq!(places_of_two(&["tab_put@t.c:12"]), ["hosts", "users"]);
    assert_eq!(places_of_two(&[]), ["tab_grow", "tab_grow"]);
}

/// A table of `first` bytes that doubles four times where `stack` asks and `frees` frees.
fn doubling(program: &mut Program, stack: &[u64], frees: u64, first: u64) -> Block {
    let site = program.recording.site(site::ENTRY_ALLOC, stack);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 0, frees);
    let mut block = program.alloc(site, first, 16);
    for doublings in 1..=4 {
        block = program.replace(block, edge, first << doublings, 100);
    }
    block
}

/// The places of two tables that grow in one function, called by `through`.
fn places_of_two(through: &[&str]) -> Vec<String> {
    let (mut names, mut program) = (Names::default(), program());
    let asks = names.at(&["tab_grow@t.c:8"]);
    let frees = names.at(&["tab_grow@t.c:9"]);
    let through: Vec<u64> = through.iter().map(|name| names.at(&[name])).collect();
    for (at, user) in ["hosts@t.c:30", "users@t.c:40"].into_iter().enumerate() {
        let outside = [names.at(&[user]), names.at(&["main@t.c:50"])];
        let stack = [&[asks], &*through, &outside].concat();
        let block = doubling(&mut program, &stack, frees, 1024);
        program.keep(block, 0x7000_0000_1000 + at as u64 * 0x10_0000);
    }
    let report = report(&mut program, &mut names);
    let blocks = report.blocks.iter().map(|block| place(block).0.to_owned());
    let mut places: Vec<String> = blocks.collect();
    places.sort_unstable();
    places
}

/// Keys and values of one table each have an array, which two lines of one function replace.
#[test]
fn tables_that_grow_together_are_of_one_container() {
    let tables = |lives: [bool; 2]| {
        let (mut names, mut program) = (Names::default(), program());
        let outside = [names.at(&["load@load.c:9"]), names.at(&["main@load.c:20"])];
        for (at, lives) in lives.into_iter().enumerate() {
            let asks = names.at(&[&format!("tab_grow@lib/tab.h:{}", 40 + at)]);
            let frees = names.at(&[&format!("tab_grow@lib/tab.h:{}", 50 + at)]);
            let stack = [&[asks][..], &outside].concat();
            let block = doubling(&mut program, &stack, frees, 1024 << at);
            if lives {
                program.keep(block, 0x7000_0000_1000 + at as u64 * 0x10_0000);
            } else {
                program.free(block);
            }
        }
        report(&mut program, &mut names)
    };
    let report = tables([true, true]);
    let [block] = report.blocks.as_slice() else {
        panic!("{} blocks", report.blocks.len());
    };
    assert_eq!((block.tables_of_each, block.grows), (Some(2), Some(8)));
    let text = crate::text::render(&report, &crate::text::TextOptions::default());
    assert!(
        text.contains("1 container, live; 2 tables to each"),
        "{text}"
    );
    assert!(block.advice.is_empty(), "{:?}", block.advice);
    // One of two that lives on tells that they are not of one.
    let report = tables([true, false]);
    assert_eq!(report.blocks[0].tables_of_each, None);
}

/// A container of a shared library without lines belongs to the program with lines that called the
/// library; else to the library's function that uses it.
#[test]
fn a_librarys_container_is_the_callers() {
    const LIBRARY: u64 = 1 << 31;
    for (grows, user, function) in [
        ("Bag<int>::grow", "load@load.cpp:9", "load"),
        ("Bag<int>::grow", "load", "lib_parse"),
        ("bag_grow", "load@load.cpp:9", "load"),
        ("bag_grow", "load", "bag_grow"),
    ] {
        let (mut names, mut program) = (Names::default(), program());
        let (start, end) = (BASE + LIBRARY, BASE + LIBRARY + (1 << 20));
        program.recording.module(start, end, "/usr/lib/libbag.so.1");
        let outside = [names.at(&[user]), names.at(&["main"])];
        names.next = LIBRARY;
        let inside = [names.at(&[grows]), names.at(&["lib_parse"])];
        let free = names.at(&[grows]);
        let block = doubling(&mut program, &[inside, outside].concat(), free, 1024);
        program.keep(block, 0x7000_0000_1000);
        let report = report(&mut program, &mut names);
        assert_eq!(place(only(&report)).0, function, "{grows} {user}");
    }
}

/// Without lines the function that grows a container of the catalogue may be inlined: one that always
/// doubles grew, its first table too, which another place made.
#[test]
fn what_always_doubles_grew_though_nothing_names_the_growth() {
    const MAKES: &str = "google::dense_hashtable<int, int>::dense_hashtable";
    let replaced = |recorded: bool, sizes: [u64; 4]| {
        let (mut names, mut program) = (Names::default(), program());
        let (makes, main) = (names.at(&[MAKES]), names.at(&["main"]));
        let (hit, free) = (names.at(&["hit"]), names.at(&["hit"]));
        let born = program.recording.site(site::ENTRY_ALLOC, &[makes, main]);
        let grown = program
            .recording
            .site(site::ENTRY_ALLOC, &[makes, hit, main]);
        let kind = edge::KIND_REPLACE;
        let old = Some(born).filter(|_| recorded);
        let first = program.recording.edge(kind, old, grown, 1, free);
        let next = program.recording.edge(kind, Some(grown), grown, 1, free);
        let mut block = program.alloc(born, 1024, 16);
        for (at, bytes) in sizes.into_iter().enumerate() {
            block = program.replace(block, if at == 0 { first } else { next }, bytes, 100);
        }
        program.keep(block, 0x7000_0000_1000);
        let report = report(&mut program, &mut names);
        let sum = |of: fn(&Site) -> Option<u64>| report.sites.iter().filter_map(of).sum::<u64>();
        (sum(|site| site.grows), sum(|site| site.replaces))
    };
    let doubling = [2048, 4096, 8192, 16384];
    assert_eq!(replaced(true, doubling), (4, 0));
    assert_eq!(replaced(true, [2048, 3072, 4096, 6144]), (0, 4));
    // Only the first one's end is in no record.
    assert_eq!(replaced(false, doubling), (4, 0));
}
