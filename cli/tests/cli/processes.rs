//! The command on recordings of processes: running, killed, and none at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use mapgrow_format::layout::header;

use crate::place::{Place, Sleeper, json, printed, recording_of, told, word};

#[test]
fn a_live_process_is_read_dumped_and_switched_from_outside() {
    let place = Place::new();
    let mut sleeper = Sleeper::new();
    let pid = sleeper.pid().to_string();
    let path = place.live_file(0xABCD, &recording_of(sleeper.pid(), sleeper.start_time()));
    sleeper.map(&path);

    let report = json(&place.run(&["report", "--json", &pid]));
    assert_eq!(report["process"]["state"], "live");
    let listed = printed(&place.run(&["list"]));
    let row: Vec<&str> = listed
        .lines()
        .nth(1)
        .expect("a row")
        .split_ascii_whitespace()
        .collect();
    assert_eq!(
        row[..3],
        [pid.as_str(), "cache-server", "running"],
        "{listed}"
    );
    assert!(listed.contains("136 KiB"), "{listed}");

    let control = || word(&fs::read(&path).expect("read"), header::CONTROL);
    let said = printed(&place.run(&["off", &pid]));
    assert!(said.contains("has paused recording"), "{said}");
    assert_eq!(control(), 1);
    assert!(printed(&place.run(&["list"])).contains("paused"));
    let honesty = || json(&place.run(&["report", "--json", &pid]))["honesty"].clone();
    let paused = honesty();
    assert_eq!(
        (&paused["paused"], &paused["pauses"]),
        (&true.into(), &1.into())
    );
    assert!(printed(&place.run(&["report", &pid])).contains("recording is paused"));
    assert!(printed(&place.run(&["on", &pid])).contains("records again"));
    assert_eq!(control(), 0);
    let resumed = honesty();
    assert_eq!(
        (&resumed["paused"], &resumed["pauses"]),
        (&false.into(), &1.into())
    );
    assert!(printed(&place.run(&["report", &pid])).contains("was paused once"));

    for number in ["1", "2"] {
        let dump = PathBuf::from(printed(&place.run(&["dump", &pid])).trim_end());
        let name = dump.file_name().and_then(|n| n.to_str()).expect("a name");
        assert!(dump.starts_with(place.path("state/mapgrow")), "{dump:?}");
        assert!(
            name.starts_with("cache-server-") && name.ends_with(".mapgrow"),
            "{name}"
        );
        let same_second = name.ends_with(&format!("-{pid}-{number}.mapgrow"));
        assert!(
            same_second || name.ends_with(&format!("-{pid}-1.mapgrow")),
            "{name}"
        );
        let meta = fs::metadata(&dump).expect("there");
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert!(meta.len() < 1 << 20, "packed: {}", meta.len());
        let report = json(&place.run(&["report", "--json", dump.to_str().expect("plain")]));
        assert_eq!(report["process"]["state"], "snapshot");
        assert_eq!(report["process"]["dump_reason"], "outside");
    }
    let left: Vec<_> = fs::read_dir(place.path("state/mapgrow"))
        .expect("read")
        .collect();
    assert_eq!(left.len(), 2, "no temporary file stays: {left:?}");
}

#[test]
fn dump_overwrites_nothing() {
    let place = Place::new();
    let mut sleeper = Sleeper::new();
    let pid = sleeper.pid().to_string();
    sleeper.map(&place.live_file(1, &recording_of(sleeper.pid(), sleeper.start_time())));
    let target = place.write("kept", b"precious");
    let link = place.path("link");
    symlink(&target, &link).expect("linked");
    for path in [&target, &link] {
        let output = place.run(&["dump", &pid, "-o", path.to_str().expect("plain")]);
        assert!(told(&output).contains("overwrites nothing"));
    }
    assert_eq!(fs::read(&target).expect("read"), b"precious");
    let fresh = place.path("fresh");
    printed(&place.run(&["dump", &pid, "--output", fresh.to_str().expect("plain")]));
    assert_eq!(
        fs::metadata(&fresh).expect("there").permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_killed_process_is_listed_reported_and_pruned() {
    let place = Place::new();
    let sleeper = Sleeper::new();
    let start_time = sleeper.start_time();
    let mut running = Sleeper::new();
    let pid = sleeper.end();
    let orphan = place.live_file(0xAA, &recording_of(pid, start_time));
    let kept = place.live_file(0xBB, &recording_of(running.pid(), running.start_time()));
    running.map(&kept);
    // Another process has the number now: started at another time.
    let reused = place.live_file(0xCC, &recording_of(running.pid(), 1));
    let outside = place.write("outside", &recording_of(pid, start_time));
    let link = place.path("rec/mapgrow-77-00000000000000dd.rec");
    symlink(&outside, &link).expect("linked");
    let foreign = place.write("rec/mapgrow-78-00000000000000ee.rec", b"not ours");

    // What others on this machine left behind is no business of this test.
    let own = |listed: &str, word: &str| {
        let own = place.path("").display().to_string();
        let lines = listed.lines().filter(|line| line.contains(&own));
        lines.filter(|line| line.contains(word)).count()
    };
    let listed = printed(&place.run(&["list"]));
    assert_eq!(own(&listed, ""), 3, "{listed}");
    assert_eq!(own(&listed, "killed"), 2, "{listed}");
    let report = json(&place.run(&["report", "--json", &pid.to_string()]));
    assert_eq!(report["process"]["state"], "killed");
    let refused = told(&place.run(&["off", &pid.to_string()]));
    assert!(refused.contains("has ended"), "{refused}");

    let pruned = printed(&place.run(&["list", "--prune"]));
    assert_eq!(own(&pruned, ""), 2, "{pruned}");
    assert!(!orphan.exists() && !reused.exists());
    assert!(kept.exists() && outside.exists() && foreign.exists());
    assert!(link.symlink_metadata().is_ok());
    let again = printed(&place.run(&["list", "--prune"]));
    assert_eq!(own(&again, ""), 0, "{again}");
}

#[test]
fn a_recording_that_is_mapped_is_never_pruned() {
    let place = Place::new();
    // As a process in a container: it writes, under an id that means nothing here.
    let path = place.live_file(5, &recording_of(4_000_000_000, 1));
    let mut sleeper = Sleeper::new();
    sleeper.map(&path);
    let row = || {
        let listed = printed(&place.run(&["list"]));
        let own = path.display().to_string();
        let row = listed.lines().find(|line| line.ends_with(&own));
        let words = row.expect("listed").split_ascii_whitespace();
        words.take(3).map(str::to_owned).collect::<Vec<_>>()
    };
    let pid = sleeper.pid().to_string();
    assert_eq!(row(), [pid.as_str(), "cache-server", "running"]);
    printed(&place.run(&["list", "--prune"]));
    assert!(path.exists());
    let report = json(&place.run(&["report", "--json", &pid]));
    assert_eq!(report["process"]["state"], "live");
    sleeper.end();
    assert_eq!(row(), ["4000000000", "cache-server", "killed"]);
    printed(&place.run(&["list", "--prune"]));
    assert!(!path.exists());
}

#[test]
fn processes_without_a_recording_get_a_sentence() {
    let place = Place::new();
    let sleeper = Sleeper::new();
    let pid = sleeper.pid().to_string();
    for verb in ["report", "dump", "off", "on"] {
        let sentence = told(&place.run(&[verb, &pid]));
        assert!(sentence.contains("mapgrow run --"), "{sentence}");
        // It would end a program that does not handle it.
        assert!(!sentence.contains("kill"), "{sentence}");
    }
    let gone = sleeper.end().to_string();
    for verb in ["report", "dump", "off", "on"] {
        let sentence = told(&place.run(&[verb, &gone]));
        assert!(sentence.contains("there is no process"), "{sentence}");
    }
}
