#!/usr/bin/env python3
"""DuckDB answers "which place holds most across 50 processes" from exported files.

Runs a program 50 times under `mapgrow run`, each with maps of other sizes of which some are emptied
and kept, saves a report of each while it runs (which is when what maps hold can be read), exports all, and compares DuckDB's answer with the
reports. What maps retain is null here: under the preload library their alignment is not known. Needs cargo, rustc, and `pip install duckdb`; takes about a minute.
"""

import json
import os
import subprocess
import sys
import tempfile

try:
    import duckdb
except ImportError:
    print("skipped: duckdb is missing (pip install duckdb)")
    sys.exit(0)

PROCESSES = 50
PROGRAM = """
use std::collections::HashMap;
use std::io::Read;
#[inline(never)]
fn sessions(entries: u64) -> HashMap<u64, [u64; 8]> {
    let mut map = HashMap::new();
    for n in 0..entries { map.insert(n, [n; 8]); }
    map
}
#[inline(never)]
fn index(entries: u64) -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    for n in 0..entries { map.insert(n, n); }
    map
}
fn main() {
    let number: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut emptied = sessions(1000 * number);
    let kept = index(100 * number);
    if number % 5 == 0 { emptied.retain(|n, _| n % 100 == 0); }
    println!("{} {}", emptied.len(), kept.len());
    let _ = std::io::stdin().read(&mut [0]);
}
"""


def main() -> None:
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    subprocess.run(["cargo", "build", "--quiet", "-p", "mapgrow-cli"], cwd=root, check=True)
    mapgrow = os.path.join(root, "target/debug/mapgrow")
    with tempfile.TemporaryDirectory() as work:
        env = dict(os.environ, XDG_RUNTIME_DIR=work, XDG_STATE_HOME=work, MAPGROW_DIR=work)
        source = os.path.join(work, "worker.rs")
        with open(source, "w") as file:
            file.write(PROGRAM)
        binary = os.path.join(work, "worker")
        flags = ["--edition", "2024", "-O", "-C", "debuginfo=line-tables-only"]
        subprocess.run(["rustc", *flags, "-o", binary, source], check=True)
        reports = [save(mapgrow, binary, number, work, env) for number in range(1, PROCESSES + 1)]
        fleet = os.path.join(work, "fleet")
        subprocess.run([mapgrow, "export", *reports, "-o", fleet], env=env, check=True,
                       stdout=subprocess.DEVNULL)
        answer = duckdb.sql(f"""
            select function, count(*) as processes, sum(live_bytes)::bigint as held,
                   sum(retained_bytes) as retained
            from '{fleet}/sites.parquet' where family = 'hashbrown'
            group by function order by held desc""")
        print(answer)
        function, processes, held, _ = answer.fetchall()[0]
        assert function.endswith("::sessions"), function
        assert processes == PROCESSES, processes
        expected = sum(live_bytes(path) for path in reports)
        assert held == expected, (held, expected)
        counted = duckdb.sql(f"select count(distinct recording_id) from '{fleet}/processes.parquet'")
        assert counted.fetchall() == [(PROCESSES,)]
    print("passed")


def live_bytes(path: str) -> int:
    """What the largest place of a saved report holds."""
    with open(path) as file:
        return max(site["live_bytes"] for site in json.load(file)["sites"])


def save(mapgrow: str, binary: str, number: int, work: str, env: dict) -> str:
    """Runs the program, and saves a report when its maps are as they will stay."""
    child = subprocess.Popen([mapgrow, "run", "--quiet", "--", binary, str(number)], env=env,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child.stdout.readline()
    listed = subprocess.run(["pgrep", "-P", str(child.pid)], capture_output=True, text=True)
    pid = listed.stdout.split()[0]
    path = os.path.join(work, f"worker-{number}.json")
    with open(path, "w") as file:
        subprocess.run([mapgrow, "report", pid, "--json"], env=env, check=True, stdout=file)
    child.communicate("x")
    return path


if __name__ == "__main__":
    main()
