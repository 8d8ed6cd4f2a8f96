//! `kill -9` at a random moment: what was recorded can be read, and adds up.

mod support;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;
use support::{Scratch, array, command, example, number, report};

const THREADS: u64 = 8;

/// `KILLS=50` for the long run.
fn kills() -> u64 {
    let asked = std::env::var("KILLS").ok();
    asked.map_or(5, |n| n.parse().expect("KILLS is a number"))
}

#[test]
fn a_killed_process_leaves_a_recording_that_adds_up() {
    let program = example("victim_busy", "release");
    for n in 0..kills() {
        let mode = if n % 2 == 0 { "on" } else { "exact" };
        let scratch = Scratch::new(&format!("killed-{n}"));
        // A process with one thread counts without the bus lock.
        let (threads, alone) = if n / 2 % 2 == 0 {
            (THREADS, None)
        } else {
            (1, Some("alone"))
        };
        let mut child = command(&program, &scratch)
            .args(alone)
            .env("MAPGROW", mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = [0; 6];
        let stdout = child.stdout.as_mut().expect("a pipe");
        stdout.read_exact(&mut line).expect("it gets ready");
        let moment = RandomState::new().hash_one(n) % 300_000;
        std::thread::sleep(Duration::from_micros(moment));
        child.kill().expect("it can be killed");
        child.wait().expect("it is dead");

        let left = Scratch::list(&scratch.recordings());
        assert_eq!(left.len(), 1, "after {moment} us: {left:?}");
        let report = report(&scratch.recordings().join(&left[0]));
        assert_eq!(report["process"]["state"], "killed");
        let sites = array(&report, "sites");
        assert!(sites.iter().any(|site| number(site, "allocs") > 100));

        // A thread is caught in at most one call: an old block and a new one.
        let largest = sites.iter().map(|s| number(s, "largest_table_bytes")).max();
        let in_flight = threads * 2 * largest.unwrap_or(0);
        let honesty = &report["honesty"];
        let difference = honesty["conservation_difference_bytes"]
            .as_i64()
            .expect("a number");
        assert!(
            difference.unsigned_abs() <= in_flight,
            "killed after {moment} us ({mode}): {difference} bytes missing, {in_flight} in flight"
        );
        assert!(
            number(honesty, "records_unreadable") <= threads,
            "killed after {moment} us ({mode}): {honesty:#}"
        );
    }
}
