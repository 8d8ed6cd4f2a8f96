//! Heap profiles, written by hand and hostile ones: what Go itself writes is in `tests/go.sh`.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use mapgrow_cli::pprof::encode;
use mapgrow_cli::pprof::proto::Profile;
use prost::Message;
use serde_json::Value;

use crate::go_profile::go_profile;
use crate::place::{Place, json, printed};

const FILL: [&str; 5] = [
    "runtime.mallocgc@/go/src/runtime/malloc.go:1",
    "internal/runtime/maps.(*table).grow@/go/src/internal/runtime/maps/table.go:2",
    "runtime.mapassign_faststr@/go/src/internal/runtime/maps/runtime_faststr.go:3",
    "example.com/shop/cart.(*Carts).Add@/shop/cart/cart.go:41",
    "main.main@/shop/main.go:12",
];
/// What `FILL` inserts.
const ENTRY: [&str; 3] = [
    "runtime.newobject@/go/src/runtime/malloc.go:1",
    "example.com/shop/cart.(*Carts).Add@/shop/cart/cart.go:40",
    "main.main@/shop/main.go:12",
];
const HEADERS: [&str; 4] = [
    "runtime.hashGrow@/go/src/runtime/map.go:5",
    "runtime.mapassign@/go/src/runtime/map.go:6",
    "net/http.Header.Set@/go/src/net/http/header.go:7",
    "main.answer@/shop/main.go:30",
];
const PUSH: [&str; 2] = [
    "runtime.growslice@/go/src/runtime/slice.go:8",
    "main.push@/shop/main.go:50",
];

fn shop() -> Profile {
    go_profile(&[
        (&FILL, 1 << 20, [40, 20]),
        (&FILL, 1 << 19, [10, 0]),
        (&ENTRY, 1 << 16, [600, 3]),
        (&HEADERS, 1 << 21, [6, 3]),
        (&PUSH, 1 << 20, [1, 0]),
        (&PUSH, 1 << 22, [1, 1]),
    ])
}

fn site(report: &Value, line: u64) -> &Value {
    let sites = report["sites"].as_array().expect("sites");
    let found = sites.iter().find(|site| site["caller"]["line"] == line);
    found.expect("a site at that line")
}

#[test]
fn a_profile_becomes_a_report_of_estimates() {
    let place = Place::new();
    let file = place.write("heap.pb.gz", &encode(&shop()).expect("encoded"));
    let report = json(&place.run(&["report", "--json", file.to_str().expect("UTF-8")]));
    let cart = site(&report, 41);
    assert_eq!(cart["family"], "go_map");
    assert_eq!(cart["live_bytes"], 20 << 20);
    assert_eq!(cart["allocated_bytes"], (40 << 20) + (10 << 19));
    assert_eq!(cart["exact"], false);
    assert_eq!(cart["coverage"], "sampled");
    assert_eq!(cart["grows"], 50);
    for unknown in [
        "maps_live",
        "rehashes",
        "pause_ns",
        "entries",
        "peak_live_bytes",
    ] {
        assert!(cart[unknown].is_null(), "{unknown}");
    }
    // Of 600 entries 3 are left.
    assert_eq!(cart["retained_bytes"], (20u64 << 20) * 597 / 600);
    // The program's line, not that of the library that it calls; not emptied for all we know.
    let headers = site(&report, 30);
    assert_eq!(headers["caller"]["function"], "main.answer");
    assert!(headers["retained_bytes"].is_null());
    let push = site(&report, 50);
    assert_eq!(
        (&push["family"], &push["overlap_peak_bytes"]),
        (&"go_slice".into(), &(5 << 20).into())
    );
    assert_eq!(
        report["totals"]["heap_live_bytes"],
        (20 << 20) + (3 << 16) + (6 << 20) + (4 << 20)
    );
    assert_eq!(report["profile"]["period_bytes"], 524_288);

    let text = printed(&place.run(&["report", file.to_str().expect("UTF-8")]));
    assert!(
        text.contains("a map at shop/cart/cart.go:41") || text.contains("A map at"),
        "{text}"
    );
    assert!(
        text.contains("was probably emptied and kept: about 20 MiB"),
        "{text}"
    );
    assert!(text.contains("estimate"), "{text}");
}

#[test]
fn a_gate_on_a_profile_says_what_profiles_know() {
    let place = Place::new();
    let file = place.write("heap.pb.gz", &encode(&shop()).expect("encoded"));
    let file = file.to_str().expect("UTF-8");
    let check = |rule: &str, bound: &str| {
        let output = place.run(&["check", file, rule, bound]);
        let said = String::from_utf8_lossy(&output.stdout);
        let words: Vec<&str> = said.split_whitespace().collect();
        (output.status.code(), words.join(" "))
    };
    // Of a map whose entries are still there nobody knows how many were deleted.
    let (status, said) = check("--max-retained", "answer=1MiB");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("a heap profile does not tell"), "{said}");
    // Of one whose entries are gone it is known, and what helps is no larger start.
    let (status, said) = check("--max-retained", "cart.go:41=1MiB");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("it was probably emptied"), "{said}");
    assert!(!said.contains("make("), "{said}");
}

#[test]
fn packed_or_not_a_profile_says_the_same() {
    let place = Place::new();
    let packed = place.write("packed", &encode(&shop()).expect("encoded"));
    let plain = place.write("plain", &shop().encode_to_vec());
    let report = |file: &std::path::Path| {
        json(&place.run(&["report", "--json", file.to_str().expect("UTF-8")]))
    };
    assert_eq!(report(&packed), report(&plain));
}

/// What the command says about a file that it refuses.
fn refusal(place: &Place, bytes: &[u8]) -> String {
    let file = place.write("hostile", bytes);
    let output = place.run(&["report", file.to_str().expect("UTF-8")]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn hostile_profiles_get_a_sentence() {
    let place = Place::new();
    let whole = shop().encode_to_vec();
    let error = refusal(&place, &whole[..whole.len() - 1]);
    assert!(error.contains("breaks off"), "{error}");

    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..129 {
        bomb.write_all(&zeros).expect("memory");
    }
    let error = refusal(&place, &bomb.finish().expect("memory"));
    assert!(error.contains("more than 128 MiB"), "{error}");

    // A string that claims to be longer than any file.
    let mut claims = shop().encode_to_vec();
    claims.extend([0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    let error = refusal(&place, &claims);
    assert!(error.contains("are announced"), "{error}");

    let mut other = shop();
    other.string_table = other
        .string_table
        .iter()
        .map(|text| text.iter().map(u8::to_ascii_uppercase).collect())
        .collect();
    let error = refusal(&place, &encode(&other).expect("encoded"));
    assert!(error.contains("INUSE_SPACE, not of a heap"), "{error}");

    let error = refusal(&place, &[0x1f, 0x8b, 1, 2, 3]);
    assert!(error.contains("cannot be unpacked"), "{error}");
}

#[test]
fn addresses_that_cannot_be_read_get_a_sentence() {
    let place = Place::new();
    for (url, says) in [
        ("https://localhost/debug/pprof/heap", "curl"),
        (
            "http://127.0.0.1:1/debug/pprof/heap",
            "does the service run",
        ),
        ("127.0.0.1:1", "http://127.0.0.1:1/debug/pprof/heap"),
    ] {
        let output = place.run(&["report", url]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn what_fuzzing_begins_from_is_read_and_what_it_found_does_no_harm() {
    let place = Place::new();
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let out = place.path("out.pb.gz");
    let out = out.to_str().expect("UTF-8");
    for kind in ["dump", "profile", "json", "core"] {
        let mut seen = 0;
        for file in std::fs::read_dir(corpus.join(kind)).expect("the corpus") {
            let file = file.expect("a file").path();
            let name = file.to_str().expect("UTF-8");
            let verbs = match kind {
                "core" => vec![vec!["look", name]],
                "json" => vec![vec!["report", name], vec!["diff", name, name]],
                _ => vec![vec!["report", name], vec!["pprof", name, "-o", out]],
            };
            for verb in verbs {
                let output = place.run(&verb);
                let error = String::from_utf8_lossy(&output.stderr);
                // Of what is refused at its first word fuzzing would find nothing behind that.
                assert_eq!(output.status.code(), Some(0), "{verb:?}: {error}");
            }
            seen += 1;
        }
        assert!(seen > 2, "{kind}: {seen}");
    }
}
