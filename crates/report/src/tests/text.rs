//! The text report, read as its reader will.

use super::{Names, program, report, table};
use crate::text::{By, Sort, TextOptions, render};
use crate::{Event, Report};
use mapgrow_fixture::Program;
use mapgrow_format::layout::{edge, header, site};

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
        words[mapgrow_format::layout::live::WEIGHT] = 2600 * 256;
    }
    program.recording.thread_words(1)[mapgrow_format::layout::thread::ALLOCATED] = 900 << 20;
    program.recording.thread_words(1)[mapgrow_format::layout::thread::FREED] = 620 << 20;
    program.recording.set(header::STATE, header::STATE_FINISHED);
    (program, names)
}

pub(super) fn service_report() -> Report {
    let (mut program, mut names) = service();
    report(&mut program, &mut names)
}

#[test]
fn the_first_line_says_what_grew_and_what_it_cost() {
    let text = render(
        &service_report(),
        &TextOptions {
            width: 200,
            ..Default::default()
        },
    );
    assert_eq!(
        text.lines().next(),
        Some(
            "HashMap<u64, Session> at src/cache.rs:58 holds 196 MiB, grew 16 times. \
             At worst: 294 MiB of old and new table side by side, a stall of 25 ms."
        )
    );
    let second = text.lines().nth(1).expect("a second line");
    assert!(
        second.starts_with("shop-server (pid 4242, ended after 4.8 s): 28 resizes at 2 places")
    );
    assert!(second.contains("78 % of the heap"), "{second}");
}

#[test]
fn the_honesty_line_ends_it() {
    let text = render(
        &service_report(),
        &TextOptions {
            width: 300,
            ..Default::default()
        },
    );
    assert_eq!(
        text.lines().last(),
        Some(
            "honesty: nothing dropped, folded, truncated or untracked, no mismatch in 0 memo checks, \
             the recorder uses 1.8 MiB."
        )
    );
}

#[test]
fn a_block_answers_one_question_a_line() {
    let text = render(&service_report(), &TextOptions::default());
    let block: Vec<&str> = text
        .split("\n\n")
        .nth(1)
        .expect("a block")
        .lines()
        .collect();
    let expected = [
        "1. HashMap<u64, Session> at src/cache.rs:58",
        "    in        shop::cache::Cache::put",
        "    resizes   grew 16 times (1 map, live)",
        "    tables    3.1 KiB -> 6.1 KiB -> ... (12 more) -> 49 MiB -> 98 MiB -> 196 MiB",
        "    overlap   294 MiB of old and new table at once, 3.2 s after the start",
        "    stalls    worst 25 ms, median 106 us, 50 ms in all",
        "    copied    196 MiB from old tables to new",
        "    holds     196 MiB now, 294 MiB at its peak, 3.2 s after the start",
        "    contents  not known: its tables were not read, or may be several things",
    ];
    assert_eq!(block[..expected.len()], expected);
    assert!(
        block[expected.len()].starts_with("    over time ▁▁"),
        "{}",
        block[expected.len()]
    );
    assert_eq!(
        block[expected.len() + 1..],
        [
            "    called by shop::server::handle_request (src/server.rs:120)",
            "              shop::main (src/main.rs:31)",
            "    advice    if it is full, create it with_capacity(1835009) or more to save 16 resizes, 196 MiB of",
            "              copying and 98 MiB at the peak; if not, shrink_to_fit() gives back what is not used",
        ]
    );
}

#[test]
fn other_kinds_of_containers_have_their_own_words() {
    let text = render(&service_report(), &TextOptions::default());
    for line in [
        "2. Vec<Entry> at audit/src/log.rs:212",
        "    resizes   grew 12 times (1 vector, live)",
        "4. HashSet<ArticleId> at src/catalog.rs:77",
        "    resizes   none seen (4 maps, 1 live)",
        "    rebuilt   3 times by the program: a new one filled, the old dropped",
        "3. BTreeMap at src/index.rs:19",
    ] {
        assert!(
            text.lines().any(|shown| shown == line),
            "{line}\nin\n{text}"
        );
    }
    assert!(
        text.contains("about 31,000 nodes live, 6.0 MiB +- 1.7 MiB"),
        "{text}"
    );
}

#[test]
fn lines_fit_the_width() {
    let report = service_report();
    for width in [80, 100, 120] {
        for by in [By::Site, By::Map, By::Type, By::Thread] {
            let text = render(
                &report,
                &TextOptions {
                    width,
                    by,
                    ..TextOptions::default()
                },
            );
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert!(!line.ends_with(' '), "{line:?}");
            }
        }
    }
}

#[test]
fn colours_come_only_when_asked_for_and_change_no_word() {
    let report = service_report();
    let plain = render(&report, &TextOptions::default());
    assert!(!plain.contains('\x1b'));
    let colored = render(
        &report,
        &TextOptions {
            color: true,
            ..TextOptions::default()
        },
    );
    assert!(colored.contains("\x1b[1m"));
    let stripped = ["\x1b[1m", "\x1b[2m", "\x1b[0m"]
        .into_iter()
        .fold(colored, |text, code| text.replace(code, ""));
    assert_eq!(stripped, plain);
}

#[test]
fn top_and_sort_choose_what_is_shown() {
    let report = service_report();
    let first = |by: By, sort: Sort| {
        let text = render(
            &report,
            &TextOptions {
                top: 1,
                by,
                sort,
                ..TextOptions::default()
            },
        );
        let title = text
            .lines()
            .find(|line| line.starts_with("1. "))
            .expect("a block")
            .to_owned();
        assert!(!text.contains("\n2. "), "{text}");
        title
    };
    assert!(first(By::Site, Sort::Harm).contains("Session"));
    assert!(first(By::Site, Sort::Resizes).contains("Session"));
    assert!(first(By::Type, Sort::Live).contains("Session"));
    assert!(first(By::Map, Sort::Live).contains("196 MiB at 0x7f3a40000010"));
    assert!(first(By::Thread, Sort::Pause).contains("main (4243)"));
    let text = render(
        &report,
        &TextOptions {
            top: 1,
            ..TextOptions::default()
        },
    );
    assert!(
        text.contains("and 3 more places: 12 resizes, 22 MiB live"),
        "{text}"
    );
}

#[test]
fn a_map_is_shown_with_its_past_and_its_capacity() {
    let report = service_report();
    let text = render(
        &report,
        &TextOptions {
            by: By::Map,
            ..TextOptions::default()
        },
    );
    assert!(
        text.contains("born      shop::cache::Cache::put, src/cache.rs:58, at the start"),
        "{text}"
    );
    // 2^22 buckets of 48 bytes: what the type's name tells settles it.
    assert!(
        text.contains("capacity  3,670,016 entries in 4,194,304 buckets of 48 bytes"),
        "{text}"
    );
    assert!(!text.contains("BTree"), "a node is no map");
}

#[test]
fn a_recording_without_containers_says_so() {
    let (mut names, mut program) = (Names::default(), program());
    let text = render(&report(&mut program, &mut names), &TextOptions::default());
    let first = text.lines().next().expect("a line");
    assert_eq!(
        first,
        "No container was recognised: no map and no vector of a known kind, and nothing that grew, had a"
    );
    let last = text.rsplit("honesty: ").next().expect("the last");
    assert!(last.contains("uses 2.0 MiB"), "{last}");
    assert!(!text.contains("NaN") && !text.contains("1. "));
}

/// Debian's `redis-server` is a link to `redis-check-rdb`.
#[test]
fn a_program_is_called_as_it_was_started() {
    let (mut program, mut names) = service();
    program.recording.exe(
        "/usr/bin/redis-check-rdb",
        &["/usr/bin/redis-server", "127.0.0.1:6379"],
    );
    let report = report(&mut program, &mut names);
    assert_eq!(report.process.name(), Some("redis-server"));
    let text = render(&report, &TextOptions::default());
    assert!(text.contains("redis-server (pid"), "{text}");
    assert!(!text.contains("redis-check-rdb"), "{text}");
}

#[test]
fn text_from_the_recording_cannot_command_the_terminal() {
    let (mut names, mut program) = (Names::default(), program());
    program
        .recording
        .exe("/bin/\x1b]0;evil\x07", &["a\x1b[2J", "b\nc"]);
    let growth = names.at(&["hashbrown::raw::RawTable<T,A>::reserve_rehash"]);
    names.holds(growth, "(u64, \x1b[31mRed)");
    let user = names.at(&["demo::\x1b[5mblink@src/\x1b[7m.rs:3"]);
    let site = program.recording.site(site::ENTRY_ALLOC, &[growth, user]);
    let map = program.alloc(site, table(64, 24), 16);
    program.keep(map, 0x7000_0000_1000);
    let report = report(&mut program, &mut names);
    for by in [By::Site, By::Map, By::Type, By::Thread] {
        let text = render(
            &report,
            &TextOptions {
                by,
                ..TextOptions::default()
            },
        );
        assert!(
            text.chars().all(|next| next == '\n' || !next.is_control()),
            "{text:?}"
        );
    }
}

#[test]
fn threads_have_the_resizes_that_sites_have_and_say_what_is_left_out() {
    let mut report = service_report();
    let text = |report: &Report| {
        let options = TextOptions {
            by: By::Thread,
            ..TextOptions::default()
        };
        render(report, &options)
    };
    let resizes = |text: &str| -> u64 {
        let rows = text.lines().filter_map(|line| {
            let row = line.trim_start().strip_prefix("resizes")?;
            row.split_whitespace()
                .next()?
                .replace(',', "")
                .parse::<u64>()
                .ok()
        });
        rows.sum()
    };
    let before = text(&report);
    assert_eq!(resizes(&before), report.totals.resizes);
    assert!(!before.contains("left out"), "{before}");
    // What samples found is in no sum.
    let sampled = report.timeline.clone().into_iter().map(|event| Event {
        sampled: true,
        ..event
    });
    report.timeline.extend(sampled);
    assert_eq!(text(&report), before);
    report.honesty.maps_omitted = 3;
    let after = text(&report);
    assert!(after.contains("3 smaller ones are left out"), "{after}");
}
