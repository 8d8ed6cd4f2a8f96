//! What recording costs: the same workload on bare jemalloc, with MapGrow, and with
//! `MAPGROW=exact`, as processes that take turns.
//!
//! ```text
//! cargo bench --bench overhead [-- --rounds N] [-- --scale N] [WORKLOAD...]
//! ```
//!
//! Machines differ and are noisy, so nothing here is an absolute figure: each round runs every
//! contender once, in an order that changes, and is judged against its own run of bare jemalloc.
//! A second bare run in each round shows what the noise alone amounts to. Wall time is what a
//! user feels; CPU time is less disturbed by what else the machine does.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Workload, and the ratios that are aimed at in default and in exact mode.
const WORKLOADS: [(&str, &str, &str); 4] = [
    ("eight-maps", "1.01", "-"),
    ("no-map", "1.02", "-"),
    ("small-maps", "1.05", "1.5"),
    ("service", "1.02", "-"),
];

const CONTENDERS: [&str; 4] = ["bare", "bare again", "default", "exact"];

struct Programs {
    bare: PathBuf,
    recorded: PathBuf,
}

#[derive(Clone, Copy)]
struct Time {
    wall: f64,
    cpu: f64,
}

impl Programs {
    fn run(&self, contender: &str, args: &[&str]) -> (Time, String) {
        let mut command = match contender {
            "default" => recorded(&self.recorded, "on"),
            "exact" => recorded(&self.recorded, "exact"),
            _ => Command::new(&self.bare),
        };
        let output = support::run(command.args(args));
        let text = String::from_utf8(output.stdout).expect("digits");
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [wall, cpu, sum] = fields[..] else {
            panic!("unexpected output: {text}");
        };
        let ns = |field: &str| field.parse().expect("nanoseconds");
        let time = Time {
            wall: ns(wall),
            cpu: ns(cpu),
        };
        (time, sum.to_owned())
    }
}

fn recorded(program: &Path, mode: &str) -> Command {
    let mut command = Command::new(program);
    command.env("MAPGROW", mode).env("MAPGROW_AT_EXIT", "none");
    command
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

/// Median ratios against the first contender: wall and CPU.
fn ratios(rounds: &[[Time; 4]], contender: usize) -> [f64; 2] {
    let of = |time: fn(&Time) -> f64| {
        let ratio = |round: &[Time; 4]| time(&round[contender]) / time(&round[0]);
        median(&mut rounds.iter().map(ratio).collect::<Vec<f64>>())
    };
    [of(|t| t.wall), of(|t| t.cpu)]
}

fn compare(programs: &Programs, workload: &str, args: &[&str], rounds: usize) -> Vec<[Time; 4]> {
    let mut times = Vec::new();
    for round in 0..=rounds {
        let mut row = [Time {
            wall: 0.0,
            cpu: 0.0,
        }; 4];
        let mut sums = Vec::new();
        for turn in 0..CONTENDERS.len() {
            let contender = (turn + round) % CONTENDERS.len();
            let (time, sum) = programs.run(CONTENDERS[contender], args);
            row[contender] = time;
            sums.push(sum);
        }
        sums.dedup();
        assert_eq!(sums.len(), 1, "{workload}: results differ: {sums:?}");
        // The first round warms the caches and the disk.
        if round > 0 {
            times.push(row);
        }
    }
    times
}

fn overhead(programs: &Programs, chosen: &[String], rounds: usize, scale: &str) {
    println!("ratio to bare jemalloc, median of {rounds} rounds: wall time (CPU time)");
    println!(
        "{:<12} {:>9} {:>17} {:>17} {:>17}   aim",
        "workload", "bare", "noise", "default", "exact"
    );
    for (workload, aim_default, aim_exact) in WORKLOADS {
        if !chosen.is_empty() && !chosen.iter().any(|name| name == workload) {
            continue;
        }
        let times = compare(programs, workload, &[workload, scale], rounds);
        let bare = median(&mut times.iter().map(|row| row[0].wall).collect::<Vec<_>>());
        let cell = |contender: usize| {
            let [wall, cpu] = ratios(&times, contender);
            format!("{wall:.3} ({cpu:.3})")
        };
        println!(
            "{workload:<12} {:>6.0} ms {:>17} {:>17} {:>17}   {aim_default} / {aim_exact}",
            bare / 1e6,
            cell(1),
            cell(2),
            cell(3)
        );
    }
}

/// What it costs to record a table from its allocation to its free, by depth of the stack.
fn recorded_pairs(programs: &Programs, rounds: usize) {
    const COUNT: u64 = 2_000_000;
    println!();
    println!("a recorded pair of alloc and free, above bare jemalloc (CPU time)");
    println!(
        "{:<12} {:>9} {:>17} {:>17} {:>17}",
        "frames", "bare", "noise", "default", "exact"
    );
    for depth in ["4", "16", "36", "66"] {
        let args = ["tables", &COUNT.to_string(), depth];
        let times = compare(programs, "tables", &args, rounds);
        let per_pair = |contender: usize| {
            let above = |row: &[Time; 4]| (row[contender].cpu - row[0].cpu) / COUNT as f64;
            let mut values: Vec<f64> = times.iter().map(above).collect();
            format!("{:+.1} ns", median(&mut values))
        };
        let bare = median(&mut times.iter().map(|row| row[0].cpu).collect::<Vec<_>>());
        println!(
            "{depth:<12} {:>6.1} ns {:>17} {:>17} {:>17}",
            bare / COUNT as f64,
            per_pair(1),
            per_pair(2),
            per_pair(3)
        );
    }
}

fn main() {
    let (mut rounds, mut scale, mut chosen) = (9, String::from("1"), Vec::new());
    // `cargo test --all-targets` starts benches too, without this flag: nothing to do then.
    let mut measure = false;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(rounds),
            "--scale" => scale = args.next().unwrap_or(scale),
            "--bench" => measure = true,
            _ => chosen.push(arg),
        }
    }
    if !measure {
        return;
    }
    let programs = Programs {
        bare: support::example("bench_bare", "release"),
        recorded: support::example("bench_recorded", "release"),
    };
    overhead(&programs, &chosen, rounds, &scale);
    if chosen.is_empty() || chosen.iter().any(|name| name == "tables") {
        recorded_pairs(&programs, rounds);
    }
}
