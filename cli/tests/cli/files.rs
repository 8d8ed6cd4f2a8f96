//! The command on files, and what it says of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mapgrow_fixture::RecordingBuilder;
use mapgrow_format::layout::{VERSION, header, region};

use crate::place::{Place, json, printed, recording_of, spread, told};

#[test]
fn files_that_cannot_be_read_get_a_sentence() {
    let place = Place::new();
    let whole = RecordingBuilder::new().build();
    let mut newer = whole.clone();
    newer[header::VERSION * 8..][..8].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let newer_version = format!("has version {}", VERSION + 1);
    let fifo = place.path("fifo");
    let made = Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
    let files = [
        (place.write("empty", b""), "is empty"),
        (place.write("text", b"hello, world"), "no mapgrow recording"),
        (
            place.write("elf", b"\x7fELF\x02\x01\x01"),
            "looks like an executable",
        ),
        (place.write("newer", &newer), newer_version.as_str()),
        (place.write("cut-header", &whole[..100]), "truncated"),
        (
            place.write("cut-region", &whole[..whole.len() - 8]),
            "8 bytes of its",
        ),
        (place.path("missing"), "no such file"),
        (place.path("state"), "is a directory"),
        (fifo, "no regular file"),
        (PathBuf::from("/dev/zero"), "no regular file"),
    ];
    for (path, expected) in files {
        for flags in [&[][..], &["--json"]] {
            let output = place
                .command()
                .arg("report")
                .arg(&path)
                .args(flags)
                .output();
            let sentence = told(&output.expect("it runs"));
            assert!(sentence.contains(expected), "{sentence}");
            assert!(
                sentence.contains(path.to_str().expect("plain")),
                "{sentence}"
            );
        }
    }
}

#[test]
fn every_damage_to_a_region_table_is_refused_or_harmless() {
    let place = Place::new();
    let whole = recording_of(4242, 1);
    let rows = header::REGIONS..header::REGIONS + region::COUNT * header::REGION_WORDS;
    for index in rows {
        for value in [1, 7, 1 << 20, 1 << 40, u64::MAX, u64::MAX - 7] {
            let mut damaged = whole.clone();
            damaged[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
            let path = place.write("damaged", &damaged);
            let output = place
                .command()
                .arg("report")
                .arg(&path)
                .output()
                .expect("it runs");
            let code = output.status.code();
            assert!(
                code == Some(0) || code == Some(2),
                "word {index} = {value}: {output:?}"
            );
        }
    }
}

#[test]
fn help_names_every_verb_and_shows_examples() {
    let place = Place::new();
    let text = printed(&place.run(&["--help"]));
    for verb in ["report", "dump", "list", "on", "off", "completions"] {
        assert!(text.contains(&format!("\n  {verb} ")), "{verb}: {text}");
        let own = printed(&place.run(&[verb, "--help"]));
        assert!(own.contains("Usage: mapgrow"), "{own}");
    }
    assert!(
        text.contains("Examples:") && text.contains("Exit status"),
        "{text}"
    );
    assert!(printed(&place.run(&["report", "--help"])).contains("mapgrow report 4242"));
    assert!(printed(&place.run(&["--version"])).starts_with("mapgrow "));
}

#[test]
fn wrong_usage_is_status_2() {
    let place = Place::new();
    for arguments in [
        &[][..],
        &["explain"],
        &["report", "--by", "colour"],
        &["dump"],
        &["dump", "name"],
        &["off"],
    ] {
        assert_eq!(place.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn completions_know_the_verbs() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&place.run(&["completions", shell]));
        assert!(script.contains("report") && script.contains("--prune") || shell == "fish");
        assert!(script.contains("prune"), "{shell}");
    }
}

#[test]
fn report_without_a_name_opens_the_newest_dump() {
    let place = Place::new();
    // SAFETY: `geteuid` has no preconditions.
    let user = unsafe { libc::geteuid() };
    // Programs without a home leave their dumps there, and `report` looks there too.
    if !Path::new(&format!("/var/tmp/mapgrow-{user}")).exists() {
        let sentence = told(&place.run(&["report"]));
        assert!(sentence.contains("there is no dump in"), "{sentence}");
    }
    let names = [
        "app-1760000000-4000000011-1",
        "app-1760000000-4000000012-1",
        "other-1-4000000013-2",
    ];
    for (age, name) in names.iter().enumerate() {
        // Above any id that the kernel gives.
        let pid = 4_000_000_011 + age as u32;
        let path = place.write(
            &format!("state/mapgrow/{name}.mapgrow"),
            &recording_of(pid, 0),
        );
        let when = std::time::SystemTime::now() - std::time::Duration::from_secs(100 * age as u64);
        let file = fs::File::options().write(true).open(path).expect("opened");
        file.set_modified(when).expect("dated");
    }
    place.write("state/mapgrow/not-a-dump.mapgrow", b"");
    let report = json(&place.run(&["report", "--json"]));
    assert_eq!(report["process"]["pid"], 4_000_000_011u32);
    // A process that is gone is shown by its dump.
    let report = json(&place.run(&["report", "--json", "4000000013"]));
    assert_eq!(report["process"]["pid"], 4_000_000_013u32);
}

#[test]
fn a_sparse_recording_reads_as_its_packed_form() {
    let place = Place::new();
    let bytes = recording_of(4242, 1);
    let packed = place.write("packed", &bytes);
    let sparse = place.path("sparse");
    spread(&bytes, &sparse);
    let length = fs::metadata(&sparse).expect("there").len();
    assert!(length > 100 << 20, "{length}");
    let of = |path: &Path| json(&place.run(&["report", "--json", path.to_str().expect("plain")]));
    assert_eq!(of(&sparse), of(&packed));
    assert_eq!(of(&sparse)["format"], "mapgrow-report");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let path = place.write("packed", &recording_of(4242, 1));
    let name = path.to_str().expect("plain");
    for arguments in [
        &["--help"][..],
        &["completions", "bash"],
        &["list"],
        &["report", name],
        &["report", "--json", name],
    ] {
        let mut child = place.command();
        child
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = child.spawn().expect("it runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("opened");
    let output = place
        .command()
        .arg("report")
        .arg(&path)
        .stdout(full)
        .output();
    assert!(told(&output.expect("it runs")).contains("cannot write the output"));
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let place = Place::new();
    let path = place.write("packed", &recording_of(4242, 1));
    let path = path.to_str().expect("plain");
    let plain = printed(&place.run(&["report", path]));
    assert!(!plain.contains('\x1b'), "{plain}");
    let narrow = printed(&place.run(&["report", path, "--width", "60", "--color", "never"]));
    assert!(!narrow.contains('\x1b'));
}

/// A pipe in the place of a file is refused; to read it would never end.
#[test]
fn a_pipe_in_the_place_of_a_file_stops_nothing() {
    let place = Place::new();
    let pipe = place.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let pipe = pipe.to_str().expect("plain");
    let recording = place.write("app.mapgrow", &recording_of(4242, 1));
    let recording = recording.to_str().expect("plain");
    let families = place
        .command()
        .arg("families")
        .env("MAPGROW_FAMILIES", pipe)
        .output();
    for output in [
        families.expect("it runs"),
        place.run(&["report", pipe]),
        place.run(&["report", recording, "--binary", pipe]),
        place.run(&["check", recording, "--rules", pipe]),
        place.run(&["check", recording, "--baseline", pipe]),
        place.run(&["diff", recording, pipe]),
    ] {
        let sentence = told(&output);
        assert!(sentence.contains("regular file"), "{sentence}");
    }
}
