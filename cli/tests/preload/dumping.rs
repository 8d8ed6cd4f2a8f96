//! Dumps in bad times: jumps and cancellations out of them, kills, no room, SIGTERM.

use crate::surroundings::{GOOD, Victim, files, starts, total};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where there is no dump, the recording is kept and named.
#[test]
fn a_failed_dump_keeps_the_recording() {
    let victim = Victim::new();
    let output = victim
        .preloaded(&["fill"])
        .env("MAPGROW_OUT", "/nonexistent/directory/%n")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), GOOD, "{output:?}");
    let kept = victim.recordings();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(kept[0].to_str().unwrap()), "{said}");
    assert!(total(&victim.report(&kept[0]), "resizes") >= 8);
}

/// Starts the program and waits until it says so.
fn is_root() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::geteuid() == 0 }
}

fn start(command: &mut Command, until: &str) -> std::process::Child {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut byte = [0];
    let out = child.stdout.as_mut().unwrap();
    while !said.ends_with(until) && out.read(&mut byte).unwrap() == 1 {
        said.push(byte[0] as char);
    }
    assert!(said.ends_with(until), "{said:?}");
    child
}

#[test]
fn a_handler_that_jumps_away_leaves_dumps_possible() {
    let victim = Victim::new();
    let mut child = start(&mut victim.preloaded(&["jumps"]), "last\n");
    for dump in victim.dumps() {
        std::fs::remove_file(dump).unwrap();
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), GOOD);
    assert!(!victim.dumps().is_empty(), "the last signal and the end");
    let hidden = files(&victim.place.path("")).filter(|path| starts(path, ".mapgrow-"));
    assert_eq!(hidden.count(), 0);
}

/// A thread that is cancelled while it dumps finishes the dump first.
#[test]
fn a_thread_that_is_cancelled_leaves_dumps_possible() {
    let victim = Victim::new();
    let mut child = start(&mut victim.preloaded(&["cancelled"]), "last\n");
    for dump in victim.dumps() {
        std::fs::remove_file(dump).unwrap();
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), GOOD);
    assert!(!victim.dumps().is_empty(), "the last signal and the end");
}

/// What lies there after a kill is whole, and nothing else lies there.
#[test]
fn a_process_that_is_killed_in_a_dump_leaves_whole_dumps() {
    let victim = Victim::new();
    let mut killed_at_work = 0;
    for round in 0..8 {
        let mut child = start(&mut victim.preloaded(&["dumps"]), "ready\n");
        std::thread::sleep(Duration::from_micros(500 + round * 2500));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        let dumps = victim.dumps();
        killed_at_work += usize::from(!dumps.is_empty());
        // The newest is the one that a kill would have torn.
        let newest = dumps.iter().max_by_key(|path| {
            let stat = path.metadata().unwrap();
            (stat.mtime(), stat.mtime_nsec())
        });
        if let Some(dump) = newest {
            assert!(total(&victim.report(dump), "resizes") >= 8);
        }
        let lengths = dumps.iter().map(|path| path.metadata().unwrap().len());
        let (least, most) = (lengths.clone().min(), lengths.max());
        assert!(most <= least.map(|least| 2 * least), "{least:?} {most:?}");
        for dump in &dumps {
            std::fs::remove_file(dump).unwrap();
        }
    }
    assert!(killed_at_work > 2, "{killed_at_work}");
}

#[test]
fn a_service_that_is_asked_to_end_leaves_a_dump() {
    let victim = Victim::new();
    for (at_term, dumps) in [("1", 1), ("0", 0)] {
        let mut command = victim.preloaded(&["wait"]);
        let mut child = start(command.env("MAPGROW_AT_TERM", at_term), "ready\n");
        // SAFETY: our child, not waited for yet.
        unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(victim.dumps().len(), dumps, "{at_term}");
        for dump in victim.dumps() {
            assert!(total(&victim.report(&dump), "resizes") >= 8);
            std::fs::remove_file(dump).unwrap();
        }
    }
}

/// `MAPGROW_AT_EXIT=none` does nothing at all at the end; what lies there is removed by a later
/// process, once there is much of it.
#[test]
fn nothing_is_done_where_nothing_is_wanted() {
    let victim = Victim::new();
    let begun = Instant::now();
    let mut living = victim.preloaded(&["wait"]);
    let mut living = start(living.env("MAPGROW_AT_EXIT", "none"), "ready\n");
    let [of_living] = victim.recordings().try_into().expect("one");
    let mut most = 0;
    for round in 0..60 {
        let mut command = victim.preloaded(&["fill"]);
        if round >= 40 && is_root() {
            // There no process has the id of the living one.
            command = victim.elsewhere(&["fill"]);
        }
        let status = command.env("MAPGROW_AT_EXIT", "none").status();
        assert_eq!(status.unwrap().code(), GOOD);
        most = most.max(victim.recordings().len());
    }
    assert!(victim.recordings().contains(&of_living));
    living.kill().unwrap();
    living.wait().unwrap();
    assert!(victim.dumps().is_empty());
    assert!(most > 1 && victim.recordings().len() < 60, "{most}");
    assert!(begun.elapsed() < Duration::from_secs(600));
}
