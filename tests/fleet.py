#!/usr/bin/env python3
"""DuckDB answers "which site retained most across 50 processes" from exported files.

Runs a program with MapGrow as its allocator 50 times. In each run maps grow at four lines to sizes
of their own, and one of them, by turns but not evenly, is emptied and kept. The program writes a
dump and then tells the truth: what a counting allocator beneath MapGrow gets back when each map
shrinks to what it holds. All dumps are exported to Parquet, and DuckDB's answer is compared with
the sums of what the programs told. Needs cargo and `pip install duckdb`.
"""

import collections
import os
import subprocess
import sys
import tempfile
import time

try:
    import duckdb
except ImportError:
    sys.exit("duckdb is missing: pip install duckdb")

PROCESSES = 50
PROGRAM = """
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the bytes that are live.
struct Counting;
static LIVE: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOC: mapgrow::MapGrow<Counting> = mapgrow::MapGrow::with_backend(Counting);

#[inline(never)]
fn sessions(entries: u64) -> HashMap<u64, [u64; 8]> {
    let mut map = HashMap::new();
    for n in 0..entries { map.insert(n, [n; 8]); }
    map
}
#[inline(never)]
fn routes(entries: u64) -> HashMap<u64, [u64; 4]> {
    let mut map = HashMap::new();
    for n in 0..entries { map.insert(n, [n; 4]); }
    map
}
#[inline(never)]
fn prices(entries: u64) -> HashMap<u64, [u64; 3]> {
    let mut map = HashMap::new();
    for n in 0..entries { map.insert(n, [n; 3]); }
    map
}
#[inline(never)]
fn counters(entries: u64) -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    for n in 0..entries { map.insert(n, n); }
    map
}

/// What `map` gives back when it shrinks to what it holds.
fn told<V>(name: &str, mut map: HashMap<u64, V>) {
    let before = LIVE.load(Ordering::Relaxed);
    map.shrink_to_fit();
    println!("{name} {}", before - LIVE.load(Ordering::Relaxed));
}

fn main() {
    let number: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let size = |step: u64| 3_000 + (number * step) % 40_000;
    let mut sessions = sessions(size(701));
    let mut routes = routes(size(1_301));
    let mut prices = prices(size(907));
    let mut counters = counters(size(2_003));
    match number % 7 {
        0 => sessions.retain(|n, _| n % 50 == 0),
        1 | 3 | 5 | 6 => routes.retain(|n, _| n % 50 == 0),
        2 => prices.retain(|n, _| n % 50 == 0),
        _ => counters.retain(|n, _| n % 50 == 0),
    }
    mapgrow::dump().expect("a dump");
    told("fleet::sessions", sessions);
    told("fleet::routes", routes);
    told("fleet::prices", prices);
    told("fleet::counters", counters);
}
"""
MANIFEST = """
[package]
name = "fleet"
version = "0.1.0"
edition = "2024"
[dependencies]
mapgrow = {{ path = "{root}", default-features = false }}
[profile.release]
debug = "line-tables-only"
[workspace]
"""
# As docs/export.md has it.
QUERY = """
select function, count(*) as processes, sum(live_bytes) as held, sum(retained_bytes) as retained
from 'fleet/sites.parquet' group by function order by retained desc;
"""


def main() -> None:
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    subprocess.run(["cargo", "build", "--quiet", "-p", "mapgrow-cli"], cwd=root, check=True)
    mapgrow = os.path.join(root, "target/debug/mapgrow")
    package = os.path.join(root, "target/fleet")
    os.makedirs(os.path.join(package, "src"), exist_ok=True)
    write(os.path.join(package, "Cargo.toml"), MANIFEST.format(root=root))
    write(os.path.join(package, "src/main.rs"), PROGRAM)
    subprocess.run(["cargo", "build", "--quiet", "--release"], cwd=package, check=True)
    program = os.path.join(package, "target/release/fleet")
    with tempfile.TemporaryDirectory() as work:
        truth = collections.Counter()
        dumps = []
        for number in range(1, PROCESSES + 1):
            dump = os.path.join(work, f"worker-{number}.mapgrow")
            env = dict(os.environ, MAPGROW_DIR=work, MAPGROW_OUT=dump, MAPGROW_AT_EXIT="none")
            told = subprocess.run([program, str(number)], env=env, check=True,
                                  stdout=subprocess.PIPE, text=True).stdout
            for line in told.splitlines():
                function, retained = line.split()
                truth[function] += int(retained)
            dumps.append(dump)
        started = time.monotonic()
        subprocess.run([mapgrow, "export", *dumps, "-o", os.path.join(work, "fleet")], check=True,
                       stdout=subprocess.DEVNULL)
        print(f"{PROCESSES} dumps exported in {time.monotonic() - started:.1f} s (debug build)")
        with open(os.path.join(root, "docs/export.md"), encoding="utf-8") as page:
            assert QUERY.strip() in page.read(), "docs/export.md has another query"
        os.chdir(work)
        answer = duckdb.sql(QUERY)
        print(answer)
        rows = {function: (count, retained) for function, count, _, retained in answer.fetchall()}
        for function, retained in truth.items():
            print(f"{function}: {retained} bytes given back, by the programs")
            assert rows[function] == (PROCESSES, retained), (function, rows[function], retained)
        first = answer.fetchall()[0][0]
        assert first == max(truth, key=truth.get), (first, truth)
        counted = duckdb.sql("select count(distinct recording_id) from 'fleet/processes.parquet'")
        assert counted.fetchall() == [(PROCESSES,)]
    print("passed")


def write(path: str, text: str) -> None:
    """Only where something changed: cargo looks at the time."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
