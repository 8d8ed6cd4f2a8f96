//! Threads that hand containers to each other: every count is exact, whoever frees what, and the
//! laws of conservation hold in the dump.
//!
//! `CONSERVE_OPERATIONS` in all (default: small), over `CONSERVE_SEEDS` seeds and 1 to 16 threads.

mod support;

use mapgrow::report::laws::{Finding, Law, Outcome, verify};
use mapgrow::report::symbols::{Frame, Module, Symbolizer};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{Scratch, command, example};

/// Programs that run at once: more than there are processors, so that threads are stopped
/// anywhere.
const AT_ONCE: usize = 6;

/// Knows no names: the laws do not need them.
struct Nameless;

impl Symbolizer for Nameless {
    fn frames(&mut self, _: &Module, _: u64) -> Vec<Frame> {
        Vec::new()
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(default)
}

/// Runs the program with one seed. What it found off, and which laws its dump breaks.
fn conserve(program: &Path, seed: u64, operations: u64, threads: u64) -> Vec<String> {
    let scratch = Scratch::new(&format!("conserve-{seed}"));
    let output = command(program, &scratch)
        .env("MAPGROW", "exact")
        .args([seed, operations, threads].map(|number| number.to_string()))
        .output()
        .expect("the program starts");
    let mut off = Vec::new();
    if !output.status.success() {
        off.push(String::from_utf8_lossy(&output.stdout).into_owned());
        off.push(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    match std::fs::read(scratch.path("out.mapgrow")) {
        Ok(bytes) => off.extend(laws(bytes)),
        Err(error) => off.push(format!("no dump: {error}")),
    }
    off
}

/// The laws that a dump breaks or cannot answer, all threads but one having ended.
fn laws(bytes: Vec<u8>) -> Vec<String> {
    let recording = match mapgrow_format::reader::Recording::parse(bytes) {
        Ok(recording) => recording,
        Err(error) => return vec![error.to_string()],
    };
    let findings = verify(&recording, &mut Nameless, None);
    let wrong = |finding: &&Finding| match finding.law {
        // The rings keep the newest; nothing is sampled.
        Law::Events => finding.outcome == Outcome::Broken,
        Law::Samples => finding.outcome != Outcome::NotApplicable,
        _ => finding.outcome != Outcome::Holds,
    };
    let wrong = findings.iter().filter(wrong);
    wrong.map(|finding| format!("{finding:?}")).collect()
}

#[test]
fn what_threads_hand_to_each_other_is_counted_exactly() {
    let operations = setting("CONSERVE_OPERATIONS", 600_000);
    let seeds = setting("CONSERVE_SEEDS", 12);
    let profile = if operations > 10_000_000 {
        "release"
    } else {
        "dev"
    };
    let program = example("victim_conserve", profile);
    let (next, off) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    // One thread beside many, so that programs of few threads are stopped too.
                    let threads = 1 + seed * 5 % 16;
                    let found = conserve(&program, seed, operations / seeds, threads);
                    let mut off = off.lock().expect("nobody panics");
                    off.extend(found.into_iter().map(|text| format!("seed {seed}: {text}")));
                }
            });
        }
    });
    let off = off.into_inner().expect("nobody panics");
    assert!(off.is_empty(), "{}", off.join("\n"));
    println!("{operations} operations over {seeds} seeds and 1 to 16 threads: nothing is off");
}
