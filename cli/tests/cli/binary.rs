//! `--binary`: the file that ran gives names, another build is refused.

use crate::place::{Place, copy_program, json, printed, told};
use crate::recorded::{Victim, victim};

#[test]
fn a_binary_of_another_build_is_refused() {
    let place = Place::new();
    let moved = place.path("cli_victim");
    copy_program(victim(), &moved);
    let running = Victim::start_at(&place, &moved);
    let dump = printed(&place.run(&["dump", &running.pid()]));
    let dump = dump.trim_end();
    running.finish();
    std::fs::remove_file(&moved).expect("removed");

    let original = victim().to_str().expect("plain");
    let report = json(&place.run(&["report", "--json", dump, "--binary", original]));
    assert_eq!(report["sites"][0]["caller"]["function"], "cli_victim::fill");

    // Another program under its name, and one that has nothing to do with it.
    std::fs::create_dir(place.path("other")).expect("made");
    let namesake = place.path("other/cli_victim");
    std::fs::copy(env!("CARGO_BIN_EXE_mapgrow"), &namesake).expect("copied");
    let namesake = namesake.to_str().expect("plain");
    let page = place.path("page.html");
    let page = page.to_str().expect("plain");
    for verb in [
        &["report"][..],
        &["html", "-o", page],
        &["check", "--max-resizes", "1000"],
        &["pprof", "-o", page],
        &["merge", "-o", page],
    ] {
        let refused = told(&place.run(&[verb, &[dump, "--binary", namesake]].concat()));
        assert!(
            refused.contains("is another build than"),
            "{verb:?}: {refused}"
        );
    }
    let refused = told(&place.run(&["report", dump, "--binary", "/bin/true"]));
    assert!(
        refused.contains("was not part of the recorded program"),
        "{refused}"
    );
    let refused = told(&place.run(&["report", dump, "--binary", "/nonexistent"]));
    assert!(refused.contains("cannot be read"), "{refused}");

    // Of several recordings it need be part of one.
    let other = place.write("other.mapgrow", &crate::place::recording_of(1, 1));
    let other = other.to_str().expect("plain");
    printed(&place.run(&["merge", "-o", page, dump, other, "--binary", original]));
}
