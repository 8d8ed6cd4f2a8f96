//! Whatever bytes are given as a recording: an error, or reports.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mapgrow_format::reader::Recording;
use mapgrow_report::symbols::{Frame, Module, Symbolizer};
use mapgrow_report::text::{By, TextOptions, render};
use mapgrow_report::{Heap, Options, Report};
use mapgrow_cli::pprof;

/// Names by address, of all the kinds that analysis tells apart.
struct Names;

impl Symbolizer for Names {
    fn frames(&mut self, _: &Module, address: u64) -> Vec<Frame> {
        const NAMES: [&str; 8] = [
            "hashbrown::raw::RawTable<T,A>::reserve_rehash",
            "alloc::raw_vec::RawVec<T,A>::grow_one",
            "alloc::collections::btree::node::LeafNode<K,V>::new",
            "__rust_alloc",
            "dictresize",
            "std::rt::lang_start",
            "demo::Cache::put",
            "demo::main",
        ];
        let frame = |name: &str| Frame {
            function: Some(name.to_owned()),
            file: (address % 3 == 0).then(|| "src/main.rs".to_owned()),
            line: (address % 3 == 0).then_some(address as u32),
        };
        let at = |shift: u32| NAMES[(address >> shift) as usize % NAMES.len()];
        match address % 5 {
            0 => Vec::new(),
            1 => vec![frame(at(3)), frame(at(6))],
            _ => vec![frame(at(3))],
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(recording) = Recording::parse(bytes.to_vec()) else {
        return;
    };
    let options = Options::default();
    let report = Report::build(&recording, &mut Names, &options);
    for by in [By::Site, By::Map, By::Type, By::Thread] {
        let options = TextOptions {
            by,
            ..TextOptions::default()
        };
        assert!(!render(&report, &options).is_empty());
    }
    let written = pprof::encode(&pprof::of_report(&report)).expect("memory takes it");
    assert!(!written.is_empty());
    let heap = Heap::of(&recording, &mut Names, &options);
    let written = pprof::encode(&pprof::of_heap(&heap)).expect("memory takes it");
    pprof::heap_profile(&written).expect("what was written can be read");
});
