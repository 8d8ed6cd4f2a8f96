//! `verify`: recordings that add up and recordings that do not.

use mapgrow_fixture::Program;
use mapgrow_format::layout::{edge, header, site};

use crate::place::Place;

/// A finished program that grew a table once, and was damaged.
fn recording(damage: impl FnOnce(&mut Program, u32)) -> Vec<u8> {
    let mut program = Program::new();
    program
        .recording
        .set(header::MODE, 1)
        .set(header::DUMP_REASON, header::REASON_EXIT)
        .set(header::DUMP_THREADS, 1);
    let site = program.recording.site(site::ENTRY_ALLOC, &[0x1000, 0x2000]);
    let over = program
        .recording
        .edge(edge::KIND_REPLACE, Some(site), site, 1, 0x1500);
    let block = program.alloc(site, 1072, 16);
    let block = program.replace(block, over, 2128, 900);
    program.keep(block, 0x7000_0000);
    damage(&mut program, site);
    program.build()
}

/// Exit status, and what was printed.
fn verify(place: &Place, bytes: &[u8], more: &[&str]) -> (Option<i32>, String) {
    let file = place.write("app.mapgrow", bytes);
    let mut arguments = vec!["verify", file.to_str().expect("text")];
    arguments.extend(more);
    let output = place.run(&arguments);
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn a_recording_that_adds_up_passes() {
    let place = Place::new();
    let (status, text) = verify(&place, &recording(|_, _| {}), &[]);
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("holds     bytes allocated - freed = live"),
        "{text}"
    );
    // What nobody can tell is not said to hold.
    assert!(text.contains("n/a       samples taken"), "{text}");
    assert!(
        text.contains("No law is broken: 8 hold, 1 not applicable."),
        "{text}"
    );
}

#[test]
fn the_first_law_that_is_broken_is_named_with_its_place_and_figures() {
    let place = Place::new();
    let bytes = recording(|program, site| {
        program.recording.site_words(site)[site::FREES] += 1;
    });
    let (status, text) = verify(&place, &bytes, &[]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("BROKEN    blocks allocated - freed = live"),
        "{text}"
    );
    assert!(
        text.contains("2 blocks allocated - 2 freed = 0, but 1 live"),
        "{text}"
    );
    let (status, text) = verify(&place, &bytes, &["--json"]);
    assert_eq!(status, Some(1), "{text}");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["format"], "mapgrow-verify");
    assert_eq!(document["outcome"], "broken");
    assert_eq!(document["first_broken"], "blocks");
    let laws = document["laws"].as_array().expect("laws");
    let blocks = laws.iter().find(|law| law["law"] == "blocks").expect("it");
    assert_eq!(blocks["spot"]["scope"], "site");
    assert_eq!(blocks["spot"]["id"], 1);
}

#[test]
fn what_cannot_be_verified_gets_a_sentence() {
    let place = Place::new();
    let file = place.write("app.mapgrow", &recording(|_, _| {}));
    let saved = place.run(&["report", file.to_str().expect("text"), "--json"]);
    let (status, text) = verify(&place, &saved.stdout, &[]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("name a dump or a recording"), "{text}");
    let (status, text) = verify(&place, b"no recording", &[]);
    assert_eq!(status, Some(2), "{text}");
    let missing = place.run(&["verify", "/nowhere/app.mapgrow"]);
    assert_eq!(missing.status.code(), Some(2));
}
