//! Who is who: a process is known by the recording that it has mapped, not by a number that
//! another process may have in another place or at another time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, Sleeper, json, printed, recording_of, told};
use crate::recorded::victim;
use crate::users::needs_root;

/// The rows of `mapgrow list` that tell of this test's files.
fn rows(place: &Place, listed: &str) -> Vec<Vec<String>> {
    let own = place.path("").display().to_string();
    let rows = listed.lines().filter(|line| line.contains(&own));
    rows.map(|row| row.split_ascii_whitespace().map(str::to_owned).collect())
        .collect()
}

/// The program as the first process of a namespace of its own, as in a container.
struct Contained(Child);

impl Contained {
    fn start(place: &Place) -> Contained {
        let child = place
            .command_of(Path::new("unshare"))
            .args(["--pid", "--fork", "--kill-child"])
            .arg(victim())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("unshare runs");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it tells");
        assert_eq!(line, "1 100000\n");
        Contained(child)
    }

    /// The program's id out here.
    fn pid(&self) -> String {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        let children = fs::read_to_string(children).expect("there");
        children.trim().to_owned()
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        // The program itself, before `wait` closes its input: it would end by itself.
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        let inside = fs::read_to_string(children).unwrap_or_default();
        let inside = inside.trim();
        let _ = Command::new("kill").args(["-KILL", inside]).status();
        let exe = Path::new("/proc").join(inside).join("exe");
        let begun = Instant::now();
        while fs::symlink_metadata(&exe).is_ok() && begun.elapsed().as_secs() < 30 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_in_another_pid_namespace_runs_under_its_id_here() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let contained = Contained::start(&place);
    let pid = contained.pid();
    let listed = printed(&place.run(&["list"]));
    let rows = rows(&place, &listed);
    assert_eq!(rows.len(), 1, "{listed}");
    assert_eq!(rows[0][..3], [pid.as_str(), "cli_victim", "running"]);
    let report = json(&place.run(&["report", "--json", &pid]));
    assert_eq!(report["process"]["state"], "live");
    let contents = &report["maps"][0]["entries"];
    assert_eq!(contents, 100_000, "its memory is read");
    // There it is 1; here 1 is somebody else.
    let sentence = told(&place.run(&["report", "1"]));
    assert!(sentence.contains("process 1 "), "{sentence}");
    printed(&place.run(&["list", "--prune"]));
    json(&place.run(&["report", "--json", &pid]));
}

#[test]
fn a_process_that_cannot_be_seen_from_here_is_not_called_killed() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let contained = Contained::start(&place);
    let elsewhere = |arguments: &[&str]| {
        let output = place
            .command_of(Path::new("unshare"))
            .args(["--pid", "--fork", "--mount-proc"])
            .arg(env!("CARGO_BIN_EXE_mapgrow"))
            .args(arguments)
            .output();
        output.expect("unshare runs")
    };
    // On a file system where the kernel tells who writes to a file.
    let listed = printed(&elsewhere(&["list"]));
    let rows = rows(&place, &listed);
    assert_eq!(rows[0][..3], ["-", "cli_victim", "running"], "{listed}");
    printed(&elsewhere(&["list", "--prune"]));
    let path = rows[0].last().expect("a path");
    let report = json(&elsewhere(&["report", "--json", path]));
    assert_eq!(report["process"]["state"], "live");
    assert!(Path::new(path).exists());
    drop(contained);
    let listed = printed(&elsewhere(&["list"]));
    assert!(listed.contains(" killed "), "{listed}");
}

#[test]
fn after_exec_the_old_program_does_not_run() {
    let place = Place::new();
    let mut child = place
        .command_of(victim())
        .arg("exec")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    let pid = child.id().to_string();
    let begun = Instant::now();
    let replaced = || {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
        exe.file_name().is_some_and(|name| name != "cli_victim")
    };
    while !replaced() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    let listed = printed(&place.run(&["list"]));
    let rows = rows(&place, &listed);
    assert_eq!(rows[0][..3], [pid.as_str(), "cli_victim", "replaced"]);
    let report = json(&place.run(&["report", "--json", &pid]));
    assert_eq!(report["process"]["state"], "ended");
    let refused = told(&place.run(&["off", &pid]));
    assert!(refused.contains("has ended"), "{refused}");
    let pruned = printed(&place.run(&["list", "--prune"]));
    assert!(pruned.contains("cli_victim"), "{pruned}");
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

/// The file of a process that ended is not that of the one which has its number now.
#[test]
fn a_number_that_is_used_again_tells_nothing() {
    let place = Place::new();
    let sleeper = Sleeper::new();
    let pid = sleeper.pid().to_string();
    place.live_file(1, &recording_of(sleeper.pid(), 1));
    let sentence = told(&place.run(&["report", &pid]));
    assert!(sentence.contains(&format!("process {pid} ")), "{sentence}");
    let listed = printed(&place.run(&["list"]));
    assert_eq!(rows(&place, &listed)[0][2], "killed");
}

/// Children of a Rust program that end by `_exit` leave what they are asked to leave, and no
/// recording.
#[test]
fn a_program_that_ends_by_underscore_exit_leaves_no_recording() {
    let place = Place::new();
    let ended = place
        .command_of(victim())
        .arg("_exit")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    assert_eq!(ended.status.code(), Some(3));
    let left: Vec<_> = fs::read_dir(place.path("rec")).expect("there").collect();
    assert!(left.is_empty(), "{left:?}");
    let report = json(&place.run(&["report", "--json"]));
    assert_eq!(report["process"]["dump_reason"], "exit");
}
