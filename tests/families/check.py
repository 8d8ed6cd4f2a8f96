#!/usr/bin/env python3
"""Compares what a victim told of its containers with what the report says of them.

    check.py NAME VICTIM [ARGUMENT...]      prints a table's rows; COMMAND: the command

A shape is the function that fills a container; its sites are those of which it is the caller.
Exact: grows, shrinks, tables, bytes allocated, live bytes and the largest old and new table side
by side are what the victim told. Otherwise the row says what differs.
"""
import json
import os
import subprocess
import sys
import tempfile

COMMAND = os.environ.get("COMMAND", "target/release/mapgrow")


def main():
    name, victim = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="families-") as directory:
        path = os.path.join(directory, "report.json")
        run = [COMMAND, "run", "--exact", "--json", "--report", path, "--"]
        environment = {**os.environ, "MAPGROW_BUDGET": "0"}
        done = subprocess.run(run + victim, stdout=subprocess.PIPE, env=environment, check=True)
        report = json.load(open(path))
    shapes = {}
    for told in json.loads(done.stdout):
        shapes.setdefault((told["shape"], told["family"]), []).append(told)
    failed = False
    for (shape, family), told in shapes.items():
        known, found = differences(report, shape, family, told)
        sizes = [size for one in told for size in one["tables"]]
        verdict = "exact" if not found else "; ".join(found)
        print(f"| {name} | `{shape}` | {len(sizes)} | {sum(sizes):,} | {known} | {verdict} |")
        failed |= bool(found)
    sys.exit(failed)


def differences(report, shape, family, told):
    """How the family is known, and one phrase for each figure that differs."""
    called = [site for site in report["sites"] if shape == name_of(site)]
    of_family = [site for site in called if site["family"] == family]
    sites = of_family or [site for site in called if site["family"] == "unknown_container"]
    if not sites:
        families = sorted({site["family"] for site in called})
        return "not found", [f"no site of {family} called by {shape}, but {families}"]
    known = " and ".join(sorted({f"{site['family']} by {site['known_by']}" for site in sites}))
    nodes = any(one.get("nodes") for one in told)
    truth = {"allocs": 0, "allocated_bytes": 0, "live_bytes": 0}
    if not nodes:
        truth.update(grows=0, shrinks=0)
    overlap = 0
    for one in told:
        tables = one["tables"]
        own = tables[1:] if one.get("born_elsewhere") else tables
        truth["allocs"] += len(own)
        truth["allocated_bytes"] += sum(own)
        truth["live_bytes"] += one["live"]
        if not nodes:
            steps = list(zip(tables, tables[1:]))
            truth["grows"] += sum(new > old for old, new in steps)
            truth["shrinks"] += sum(new < old for old, new in steps)
            in_place = one.get("in_place", [0] * len(tables))[1:]
            moved = [old + new for (old, new), stayed in zip(steps, in_place) if not stayed]
            overlap = max([overlap] + moved)
    found = []
    for figure, value in truth.items():
        shown = sum(site[figure] or 0 for site in sites)
        if shown != value:
            found.append(f"{figure} {shown:,} of {value:,}")
    shown = max(site["overlap_peak_bytes"] or 0 for site in sites)
    if not nodes and shown != overlap:
        found.append(f"overlap {shown:,} of {overlap:,}")
    return known, found


def name_of(site):
    """The caller's name without parameters."""
    function = (site["caller"] or {}).get("function", "")
    return function.split("(")[0].split(" ")[-1]


if __name__ == "__main__":
    main()
