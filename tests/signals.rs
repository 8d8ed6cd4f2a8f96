//! Dumps on request, while eight threads allocate; and signals that are not ours.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Scratch, array, cli, command, example, number, report, run, text};

/// Dumps asked for one after the other: `STORM_SIGNALS=1000` for the long run.
fn signals() -> usize {
    let asked = std::env::var("STORM_SIGNALS").ok();
    asked.map_or(30, |n| n.parse().expect("STORM_SIGNALS is a number"))
}

fn send(child: &Child, signal: i32) {
    // SAFETY: a signal to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

/// Starts the busy program and waits until it is.
fn start_busy(scratch: &Scratch, profile: &str) -> Child {
    let program = example("victim_busy", profile);
    let mut child = command(&program, scratch)
        .env("MAPGROW_OUT", scratch.path("dump-%n.mapgrow"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let mut byte = [0];
    let stdout = child.stdout.as_mut().expect("a pipe");
    while stdout.read(&mut byte).is_ok_and(|n| n == 1) && byte[0] != b'\n' {
        line.push(byte[0] as char);
    }
    assert_eq!(line, "ready");
    child
}

/// Lets the program end and checks that it is content with its results.
fn finish(mut child: Child) {
    drop(child.stdin.take());
    let stdout = child.stdout.take().expect("a pipe");
    let last = BufReader::new(stdout).lines().map_while(Result::ok).last();
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    assert_eq!(last.as_deref(), Some("result 4509390 in every round"));
    assert_eq!(stderr, "");
}

fn dumps(scratch: &Scratch) -> Vec<String> {
    let mut names = Scratch::list(&scratch.path(""));
    names.retain(|name| name.starts_with("dump-") && name.ends_with(".mapgrow"));
    names
}

#[test]
fn every_signal_gets_its_dump() {
    let scratch = Scratch::new("storm");
    let child = start_busy(&scratch, "release");
    let mut slowest = Duration::ZERO;
    for n in 0..signals() {
        let asked = Instant::now();
        send(&child, libc::SIGUSR1);
        let name = loop {
            if let Some(name) = dumps(&scratch).pop() {
                break name;
            }
            assert!(
                asked.elapsed() < Duration::from_secs(30),
                "no dump for signal {n}"
            );
            std::thread::sleep(Duration::from_millis(1));
        };
        slowest = slowest.max(asked.elapsed());
        let dump = scratch.path(&name);
        let opened = run(Command::new(cli())
            .args(["report", "--top", "3"])
            .arg(&dump));
        let first = String::from_utf8_lossy(&opened.stdout);
        assert!(
            first.contains("fill"),
            "{name} lacks the busy maps: {first}"
        );
        if n % 10 != 0 {
            std::fs::remove_file(&dump).expect("the dump is ours");
            continue;
        }
        // Every figure of some: their timelines are tens of megabytes of JSON.
        let report = report(&dump);
        assert_eq!(report["process"]["dump_reason"], "signal", "{name}");
        let sites = array(&report, "sites");
        let fill = sites.iter().find(|site| {
            text(&site["caller"], "function").contains("fill") && site["family"] == "hashbrown"
        });
        let fill = fill.unwrap_or_else(|| panic!("{name} lacks the busy maps"));
        assert!(number(fill, "resizes") > 0, "{name}: {fill:#}");
        assert_eq!(number(&report["honesty"], "memo_mismatches"), 0, "{name}");
        std::fs::remove_file(&dump).expect("the dump is ours");
    }
    println!("slowest dump: {slowest:?}");
    finish(child);
}

/// A handler that needs more stack than there is ends the program: alternative stacks are small.
#[test]
fn a_signal_is_taken_on_a_small_stack() {
    let scratch = Scratch::new("small-stack");
    let program = example("victim_small_stack", "release");
    let output =
        run(command(&program, &scratch).env("MAPGROW_OUT", scratch.path("dump-%n.mapgrow")));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "10000\n");
    assert_eq!(dumps(&scratch).len(), 4, "three signals and the end");
    let scratch = Scratch::new("small-stack-exit");
    let output = run(command(&program, &scratch)
        .arg("exit")
        .env("MAPGROW_OUT", scratch.path("dump-%n.mapgrow")));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "10000\n");
    assert_eq!(dumps(&scratch).len(), 1, "the end");
}

/// Signals faster than dumps: some coincide, none is stuck, all dumps open.
#[test]
fn a_burst_of_signals_is_survived() {
    let scratch = Scratch::new("burst");
    let child = start_busy(&scratch, "release");
    for _ in 0..50 {
        send(&child, libc::SIGUSR1);
        std::thread::sleep(Duration::from_micros(300));
    }
    finish(child);
    let names = dumps(&scratch);
    // One at the exit, and one at least for the burst.
    assert!(names.len() >= 2, "{names:?}");
    for name in names {
        report(&scratch.path(&name));
    }
}

#[test]
fn a_program_that_owns_the_signal_keeps_it() {
    let program = example("victim_owns_signal", "dev");
    for (argument, said) in [("handle", "caught 3"), ("ignore", "caught 0")] {
        let scratch = Scratch::new(&format!("owned-{argument}"));
        let output = run(command(&program, &scratch)
            .arg(argument)
            .env("MAPGROW_OUT", scratch.path("dump-%n.mapgrow")));
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout, format!("{said} with 10000 entries\n"));
        let names = dumps(&scratch);
        assert_eq!(names.len(), 1, "only the dump at exit: {names:?}");
    }
}

/// A signal that the parent had ignored for the program (as `nohup` does) stays ignored.
#[test]
fn an_ignored_signal_stays_ignored() {
    let program = example("victim_ends", "dev");
    let scratch = Scratch::new("ignored");
    let script = format!("trap '' USR1; exec {} return", program.display());
    run(command("/bin/sh".as_ref(), &scratch).args(["-c", &script]));
    let report = report(&scratch.path("out.mapgrow"));
    assert!(
        report["settings"]["signal"].is_null(),
        "{:#}",
        report["settings"]
    );
}

/// `MAPGROW_SIGNAL=none` leaves the signal with its default: it ends the program.
#[test]
fn no_signal_is_taken_when_none_is_wanted() {
    use std::os::unix::process::ExitStatusExt;
    let scratch = Scratch::new("no-signal");
    let program = example("victim_busy", "dev");
    let mut child = command(&program, &scratch)
        .env("MAPGROW_SIGNAL", "none")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = [0; 6];
    let stdout = child.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut line).expect("it gets ready");
    send(&child, libc::SIGUSR1);
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(libc::SIGUSR1));
}
