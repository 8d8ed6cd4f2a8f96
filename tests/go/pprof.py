"""Go's pprof opens what `mapgrow pprof` writes, without a warning, and has the figures of
`mapgrow report --json`. Run by tests/go.sh."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

TARGET = Path("target/debug").resolve()
MAPGROW = TARGET / "mapgrow"
GO = os.environ["GO"]


def whole(site, field):
    """A figure with what samples stand for."""
    estimate = (site["sampled"] or {}).get(f"est_{field}")
    return site[field] or 0 if estimate is None else max(round(estimate), 0)


FIGURES = {
    "live_bytes": lambda site: whole(site, "live_bytes"),
    "alloc_bytes": lambda site: whole(site, "allocated_bytes"),
    # The victim's tables are counted one by one.
    "resizes": lambda site: site["resizes"] or 0,
    "overlap_bytes": lambda site: site["overlap_peak_bytes"] or 0,
    "pause_ns": lambda site: (site["pause_ns"] or {}).get("total") or 0,
}
UNITS = {"resizes": "count", "pause_ns": "ns"}


def pprof(*arguments):
    """Output of `go tool pprof`; whatever it says on standard error is a warning."""
    done = subprocess.run(
        [GO, "tool", "pprof", "-symbolize=none", *map(str, arguments)],
        capture_output=True, text=True, check=True,
    )
    assert not done.stderr.strip(), done.stderr
    return done.stdout


def top(profile, kind, *more):
    """Flat figures by function."""
    unit = UNITS.get(kind, "B")
    text = pprof("-top", "-nodecount=100000", "-nodefraction=0", f"-sample_index={kind}",
                 f"-unit={unit}", *more, profile)
    header, rows = text.split("flat%   sum%        cum   cum%\n")
    assert f"Type: {kind}" in header, header
    flat = Counter()
    for row in rows.splitlines():
        figure, *_, name = re.split(r"\s+", row.strip(), maxsplit=5)
        number = re.match(r"-?[\d.]+", figure)
        flat[name.removesuffix(" (inline)")] += float(number[0])
    return flat


def leaf(site):
    """The function that the container grows in: stacks begin with it."""
    caller = site["caller"] or {}
    for frame in site["stack"]:
        if (frame["function"], frame["line"]) == (caller.get("function"), caller.get("line")):
            return frame["function"]
    return site["stack"][0]["function"] if site["stack"] else None


def expected(report, kind):
    flat = Counter()
    for site in report["sites"]:
        flat[leaf(site)] += FIGURES[kind](site)
    return flat


def compare(found, wanted, what):
    names = {name for name, figure in wanted.items() if figure} | set(found)
    for name in names:
        # pprof prints large counts with three digits, bytes and ns in full.
        assert abs(found[name] - wanted[name]) <= abs(wanted[name]) * 0.005, (
            what, name, found[name], wanted[name])
    return sum(wanted.values())


def record(directory, name, steps):
    """A dump of the victim while it lives, `steps` of its maps grown, as a report and a profile."""
    dump = directory / f"{name}.mapgrow"
    environment = dict(os.environ, MAPGROW="on", MAPGROW_DIR=str(directory))
    victim = subprocess.Popen([TARGET / "examples/cli_victim"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, env=environment)
    try:
        victim.stdout.readline()
        for _ in range(steps):
            victim.stdin.write("x")
            victim.stdin.flush()
            victim.stdout.readline()
        subprocess.run([MAPGROW, "dump", str(victim.pid), "-o", dump], env=environment,
                       stdout=subprocess.DEVNULL, check=True)
    finally:
        victim.stdin.close()
        victim.wait(timeout=60)
    report = json.loads(subprocess.check_output([MAPGROW, "report", "--json", dump]))
    assert report["totals"]["live_bytes"] > 0 or steps == 0
    profile = directory / f"{name}.pb.gz"
    subprocess.run([MAPGROW, "pprof", dump, "-o", profile], check=True)
    return dump, report, profile


def check_pages(profile, function):
    """`-http`, its pages fetched."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [GO, "tool", "pprof", "-symbolize=none", f"-http=127.0.0.1:{port}", "-no_browser",
         str(profile)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for page in ["top", "flamegraph", "peek"]:
            for attempt in range(100):
                try:
                    url = f"http://127.0.0.1:{port}/ui/{page}?si=alloc_bytes"
                    text = urllib.request.urlopen(url, timeout=30).read().decode()
                    break
                except OSError:
                    time.sleep(0.2)
            else:
                raise AssertionError(f"no page {page}")
            assert function in text, (page, function)
    finally:
        server.terminate()
        said = server.communicate()[1]
    said = [line for line in said.splitlines() if line and "signal: terminated" not in line]
    assert len(said) == 1 and said[0].startswith("Serving web UI"), said


def main():
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        _, old_report, old = record(directory, "old", 1)
        dump, report, profile = record(directory, "new", 3)
        for kind in FIGURES:
            total = compare(top(profile, kind), expected(report, kind), kind)
            print(f"{kind}: {total} in pprof and in the report")
            difference = expected(report, kind)
            difference.subtract(expected(old_report, kind))
            difference = Counter({name: figure for name, figure in difference.items() if figure})
            compare(top(profile, kind, f"-diff_base={old}"), difference, f"{kind}, difference")
        grown = max(report["sites"], key=lambda site: site["resizes"] or 0)
        caller = grown["caller"]["function"]
        place = re.escape(caller.split("::")[-1])
        peek = pprof(f"-peek={place}", "-sample_index=resizes", profile)
        assert caller in peek, peek
        raw = pprof("-raw", profile)
        assert re.search(r"family:\[hashbrown\]", raw) and "thread:[" in raw and "map:[" in raw
        program = [module for module in report["modules"] if module["path"].endswith("cli_victim")]
        mappings = raw.split("Mappings\n")[1]
        first = mappings.splitlines()[0]
        assert program[0]["build_id"] in first and "[FN]" in first, first
        check_pages(profile, caller.split("::")[-1])
        heap = directory / "heap.pb.gz"
        subprocess.run([MAPGROW, "pprof", dump, "--heap", "-o", heap], check=True,
                       stderr=subprocess.DEVNULL)
        assert "Type: inuse_space" in pprof("-top", heap)
        # What was written can be read back.
        text = subprocess.check_output([MAPGROW, "report", heap], text=True)
        assert "heap profile" in text, text
    print("go tool pprof: -top, -peek, -raw, -diff_base, -http agree with the report")


sys.exit(main())
