//! Who called the place at which containers grow, where several did.

use super::blocks::moved;
use super::{Names, program, report, table};
use crate::judgement::diff::{Became, Tolerance, became};
use crate::judgement::measure::Measure;
use crate::text::{Sort, TextOptions, render, table as lines_of};
use crate::{Advice, AdviceKind, Report, Saving, Site};
use mapgrow_format::layout::{edge, site};

const REHASH: &str = "hashbrown::raw::RawTable<T,A>::reserve_rehash";

/// Three maps that grow in one method, which three functions call; `inlined`: all of them into one
/// another, as optimised programs have it.
fn shared_method(inlined: bool) -> Report {
    let (mut names, mut program) = (Names::default(), program());
    let growth = names.at(&[REHASH]);
    let put = "demo::Cache::put@src/cache.rs:9";
    for (number, log2) in [10, 12, 11].into_iter().enumerate() {
        let caller = format!("demo::handler_{number}@src/main.rs:{}", 20 + number);
        let stack = match inlined {
            true => vec![
                growth,
                names.at(&[put, &caller, "demo::main@src/main.rs:50"]),
            ],
            false => vec![growth, names.at(&[put]), names.at(&[&caller])],
        };
        let at = program.recording.site(site::ENTRY_ALLOC, &stack);
        let grows = program
            .recording
            .edge(edge::KIND_REPLACE, Some(at), at, 0, growth);
        let mut map = program.alloc(at, table(1 << 9, 16), 16);
        for log2 in 10..=log2 {
            program.now += 1000;
            map = program.replace(map, grows, table(1 << log2, 16), 100);
        }
        program.keep(map, 0x7000_0000_1000 + number as u64 * 0x10_0000);
    }
    report(&mut program, &mut names)
}

#[test]
fn a_method_that_several_call_says_what_each_has() {
    for inlined in [false, true] {
        let report = shared_method(inlined);
        assert_eq!((report.sites.len(), report.blocks.len()), (3, 1));
        let block = &report.blocks[0];
        assert_eq!((block.maps_live, block.tables_of_each), (Some(3), None));
        let callers: Vec<_> = block.places.iter().map(|one| &one.called_by).collect();
        assert!(callers.iter().all(|caller| caller.is_some()), "{callers:?}");
        let text = render(&report, &TextOptions::default());
        for (label, caller, line, resizes, holds) in [
            ("called by", 1, 21, "3 resizes", table(1 << 12, 16)),
            ("         ", 2, 22, "2 resizes", table(1 << 11, 16)),
            ("         ", 0, 20, "1 resize", table(1 << 10, 16)),
        ] {
            let holds = crate::text::units::bytes(holds);
            let told = format!(
                "{label} demo::handler_{caller}, src/main.rs:{line}: {resizes}, holds {holds} now"
            );
            assert!(text.contains(&told), "no {told} in {text}");
        }
    }
}

/// A function that calls itself is one caller, however deep it was.
#[test]
fn a_function_that_calls_itself_is_one_caller() {
    let (mut names, mut program) = (Names::default(), program());
    let growth = names.at(&[REHASH]);
    let put = names.at(&["demo::visit@src/visit.rs:9"]);
    let walk = names.at(&["demo::walk@src/walk.rs:5"]);
    let main = names.at(&["demo::run@src/run.rs:50"]);
    let mut stack = vec![growth, put];
    stack.extend([walk; 30]);
    stack.push(main);
    let at = program.recording.site(site::ENTRY_ALLOC, &stack);
    let grows = program
        .recording
        .edge(edge::KIND_REPLACE, Some(at), at, 0, growth);
    let map = program.alloc(at, table(1 << 9, 16), 16);
    let map = program.replace(map, grows, table(1 << 10, 16), 100);
    program.keep(map, 0x7000_0000_1000);
    let text = render(&report(&mut program, &mut names), &TextOptions::default());
    let told = "called by demo::walk (src/walk.rs:5), 30 calls deep\n";
    assert!(text.contains(told), "{text}");
    assert!(
        text.contains("          demo::run (src/run.rs:50)\n"),
        "{text}"
    );
    assert_eq!(text.matches("demo::walk").count(), 1, "{text}");
}

/// Of what has no name, all maps of a kind grow at one line: each is a block of its own, and the callers
/// tell which.
#[test]
fn blocks_of_one_title_are_told_apart() {
    let (mut names, mut program) = (Names::default(), program());
    let grow = names.at(&["grow@app.c:8"]);
    for line in [13, 18] {
        let caller = names.at(&[&format!("add_{line}@app.c:{line}")]);
        let main = names.at(&["main@app.c:30"]);
        let at = program
            .recording
            .site(site::ENTRY_REALLOC, &[grow, caller, main]);
        let grows = program
            .recording
            .edge(edge::KIND_REALLOC, Some(at), at, 0, 0);
        let mut block = program.alloc(at, 1 << 12, 16);
        for log2 in 13..=16 {
            program.now += 1000;
            block = program.replace(block, grows, 1 << log2, 100);
        }
        program.keep(block, 0x7000_0000_1000 + line * 0x10_0000);
    }
    let report = report(&mut program, &mut names);
    let titles: Vec<String> = report.blocks.iter().map(crate::text::title).collect();
    let mut told = titles.clone();
    told.sort();
    assert_eq!(
        told,
        [
            "a vector at app.c:8 from app.c:13",
            "a vector at app.c:8 from app.c:18"
        ]
    );
    let text = render(&report, &TextOptions::default());
    for title in &titles {
        assert!(text.contains(&format!(". {title}\n")), "{text}");
    }
    let rows = lines_of(&report, Sort::Harm, 9);
    assert!(rows.contains("app.c:8 from app.c:13"), "{rows}");
    // One that has its title to itself says no more than that.
    assert_eq!(moved().blocks[0].called_from, None);
}

/// What the C library does for a program is the program's, be its sources known or not.
#[test]
fn the_c_library_is_not_the_program() {
    const LIBRARY: u64 = 1 << 31;
    let (mut names, mut program) = (Names::default(), program());
    let start = super::BASE + LIBRARY;
    program.recording.module(
        start,
        start + (1 << 20),
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
    );
    let line = start + 0x100;
    names.generates(line, "getdelim", "./libio/iogetdelim.c");
    let own = names.at(&["read_all@src/read.c:47"]);
    let at = program.recording.site(site::ENTRY_REALLOC, &[line, own]);
    let grows = program
        .recording
        .edge(edge::KIND_REALLOC, Some(at), at, 0, 0);
    let mut block = program.alloc(at, 1 << 12, 16);
    for log2 in 13..=16 {
        block = program.replace(block, grows, 1 << log2, 100);
    }
    program.keep(block, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let caller = report.blocks[0].caller.as_ref().expect("a caller");
    assert_eq!(caller.line, Some(47), "{caller:?}");
}

/// Each place that matters is on the screen, if only in a line.
#[test]
fn many_places_that_matter_are_a_line_each() {
    let one = |id: u32, bytes: u64| Site {
        id,
        family: Some("cpython_dict"),
        caller: Some(crate::Caller {
            function: format!("fill_{id}"),
            file: Some("mix.py".into()),
            line: Some(id),
        }),
        maps_created: Some(1),
        maps_live: Some(0),
        grows: Some(9),
        resizes: Some(9),
        peak_live_bytes: Some(bytes),
        peak_live_error_bytes: Some(0),
        ..Site::default()
    };
    let mut sites: Vec<Site> = (1..=8).map(|id| one(id, u64::from(9 - id) << 20)).collect();
    // A trifle that is all that is left at the end.
    sites.push(Site {
        live_bytes: 900,
        ..one(9, 900)
    });
    let report = Report {
        sites,
        ..Report::default()
    };
    let options = TextOptions {
        lines: Some(22),
        ..TextOptions::default()
    };
    let text = render(&report, &options);
    assert!(text.lines().count() <= 22, "{text}");
    for id in 1..=8_u32 {
        assert!(
            text.contains(&format!("{id}. cpython_dict at mix.py:{id}")),
            "{text}"
        );
    }
    assert!(
        text.contains("\n8. cpython_dict at mix.py:8: held 1.0 MiB; grew 9 times\n"),
        "{text}"
    );
    assert!(!text.contains("mix.py:9"), "{text}");
    assert!(
        text.contains("1 other place: 9 resizes, 900 B live (--all"),
        "{text}"
    );
}

/// Two bounds may differ where the true figures do not.
#[test]
fn bounds_that_overlap_have_not_grown() {
    let peak = |bytes: u64, doubt: u64| Site {
        allocs: 1,
        peak_live_bytes: Some(bytes),
        peak_live_error_bytes: Some(doubt),
        ..Site::default()
    };
    for (old, new, told) in [
        (peak(6_600_000, 0), peak(8_600_000, 1_900_000), Became::Same),
        (peak(8_600_000, 1_900_000), peak(6_600_000, 0), Became::Same),
        (peak(6_600_000, 0), peak(8_600_000, 0), Became::Grew),
        (
            peak(6_600_000, 0),
            peak(20_000_000, 1_900_000),
            Became::Grew,
        ),
        (
            peak(20_000_000, 1_900_000),
            peak(6_600_000, 0),
            Became::Shrank,
        ),
    ] {
        let found = became(&old, &new, Measure::Peak, &Tolerance::default());
        assert_eq!(found, told, "{old:?} {new:?}");
    }
    let figure = Measure::Peak.figure(&peak(8 << 20, 1)).expect("known");
    assert_eq!(Measure::Peak.tell(figure), "at most 8.0 MiB at its peak");
}

/// An IndexMap that is made large at once has its vector made so, too.
#[test]
fn what_a_first_size_saves_in_both_parts_of_a_map_is_told() {
    let presize = |resizes: u64, copied: u64, peak: u64| Advice {
        kind: AdviceKind::Presize,
        text: format!(
            "create it with_capacity(200000) or more to save {resizes} resizes, {} of copying and {} \
             at the peak",
            crate::text::units::bytes(copied),
            crate::text::units::bytes(peak)
        ),
        saves: Saving {
            resizes: Some(resizes),
            copied_bytes: Some(copied),
            peak_bytes: Some(peak),
            ..Saving::default()
        },
        call: None,
        risks_bytes: None,
    };
    let row = |id: u32, family: &'static str, one: Advice| Site {
        id,
        recorded_sites: vec![id],
        family: Some(family),
        type_name: Some("IndexMap<u64, u64>".into()),
        caller: Some(crate::Caller {
            function: "demo::main".into(),
            file: Some("src/main.rs".into()),
            line: Some(7),
        }),
        maps_created: Some(1),
        maps_live: Some(1),
        advice: vec![one.text.clone()],
        suggestions: vec![one],
        ..Site::default()
    };
    let table = row(1, "hashbrown", presize(12, 2 << 20, 1 << 20));
    let vector = row(2, "raw_vec", presize(13, 5 << 20, 3 << 20));
    let rows = crate::judgement::indexed::joined(vec![table, vector], &[]);
    let told = "create it with_capacity(200000) or more to save 25 resizes, 7.0 MiB of copying and \
                4.0 MiB at the peak";
    assert_eq!(rows[0].advice, [told]);
    assert_eq!(rows[0].suggestions[0].text, told);
    assert_eq!(rows[0].suggestions[0].saves.resizes, Some(25));
}

/// `fn index() -> HashMap<..> { ...collect() }` has no frame of its own while it collects.
#[test]
fn a_function_whose_last_act_is_a_jump_is_the_place() {
    let (mut names, mut program) = (Names::default(), program());
    let growth = names.at(&[
        "hashbrown::raw::RawTable<T,A>::reserve_rehash@/rust/deps/hashbrown/src/raw.rs:1018",
    ]);
    let free = names.at(&[
        "hashbrown::raw::RawTable<T,A>::reserve_rehash@/rust/deps/hashbrown/src/raw.rs:1020",
    ]);
    let collect = names.at(&[
        "<std::collections::hash::map::HashMap<K,V,S> as core::iter::traits::collect::FromIterator<(K,V)>>::from_iter@/rustc/1/library/std/src/map.rs:1",
    ]);
    let main = names.at(&["demo::main@src/main.rs:9"]);
    names.holds(growth, "(u64, u64)");
    names.jumps(main, collect, "demo::index@src/index.rs:5");
    let site = program
        .recording
        .site(site::ENTRY_ALLOC, &[growth, collect, main]);
    let grow = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 0, free);
    let map = program.alloc(site, table(64, 16), 16);
    let map = program.replace(map, grow, table(128, 16), 1_000);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let caller = report.sites[0].caller.as_ref().expect("a caller");
    assert_eq!(
        (caller.function.as_str(), caller.line),
        ("demo::index", Some(5))
    );
    assert_eq!(report.sites[0].resizes, Some(1));
    let stack = &report.sites[0].stack;
    let [.., jumped, outer] = stack.as_slice() else {
        panic!("{stack:?}");
    };
    assert_eq!((&*outer.function, outer.inlined), ("demo::main", false));
    assert!(jumped.inlined);
}

/// What an arena asks for is no table of the map that asked the arena.
#[test]
fn buffers_of_an_arena_are_no_maps() {
    let (mut names, mut program) = (Names::default(), program());
    let frames = [
        names.at(&["operator new"]),
        names.at(&["std::pmr::monotonic_buffer_resource::_M_new_buffer"]),
        names.at(&[
            "std::pmr::memory_resource::allocate@/usr/include/c++/12/memory_resource:107",
            "std::_Hashtable<int>::_M_rehash@/usr/include/c++/12/bits/hashtable.h:2541",
        ]),
        names.at(&["remember@pmr.cpp:11"]),
    ];
    let site = program.recording.site(site::ENTRY_ALLOC, &frames);
    for (number, bytes) in (0..5).map(|number| (number, 4096 << number)) {
        let buffer = program.alloc(site, bytes, 16);
        program.keep(buffer, 0x7000_0000_0000 + number * 0x10_0000);
    }
    let report = report(&mut program, &mut names);
    let found = &report.sites[0];
    assert_eq!((found.family, found.maps_live), (Some("arena"), None));
    assert_eq!(found.live_bytes, 31 * 4096);
    let text = render(&report, &TextOptions::default());
    assert!(text.contains("an arena at pmr.cpp:11"), "{text}");
    assert!(text.contains("5 buffers allocated, 5 live"), "{text}");
}

/// One number for a method that three call with different sizes suits none of them.
#[test]
fn each_caller_is_told_its_own_size() {
    let (mut names, mut program) = (Names::default(), program());
    let growth =
        names.at(&["std::_Hashtable<int>::_M_rehash@/usr/include/c++/12/bits/hashtable.h:9"]);
    let free =
        names.at(&["std::_Hashtable<int>::_M_rehash@/usr/include/c++/12/bits/hashtable.h:11"]);
    let put = names.at(&["Table::put@t.cpp:12"]);
    for (number, (caller, log2)) in [("sales@t.cpp:13", 26), ("staff@t.cpp:15", 22)]
        .iter()
        .enumerate()
    {
        let outer = names.at(&[caller]);
        let main = names.at(&["main@t.cpp:20"]);
        let site = program
            .recording
            .site(site::ENTRY_ALLOC, &[growth, put, outer, main]);
        let grow = program
            .recording
            .edge(edge::KIND_REPLACE, Some(site), site, 0, free);
        let mut map = program.alloc(site, 1 << 11, 16);
        for size in 12..=*log2 {
            map = program.replace(map, grow, 1 << size, 1_000);
        }
        program.keep(map, 0x7000_0000_0000 + number as u64 * 0x1_0000_0000);
    }
    let report = report(&mut program, &mut names);
    let text = render(
        &report,
        &TextOptions {
            width: 120,
            ..Default::default()
        },
    );
    // Buckets of eight bytes.
    for told in [
        "sales, t.cpp:13: 15 resizes, holds 64 MiB now; begin with reserve(8388608)",
        "staff, t.cpp:15: 11 resizes, holds 4.0 MiB now; begin with reserve(524288)",
    ] {
        assert!(text.contains(told), "{text}");
    }
}

/// Where the function that made the call has no name, one inside it would be taken for all there is.
#[test]
fn a_nameless_function_gets_no_name_by_a_jump() {
    let (mut names, mut program) = (Names::default(), program());
    let (inner, outer) = (names.at(&["g_realloc"]), names.nameless());
    let main = names.at(&["load@gl.c:7"]);
    names.jumps(outer, inner, "g_realloc_n");
    let frames = [inner, outer, main];
    let site = program.recording.site(site::ENTRY_REALLOC, &frames);
    let edge = program
        .recording
        .edge(edge::KIND_REALLOC, Some(site), site, 0, 0);
    let array = program.alloc(site, 4096, 16);
    let array = program.replace(array, edge, 8192, 10);
    program.keep(array, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    let stack = report.sites[0].stack.iter();
    assert!(
        !stack
            .into_iter()
            .any(|frame| &*frame.function == "g_realloc_n")
    );
}
