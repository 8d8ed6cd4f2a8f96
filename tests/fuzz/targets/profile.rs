//! Whatever bytes are given as a heap profile: an error, or a report, which can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mapgrow_cli::pprof;
use mapgrow_report::Report;
use mapgrow_report::profile::{HeapProfile, Innermost, MapType, ProfilePlace, SourceHint};
use mapgrow_report::text::{TextOptions, render};

/// Answers by address, of all the kinds there are.
struct Answers;

impl Innermost for Answers {
    fn called(&mut self, _: &HeapProfile, place: &ProfilePlace) -> Vec<String> {
        let name = match place.address % 4 {
            0 => return Vec::new(),
            1 => "runtime.growslice",
            2 => "runtime.mapassign_fast64",
            _ => "runtime.newobject",
        };
        vec![name.to_owned()]
    }

    fn map_type(&mut self, _: &HeapProfile, place: &ProfilePlace) -> Option<MapType> {
        (place.address % 3 == 0).then(|| MapType {
            name: "map[int]int".to_owned(),
            refers: place.address % 2 == 0,
            slot_bytes: None,
        })
    }

    fn source(&mut self, _: &HeapProfile, place: &ProfilePlace) -> Option<SourceHint> {
        [
            None,
            Some(SourceHint::Append),
            Some(SourceHint::IndexAssign),
        ][place.address as usize / 4 % 3]
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(profile) = pprof::heap_profile(bytes) else {
        return;
    };
    let mut later = profile.clone();
    later.taken_unix_ns = profile
        .taken_unix_ns
        .map(|ns| ns.saturating_add(1_000_000_000));
    later.samples.reverse();
    let report = Report::of_profiles(&[profile, later], &mut Answers).expect("profiles");
    assert!(!render(&report, &TextOptions::default()).is_empty());
    let written =
        pprof::encode(&pprof::of_report(&report, pprof::Functions::Own)).expect("memory takes it");
    assert!(!written.is_empty());
});
