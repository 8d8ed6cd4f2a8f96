"""`mapgrow report` on heap profiles of a Go program with three maps and a slice that grow, one of
the maps emptied and kept: with both implementations of Go's maps, from the binary, without its
symbols, from the running service, and from the sources alone. Run by tests/go.sh."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MAPGROW = Path("target/debug/mapgrow").resolve()
SOURCE = Path("tests/go").resolve()
GO = os.environ["GO"]
OLDER = Path(os.environ["OLDER_GOROOT"])
TABLES = {"counts": 300_000 * 16, "names": 200_000 * 24, "sessions": 200_000 * 24}


def lines():
    """Line by what grows there, as the comments say."""
    text = (SOURCE / "main.go").read_text().splitlines()
    return {line.split("// grows ")[1]: number
            for number, line in enumerate(text, 1) if "// grows " in line}


def run(*command, **more):
    more.setdefault("check", True)
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **more)


def report(*arguments):
    return json.loads(run(MAPGROW, "report", "--json", *arguments).stdout)


def check(what, told, kept_known=True, types=True):
    sites = {}
    for site in told["sites"]:
        if (site["caller"]["file"] or "").endswith("main.go"):
            sites.setdefault(site["caller"]["line"], site)
    at = lines()
    for name in ["sessions", "counts", "names"]:
        site = sites[at[name]]
        assert site["family"] == "go_map", (what, name, site["family"])
        assert site["exact"] is False and site["sampled"]["samples"] > 10, (what, name)
        # Tables are between full and half empty, some of them just outgrown.
        least = TABLES[name]
        assert least * 0.8 < site["live_bytes"] < least * 3.5, (what, name, site["live_bytes"])
        assert site["allocated_bytes"] > site["live_bytes"] * 1.3, (what, name)
        kept = name == "sessions" and kept_known
        assert bool(site["retained_bytes"]) == kept, (what, name, site["retained_bytes"])
        advised = any("emptied and kept" in advice for advice in site["advice"])
        assert advised == kept, (what, name, site["advice"])
    if types:
        types = [sites[at[name]]["type_name"] for name in ["sessions", "counts", "names"]]
        assert types == ["map[string]*main.session", "map[uint64]uint64", "map[int]string"], types
    log = sites[at["log"]]
    assert log["family"] == "go_slice", (what, log["family"])
    assert 4_000_000 <= log["live_bytes"] < 6_000_000, (what, log["live_bytes"])
    share = told["totals"]["map_share"]
    assert 0.5 < share <= 1, (what, share)
    assert told["profile"]["language"] == "go" and told["profile"]["period_bytes"] == 65536
    print(f"{what}: all lines named, {'the emptied map called kept' if kept_known else 'in use'}")
    return sites, at


def build(directory, name, *flags, **more):
    program = directory / name
    run(more.pop("go", GO), "build", *flags, "-o", program, ".", cwd=SOURCE, **more)
    profile = directory / f"{name}.pb.gz"
    run(program, profile)
    return program, profile


def check_service(directory, program):
    """From the URL, without the binary; then in a series of profiles."""
    service = subprocess.Popen([program, "-serve", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://{service.stdout.readline().strip()}/debug/pprof/heap"

        def step():
            service.stdin.write("x")
            service.stdin.flush()
            return service.stdout.readline()

        program.rename(directory / "moved")
        assert step().startswith("0 ")
        told = report(url)
        sites, at = check("from the running service", told, types=False)
        assert {site["known_by"] for site in sites.values()} == {"symbol"}
        assert told["profile"]["map_runtime"] == "swiss"
        # To a file: nobody empties a pipe while the service grows.
        watched = directory / "watched.json"
        with watched.open("w") as file:
            watch = subprocess.Popen(
                [MAPGROW, "report", "--json", "--watch", url, "--every", "500ms", "--for", "8s"],
                stdout=file)
        # Grow until the watch has ended: whenever it looks, something has happened.
        while watch.poll() is None:
            step()
        told = json.loads(watched.read_text())
        assert told["profile"]["profiles"] > 3, told["profile"]
        grown = [event for event in told["timeline"] if event["kind"] == "grow"]
        names = {site["id"]: site["caller"]["line"] for site in told["sites"]}
        assert at["names"] in {names[event["site"]] for event in grown}, grown
        times = [event["t_ns"] for event in told["timeline"]]
        assert times == sorted(times)
        print(f"watched: {told['profile']['profiles']} profiles, {len(grown)} times grown")
    finally:
        service.stdin.close()
        service.wait(timeout=30)


def check_diff_and_gate(directory, profile):
    """The verbs beside `report` take profiles as they take recordings."""
    plain = directory / "plain.pb"
    import gzip
    plain.write_bytes(gzip.decompress(profile.read_bytes()))
    check("not packed", report(plain))
    same = run(MAPGROW, "diff", profile, plain, check=False)
    assert same.returncode == 0 and "main.go" not in same.stdout, same.stdout
    gate = run(MAPGROW, "check", profile, "--max-retained", "1MiB", check=False)
    assert gate.returncode == 1 and f"main.go:{lines()['sessions']}" in gate.stdout, gate.stdout
    page = directory / "page.html"
    run(MAPGROW, "html", profile, "-o", page)
    assert "map[string]*main.session" in page.read_text()


def main():
    os.environ["GOTOOLCHAIN"] = "local"
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        program, profile = build(directory, "swiss")
        told = report(profile)
        check("Swiss maps", told)
        assert told["profile"]["map_runtime"] == "swiss"
        text = run(MAPGROW, "report", profile).stdout
        assert "was probably emptied and kept" in text, text
        check_diff_and_gate(directory, profile)
        check_service(directory, program)

        older = dict(os.environ, GOROOT=str(OLDER), GOEXPERIMENT="noswissmap")
        _, profile = build(directory, "buckets", go=OLDER / "bin/go", env=older)
        told = report(profile)
        sites, at = check("maps of buckets", told)
        assert told["profile"]["map_runtime"] == "buckets"
        # All of the old array beside all of the new.
        counts = sites[at["counts"]]
        assert counts["overlap_peak_bytes"] > counts["live_bytes"], counts["overlap_peak_bytes"]

        # No symbols, but the sources are there.
        _, profile = build(directory, "stripped", "-ldflags=-s -w")
        told = report(profile)
        sites, _ = check("stripped", told, types=False)
        assert {site["known_by"] for site in sites.values()} == {"source"}
        run(GO, "run", ".", directory / "run.pb.gz", cwd=SOURCE)
        check("go run", report(directory / "run.pb.gz"), types=False)
        # Nothing but the profile: lines that grew are no longer told from others, and that is said.
        _, profile = build(directory, "blind", "-trimpath", "-ldflags=-s -w")
        told = report(profile)
        assert any("--binary" in note for note in told["honesty"]["notes"]), told["honesty"]
        families = {site["family"] for site in told["sites"]}
        assert "go_map" not in families, families
        # A copy of the binary tells.
        program, profile = build(directory, "copied", "-trimpath")
        copy = directory / "copy"
        shutil.move(program, copy)
        check("a copy of the binary", report(profile, "--binary", copy))


sys.exit(main())
