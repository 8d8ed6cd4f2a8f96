//! Whatever bytes are given as a recording: an error, or reports.
#![no_main]

mod names;

use libfuzzer_sys::fuzz_target;
use mapgrow_cli::pprof;
use mapgrow_format::reader::Recording;
use mapgrow_report::symbols::{Frame, Module, Symbolizer};
use mapgrow_report::text::{By, TextOptions, render};
use mapgrow_report::{Heap, Options, Report};

/// Names by address, of all the kinds that analysis tells apart.
struct Names;

impl Symbolizer for Names {
    fn frames(&mut self, _: &Module, address: u64) -> Vec<Frame> {
        let frame = |name: &str| Frame {
            function: Some(name.to_owned()),
            file: (address % 3 == 0).then(|| "src/main.rs".to_owned()),
            line: (address % 3 == 0).then_some(address as u32),
        };
        match names::kind(address) {
            0 => Vec::new(),
            1 => vec![frame(names::of(address)), frame(names::of(address >> 3))],
            _ => vec![frame(names::of(address))],
        }
    }

    fn element_type(&mut self, _: &Module, address: u64) -> Option<String> {
        (address & 1 == 0).then(|| "(u64, u64)".to_owned())
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
    let written =
        pprof::encode(&pprof::of_report(&report, pprof::Functions::Own)).expect("memory takes it");
    assert!(!written.is_empty());
    let heap = Heap::of(&recording, &mut Names, &options);
    let written = pprof::encode(&pprof::of_heap(&heap)).expect("memory takes it");
    pprof::heap_profile(&written).expect("what was written can be read");
});
