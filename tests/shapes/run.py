#!/usr/bin/env python3
"""Twelve shapes of program, each with its own account, against the first block of their reports.

    tests/shapes/run.py [MAPGROW] [NAME...]

Every program prints what is true of the map that a person would ask about: how many entries it has
and how many bytes; the line that makes it grow is marked HERE. The first block of the report must
be that map, at that line, with those figures, exact or within three of the errors that it states.
Then the program is run again with its cure (its size from the start, or shrunk), which must be among
the suggestions of the report, and what was promised must be what is saved, within 15 %.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
TOLERANCE = 0.15
# What `cured` does in a program; the others are given their size from the start.
SHRINKS = {name: "shrink" for name in ("expired.py", "index.cpp", "sessions.rs")}
SAMPLE_BYTES = 512 << 10
BUILD = {
    ".rs": ["rustc", "-O", "-g", "--edition=2024", "-o"],
    ".cpp": ["g++", "-O2", "-g", "-o"],
    ".c": ["gcc", "-O2", "-g", "-o"],
}


def command(source, directory):
    """Builds a program, if it has to be; how it is started."""
    if source.suffix == ".py":
        return [sys.executable, str(source)]
    binary = directory / source.stem
    subprocess.run([*BUILD[source.suffix], str(binary), str(source)], check=True)
    return [str(binary)]


def look(mapgrow, program, arguments):
    """Runs a program until it has said all, and asks for its report then."""
    with subprocess.Popen(
        [mapgrow, "run", "--quiet", "--", *program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        account = {}
        for line in running.stdout:
            name, figure = line.split()
            account[name] = int(figure)
            if name == "ready":
                break
        report = subprocess.run(
            [mapgrow, "report", str(account["ready"]), "--json"],
            check=True,
            capture_output=True,
            text=True,
        )
        running.stdin.close()
    return account, json.loads(report.stdout)


def held(block):
    """Live bytes and their standard error."""
    sampled = block.get("sampled")
    if sampled and sampled["est_live_bytes"] > block["live_bytes"]:
        return sampled["est_live_bytes"], sampled["est_live_bytes_error"]
    return block["live_bytes"], 0


def figures(report, block):
    """What a cure may make less of."""
    return {
        "resizes": report["totals"]["resizes"],
        "copied_bytes": report["totals"]["copied_bytes"],
        "overlap_bytes": block["overlap_peak_bytes"] or 0,
        "live_bytes": block["live_bytes"],
    }


def of_line(report, line):
    """The block of a place, if there is one."""
    for block in report["blocks"]:
        if (block["caller"] or {}).get("line") == line:
            return block
    return {"overlap_peak_bytes": 0, "live_bytes": 0}


def check(mapgrow, source, directory):
    """What is wrong with the answers on a program; what was promised and came true."""
    lines = source.read_text().splitlines()
    line = next(at for at, text in enumerate(lines, 1) if "HERE" in text)
    program = command(source, directory)
    account, report = look(mapgrow, program, [])
    first = report["blocks"][0]
    wrong, kept = [], []
    place = first["caller"] or {}
    if place.get("line") != line or not str(place.get("file")).endswith(source.name):
        wrong.append(f"the first block is at {place.get('file')}:{place.get('line')}, not {line}")
        first = of_line(report, line)
    value, error = held(first)
    # Nodes are sampled, one in so many bytes; where none of them was met, no error is known.
    unmet = math.sqrt(account.get("nodes", 0) * SAMPLE_BYTES)
    if abs(value - account["bytes"]) > 3 * max(error, unmet):
        wrong.append(f"holds {value} +- {error}, truly {account['bytes']}")
    entries = first.get("entries")
    if "entries" in account and entries != account["entries"]:
        wrong.append(f"{entries} entries, truly {account['entries']}")
    can_be_cured = any("cured" in text for text in lines)
    kind = SHRINKS.get(source.name, "presize")
    cures = [one for one in first.get("suggestions", []) if one["kind"] == kind]
    promised = cures[0] if can_be_cured and cures else None
    if can_be_cured and not promised:
        wrong.append(f"nothing is said of what it would save to {kind} it")
    if promised:
        _, after = look(mapgrow, program, ["cured"])
        before, after = figures(report, first), figures(after, of_line(after, line))
        for what, saving in promised["saves"].items():
            if saving and what in before:
                saved = before[what] - after[what]
                told = f"{what} {saving}, saved {saved}"
                within = abs(saved - saving) <= TOLERANCE * saving
                (kept if within else wrong).append(told)
    return wrong, kept


def main():
    """Prints a line for each program; 1 if an answer was wrong."""
    arguments = sys.argv[1:]
    mapgrow = "target/release/mapgrow"
    if arguments and os.access(arguments[0], os.X_OK):
        mapgrow = arguments.pop(0)
    sources = sorted(path for path in HERE.iterdir() if path.suffix in {".rs", ".cpp", ".c", ".py"})
    sources = [path for path in sources if path.name != "run.py"]
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        for source in sources:
            if arguments and source.stem not in arguments:
                continue
            wrong, kept = check(mapgrow, source, pathlib.Path(directory))
            failed |= bool(wrong)
            print(f"{source.name:12} {'WRONG' if wrong else 'right'}", *wrong, *kept, sep="; ")
    sys.exit(failed)


if __name__ == "__main__":
    main()
