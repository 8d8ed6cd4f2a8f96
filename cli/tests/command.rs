//! The whole command on files and on processes: what it prints, and how it exits.

mod common;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::TempDir;
use mapgrow::recording::fixture::{Program, RecordingBuilder};
use mapgrow::recording::layout::{VERSION, header, region};

/// The directories of one test, and the command run within them.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(TempDir::new());
        for name in ["run/mapgrow", "state/mapgrow", "rec"] {
            fs::create_dir_all(place.path(name)).expect("a directory");
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mapgrow"));
        command
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("HOME", self.path("home"))
            .env("MAPGROW_DIR", self.path("rec"))
            .env_remove("NO_COLOR");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("it runs")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    /// A recording file as a running process keeps it: sparse, its regions far apart.
    fn live_file(&self, id: u64, bytes: &[u8]) -> PathBuf {
        let pid = word(bytes, header::PID) as u32;
        let path = self.path(&format!("rec/mapgrow-{pid}-{id:016x}.rec"));
        spread(bytes, &path);
        path
    }
}

fn word(bytes: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(bytes[index * 8..index * 8 + 8].try_into().expect("8 bytes"))
}

/// Distance of two regions in a sparse file.
const APART: u64 = 8 << 20;

fn spread(bytes: &[u8], path: &Path) {
    let file = fs::File::create(path).expect("created");
    let mut head = bytes[..header::WORDS * 8].to_vec();
    for kind in 0..region::COUNT {
        let row = header::REGIONS + kind * header::REGION_WORDS;
        let [from, committed] = [1, 3].map(|i| word(bytes, row + i) as usize);
        let to = (kind as u64 + 1) * APART;
        file.write_all_at(&bytes[from..from + committed], to)
            .expect("written");
        let capacity = if committed == 0 { 4096 } else { APART };
        for (index, value) in [(row + 1, to), (row + 2, capacity)] {
            head[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
        }
    }
    file.write_all_at(&head, 0).expect("written");
    file.set_len(APART * (region::COUNT as u64 + 1))
        .expect("sized");
}

/// A process of the test's, with when it was started.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Sleeper {
        let child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn();
        Sleeper(child.expect("sleep runs"))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn start_time(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("stat");
        let fields: Vec<&str> = stat.split_ascii_whitespace().collect();
        fields[21].parse().expect("a number")
    }

    fn end(mut self) -> u32 {
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A recording with one site that holds one block, of this process.
fn recording_of(pid: u32, start_time: u64) -> Vec<u8> {
    let mut program = Program::new();
    program
        .recording
        .exe("/opt/app/bin/cache-server", &["cache-server", "--fast"]);
    program.recording.set(header::PID, 1 << 32 | u64::from(pid));
    program.recording.set(header::PROCESS_STARTTIME, start_time);
    let site = program.recording.site(1, &[0x1000, 0x2000]);
    let block = program.alloc(site, 4096 * 34 + 16, 16);
    program.keep(block, 0x7000_0000);
    program.build()
}

fn told(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert!(
        text.starts_with("mapgrow: ") && text.ends_with('\n'),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "one sentence: {text}");
    text
}

fn printed(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&printed(output)).expect("JSON")
}

#[test]
fn files_that_cannot_be_read_get_a_sentence() {
    let place = Place::new();
    let whole = RecordingBuilder::new().build();
    let mut newer = whole.clone();
    newer[header::VERSION * 8..][..8].copy_from_slice(&(VERSION + 1).to_le_bytes());
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
        (place.write("newer", &newer), "has version 2"),
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
    let sentence = told(&place.run(&["report"]));
    assert!(sentence.contains("there is no dump in"), "{sentence}");
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
fn a_live_process_is_read_dumped_and_switched_from_outside() {
    let place = Place::new();
    let sleeper = Sleeper::new();
    let pid = sleeper.pid().to_string();
    let path = place.live_file(0xABCD, &recording_of(sleeper.pid(), sleeper.start_time()));

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
    assert!(printed(&place.run(&["on", &pid])).contains("records again"));
    assert_eq!(control(), 0);

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
    let sleeper = Sleeper::new();
    let pid = sleeper.pid().to_string();
    place.live_file(1, &recording_of(sleeper.pid(), sleeper.start_time()));
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
    assert_eq!(fs::metadata(&fresh).expect("there").mode() & 0o777, 0o600);
}

#[test]
fn a_killed_process_is_listed_reported_and_pruned() {
    let place = Place::new();
    let sleeper = Sleeper::new();
    let start_time = sleeper.start_time();
    let running = Sleeper::new();
    let pid = sleeper.end();
    let orphan = place.live_file(0xAA, &recording_of(pid, start_time));
    let kept = place.live_file(0xBB, &recording_of(running.pid(), running.start_time()));
    // Another process has the number now: started at another time.
    let reused = place.live_file(0xCC, &recording_of(running.pid(), 1));
    let outside = place.write("outside", &recording_of(pid, start_time));
    let link = place.path("rec/mapgrow-77-00000000000000dd.rec");
    symlink(&outside, &link).expect("linked");
    let foreign = place.write("rec/mapgrow-78-00000000000000ee.rec", b"not ours");

    let listed = printed(&place.run(&["list"]));
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert_eq!(listed.matches("killed").count(), 2, "{listed}");
    let report = json(&place.run(&["report", "--json", &pid.to_string()]));
    assert_eq!(report["process"]["state"], "killed");
    let refused = told(&place.run(&["off", &pid.to_string()]));
    assert!(refused.contains("has ended"), "{refused}");

    let pruned = printed(&place.run(&["list", "--prune"]));
    assert_eq!(pruned.lines().count(), 2, "{pruned}");
    assert!(!orphan.exists() && !reused.exists());
    assert!(kept.exists() && outside.exists() && foreign.exists());
    assert!(link.symlink_metadata().is_ok());
    let again = printed(&place.run(&["list", "--prune"]));
    assert!(again.contains("nothing to remove"), "{again}");
}

#[test]
fn a_recording_that_is_mapped_is_never_pruned() {
    let place = Place::new();
    // As a process in a container: it writes, under an id that means nothing here.
    let path = place.live_file(5, &recording_of(4_000_000_000, 1));
    let file = fs::File::open(&path).expect("opened");
    // SAFETY: the file stays as it is while the test looks.
    let map = unsafe { memmap2::Mmap::map(&file) }.expect("mapped");
    let sentence = {
        let output = place.run(&["list", "--prune"]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).expect("text")
    };
    assert!(sentence.contains("still writes to it"), "{sentence}");
    assert!(path.exists());
    drop(map);
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
        assert!(sentence.contains("has no recording file"), "{sentence}");
        // It would end a program that does not handle it.
        assert!(!sentence.contains("kill"), "{sentence}");
    }
    let gone = sleeper.end().to_string();
    for verb in ["report", "dump", "off", "on"] {
        let sentence = told(&place.run(&[verb, &gone]));
        assert!(sentence.contains("there is no process"), "{sentence}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let path = place.write("packed", &recording_of(4242, 1));
    for arguments in [&["--help"][..], &["completions", "bash"], &["list"]] {
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
