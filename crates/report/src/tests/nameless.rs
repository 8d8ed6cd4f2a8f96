//! Families known without names.

use super::kinds::{REHASH, USER, only};
use super::{Names, program, report, table};
use crate::{KnownBy, Report, Site};
use mapgrow_format::layout::{edge, header, site};

/// A stripped program: a map that doubles from 64 to 1024 buckets.
fn stripped(join: u16, callee: u64, sizes: impl Iterator<Item = u64>) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let frames: Vec<u64> = (0..4).map(|_| names.nameless()).collect();
    let free = names.nameless();
    let site = program.recording.site(site::ENTRY_ALLOC, &frames);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, join, free);
    program.recording.edge_words(edge)[edge::FREE_CALLEE_PC] = callee;
    let mut block = program.alloc(site, table(64, 24), 16);
    for bytes in sizes {
        block = program.replace(block, edge, bytes, 100);
    }
    program.keep(block, 0x7000_0000_1000);
    // A node that a dropped dict gave back: where its bytes were is the number of another.
    program.recording.history(None, edge, 80, 1, 100);
    report(&mut program, &mut names)
}

#[test]
fn stripped_maps_are_known_by_their_shape() {
    let doubling = || (7..=10).map(|log2| table(1 << log2, 24));
    for (join, callee) in [(0, 0), (2, 0x5555_0000_1234)] {
        let report = stripped(join, callee, doubling());
        let site = only(&report);
        assert_eq!(
            (site.family, site.known_by),
            (Some("hashbrown"), Some(KnownBy::Layout))
        );
        assert_eq!(
            (site.resizes, site.replaces),
            (Some(4), Some(0)),
            "join {join}"
        );
        assert_eq!(report.maps[0].tables.len(), 5);
        let caller = site.caller.as_ref().expect("a placeholder");
        assert!(
            caller.function.starts_with("demo+0x"),
            "{}",
            caller.function
        );
        assert_eq!(caller.line, None);
    }
    // Further out it may be the program that fills one map and drops another.
    let report = stripped(3, 0x5555_0000_1234, doubling());
    assert_eq!(
        (only(&report).resizes, only(&report).replaces),
        (Some(0), Some(4))
    );
    // So it may where tables become smaller.
    let report = stripped(1, 0, [table(32, 24), table(16, 24)].into_iter());
    assert_eq!(
        (only(&report).resizes, only(&report).replaces),
        (Some(0), Some(2))
    );
}

#[test]
fn stripped_vectors_are_known_by_how_they_grow() {
    let grown = |sizes: &[u64], backend: u64| {
        let (mut names, mut program) = (Names::default(), program());
        program.recording.set(header::BACKEND, backend);
        let frames: Vec<u64> = (0..3).map(|_| names.nameless()).collect();
        let first = program.recording.site(site::ENTRY_ALLOC, &frames[1..]);
        let site = program.recording.site(site::ENTRY_REALLOC, &frames);
        let begin = program
            .recording
            .edge(edge::KIND_REALLOC, Some(first), site, 0, frames[0]);
        let edge = program
            .recording
            .edge(edge::KIND_REALLOC, Some(site), site, 0, frames[0]);
        let mut block = program.alloc(first, sizes[0], 8);
        for (index, &bytes) in sizes[1..].iter().enumerate() {
            block = program.replace(block, if index == 0 { begin } else { edge }, bytes, 100);
        }
        program.keep(block, 0x7000_0000_1000);
        report(&mut program, &mut names)
    };
    let doubling = [1024, 2048, 4096, 8192];
    let families = |report: &Report| -> Vec<_> {
        report
            .sites
            .iter()
            .map(|site| (site.family, site.known_by))
            .collect()
    };
    let vector = (Some("raw_vec"), Some(KnownBy::Behaviour));
    let unknown = (Some("unknown_container"), Some(KnownBy::Behaviour));
    let doubled = grown(&doubling, header::BACKEND_JEMALLOC);
    assert_eq!(families(&doubled), [vector, vector]);
    assert_eq!(doubled.maps[0].tables, doubling);
    assert_eq!(doubled.totals.resizes, 3);
    assert_eq!(
        families(&grown(&doubling, header::BACKEND_PROGRAM)),
        [unknown, unknown]
    );
    assert_eq!(
        families(&grown(&[1000, 1500, 2250], header::BACKEND_JEMALLOC)),
        [unknown, unknown]
    );
}

#[test]
fn a_container_of_the_programs_own_is_known_by_how_it_grows() {
    let (mut names, mut program) = (Names::default(), program());
    let grow = names.at(&["demo::OpenTable::grow"]);
    let free = names.at(&["demo::OpenTable::grow"]);
    let main = names.at(&["demo::main"]);
    let site = program.recording.site(site::ENTRY_ALLOC, &[grow, main]);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 0, free);
    let mut block = program.alloc(site, 3 << 10, 8);
    for log2 in 11..15 {
        block = program.replace(block, edge, 3 << log2, 100);
    }
    program.keep(block, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let site = only(&report);
    assert_eq!(
        (site.family, site.known_by),
        (Some("unknown_container"), Some(KnownBy::Behaviour))
    );
    assert_eq!((site.resizes, site.rehashes), (Some(4), Some(0)));
    assert_eq!(report.maps[0].tables.len(), 5);
}

/// A map born with `with_capacity` inlined into the program, without line tables, that later
/// grows where names tell: the birth is told by what it grew into.
#[test]
fn a_nameless_birth_is_told_by_what_it_grew_into() {
    let (mut names, mut program) = (Names::default(), program());
    let birth = names.at(&["demo::start"]);
    let growth = names.at(&[REHASH]);
    let user = names.at(&[USER]);
    let free = names.at(&[REHASH]);
    let born = program.recording.site(site::ENTRY_ALLOC, &[birth]);
    let grown = program.recording.site(site::ENTRY_ALLOC, &[growth, user]);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(born), grown, 0, free);
    let map = program.alloc(born, table(64, 24), 16);
    let map = program.replace(map, edge, table(128, 24), 100);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    assert_eq!(report.sites.len(), 2);
    let by_id = |id: u32| {
        report
            .sites
            .iter()
            .find(|site| site.id == id)
            .expect("a site")
    };
    let first = by_id(born);
    assert_eq!(
        (first.family, first.known_by),
        (Some("hashbrown"), Some(KnownBy::Behaviour))
    );
    assert_eq!((first.maps_created, first.maps_dropped), (Some(1), Some(0)));
    let second = by_id(grown);
    assert_eq!((second.maps_created, second.resizes), (Some(0), Some(1)));
    assert_eq!(
        (report.maps[0].site, report.maps[0].table_site),
        (Some(born), grown)
    );
}

/// An interpreter of Python without symbols: `sizes` are those of its tables.
fn python(exported: &str, sizes: &[u64]) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let mut frames: Vec<u64> = (0..2).map(|_| names.nameless()).collect();
    frames.push(names.at(&[exported]));
    let free = names.nameless();
    let site = program.recording.site(site::ENTRY_ALLOC, &frames);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 1, free);
    let mut block = program.alloc(site, sizes[0], 16);
    for &bytes in &sizes[1..] {
        block = program.replace(block, edge, bytes, 100);
    }
    program.keep(block, 0x7000_0000_1000);
    report(&mut program, &mut names)
}

#[test]
fn dicts_of_a_stripped_interpreter_are_known_by_their_sizes() {
    let sizes = [568, 1104, 2200, 4624];
    let report = python("_PyEval_EvalFrameDefault", &sizes);
    let found = only(&report);
    assert_eq!(
        (found.family, found.known_by),
        (Some("cpython_dict"), Some(KnownBy::Layout))
    );
    assert_eq!((found.grows, found.replaces), (Some(3), Some(0)));
    assert_eq!(report.maps[0].tables, sizes);
    let caller = found.caller.as_ref().map(|caller| caller.function.as_str());
    assert_eq!(caller, Some("_PyEval_EvalFrameDefault"));
    // In another program, or with sizes that no dict has, nothing says so.
    for (exported, sizes) in [("main", sizes), ("PyDict_SetItem", [568, 1104, 2200, 4096])] {
        let report = python(exported, &sizes);
        let by_size = |site: &Site| site.known_by == Some(KnownBy::Layout);
        assert!(!report.sites.iter().any(by_size), "{exported}");
    }
}

/// A container that grows once, from 320 to 1024 bytes: `stack` and where on it the free meets;
/// an empty name is a function that has none.
fn grows_once(stack: &[&str], join: u16) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let mut at = |name: &str| match name {
        "" => names.nameless(),
        _ => names.at(&[name]),
    };
    let frames: Vec<u64> = stack.iter().map(|name| at(name)).collect();
    let free = at(stack[usize::from(join)]);
    let site = program.recording.site(site::ENTRY_ALLOC, &frames);
    let edge = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, join, free);
    let block = program.alloc(site, 320, 16);
    let block = program.replace(block, edge, 1024, 100);
    program.keep(block, 0x7000_0000_1000);
    report(&mut program, &mut names)
}

/// Once is enough where all of it happens in the code of a container, of which only the interface
/// has kept its name.
#[test]
fn one_growth_within_a_containers_own_code_tells_it() {
    for (stack, join, family) in [
        (&["sqlite3HashInsert", "create_table"][..], 0, "sqlite_hash"),
        (
            &["sqlite3Malloc", "sqlite3HashInsert", "create_table"],
            1,
            "sqlite_hash",
        ),
        (
            &[
                "",
                "rb_st_init_table_with_size",
                "",
                "rb_st_update",
                "",
                "rb_hash_aset",
                "fill",
            ],
            2,
            "ruby_hash",
        ),
    ] {
        let report = grows_once(stack, join);
        let found = only(&report);
        assert_eq!(
            (found.family, found.known_by),
            (Some(family), Some(KnownBy::Behaviour)),
            "{stack:?}"
        );
        assert_eq!(
            (found.grows, found.overlap_peak_bytes),
            (Some(1), Some(1344))
        );
        let caller = found.caller.as_ref().map(|caller| caller.function.as_str());
        assert_eq!(caller, stack.last().copied());
    }
    // A key's own code may be anything that the container calls.
    for (stack, join) in [
        (&["", "", "PyDict_SetItem", "fill"][..], 1),
        (&["", "PyDict_SetItem", "fill"], 1),
        (&["make_key", "sqlite3HashInsert", "fill"], 1),
        (&["sqlite3HashInsert", "fill"], 1),
    ] {
        let report = grows_once(stack, join);
        assert!(report.sites.is_empty(), "{stack:?}: {:?}", report.sites);
    }
}

/// A program's own table whose functions have names that those of Lua, CPython and others have, too.
#[test]
fn a_programs_own_functions_may_be_called_like_a_containers() {
    for grows in [
        "rehash",
        "list_resize",
        "insertdict",
        "st_rehash",
        "dictExpand",
        "hash_grow",
    ] {
        let stack = [
            &format!("{grows}@k2.c:12"),
            "dictAdd@k2.c:20",
            "intern@k2.c:27",
        ];
        let (mut names, mut program) = (Names::default(), program());
        let frames: Vec<u64> = stack.iter().map(|name| names.at(&[name])).collect();
        let free = names.at(&[&format!("{grows}@k2.c:15")]);
        let site = program.recording.site(site::ENTRY_ALLOC, &frames);
        let edge = program
            .recording
            .edge(edge::KIND_REPLACE, Some(site), site, 0, free);
        let mut block = program.alloc(site, 4096, 16);
        for bytes in [8192, 16384, 32768] {
            block = program.replace(block, edge, bytes, 100);
        }
        program.keep(block, 0x7000_0000_1000);
        let report = report(&mut program, &mut names);
        let found = only(&report);
        let caller = found
            .caller
            .as_ref()
            .map(|caller| (&*caller.function, caller.line));
        assert_eq!(
            (found.family, found.grows, caller),
            (Some("unknown_container"), Some(3), Some((grows, Some(12))))
        );
        let text = crate::text::render(&report, &Default::default());
        assert!(text.contains("called by dictAdd (k2.c:20)"), "{text}");
    }
}

#[test]
fn the_caller_is_the_function_that_an_interpreter_runs() {
    let (mut names, mut program) = (Names::default(), program());
    let mut stack: Vec<u64> = ["dictresize", "insertdict", "_PyEval_EvalFrameDefault"]
        .iter()
        .map(|name| names.at(&[name]))
        .collect();
    let elsewhere = 0x6000_0000_1000;
    stack.push(elsewhere);
    names.generates(elsewhere, "load_prices", "/home/x/work.py");
    let site = program.recording.site(site::ENTRY_ALLOC, &stack);
    let block = program.alloc(site, 4624, 16);
    program.keep(block, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let caller = only(&report).caller.as_ref().expect("a caller");
    assert_eq!(caller.function, "load_prices");
    assert_eq!(caller.file.as_deref(), Some("/home/x/work.py"));
}

/// What `getcwd` does, and `readline`: room for the most, then cut to what there was.
#[test]
fn a_block_that_is_only_cut_is_no_container() {
    let (mut names, mut program) = (Names::default(), program());
    program
        .recording
        .set(header::MODE, 1)
        .set(header::FLOOR, 0)
        .set(header::BACKEND, header::BACKEND_PROGRAM);
    let frames = [names.at(&["getcwd"]), names.at(&["main"])];
    let taken = program.recording.site(site::ENTRY_ALLOC, &frames);
    let frames = [names.at(&["getcwd"]), names.at(&["main"])];
    let cut = program.recording.site(site::ENTRY_ALLOC, &frames);
    let edge = program
        .recording
        .edge(edge::KIND_REALLOC, Some(taken), cut, 0, 0);
    let block = program.alloc(taken, 4096, 8);
    let block = program.replace(block, edge, 48, 100);
    program.recording.edge_words(edge)[edge::SHRINKS] = 1;
    program.keep(block, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    assert!(report.sites.is_empty(), "{:#?}", report.sites);
    assert_eq!(report.totals.heap_live_bytes, Some(48));
}

/// A table that nobody catalogued: it fills another one of its class and swaps, so that the
/// constructor asks for the block and the destructor frees the old one.
#[test]
fn a_container_that_grows_by_a_swap_is_known_by_its_constructor() {
    let doubling = [2048, 4096, 8192, 16384];
    let grown = |maker: &str, sizes: [u64; 4]| {
        let (mut names, mut program) = (Names::default(), program());
        let header = "/usr/include/other/table.h";
        let resize = format!("other::Table<int>::resize@{header}:40");
        let frames = [
            names.at(&[&format!("{maker}@{header}:12")]),
            names.at(&[&resize, "Index::add@index.cpp:6"]),
            names.at(&["main@index.cpp:9"]),
        ];
        let free = names.at(&["free", &resize, "Index::add@index.cpp:6"]);
        let site = program.recording.site(site::ENTRY_ALLOC, &frames);
        let edge = program
            .recording
            .edge(edge::KIND_REPLACE, Some(site), site, 1, free);
        let mut block = program.alloc(site, 1024, 16);
        for bytes in sizes {
            block = program.replace(block, edge, bytes, 100);
        }
        program.keep(block, 0x7000_0000_1000);
        report(&mut program, &mut names)
    };
    // By a helper of another name, too, where it always makes room for twice as much.
    for maker in [
        "other::Table<int>::Table",
        "other::Table<int>::room",
        "other::room",
    ] {
        let report = grown(maker, doubling);
        let site = only(&report);
        assert_eq!(
            (site.family, site.known_by, site.grows),
            (Some("unknown_container"), Some(KnownBy::Behaviour), Some(4))
        );
        let caller = site.caller.as_ref().expect("a caller");
        assert_eq!((&*caller.function, caller.line), ("Index::add", Some(6)));
    }
    // What the program makes anew by other means is not its container.
    for maker in ["other::Page<int>::Page", "other::read"] {
        let report = grown(maker, [1536, 2304, 3456, 5184]);
        assert!(report.sites.is_empty(), "{maker}");
    }
}
