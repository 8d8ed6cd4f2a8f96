#!/usr/bin/env python3
"""Fills a Redis server under `mapgrow run` and compares the report with the server's own account.

    tests/redis_dicts.py [KEYS]          needs redis-server; KEYS: 5,000,000

Redis moves a dict's entries step by step: the new table is allocated by one command and the old
one freed by a later one, so both live for long. After every batch of commands the server is asked
for the number of slots of both tables (`MEMORY STATS`: `overhead.hashtable.main` is made of the
entries and the slots) and at the end for their sizes (`DEBUG HTSTATS`). Each expansion in the
report must have the sizes that the server told, and both tables must have lived side by side as
long as the server said so, within what a batch takes.

COMMAND: the command (default: target/release/mapgrow).
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMMAND = os.environ.get("COMMAND", os.path.join(HERE, "target/release/mapgrow"))
POINTER = 8
FLOOR = 1024


class Server:
    def __init__(self, directory, keys):
        self.report = os.path.join(directory, "report.json")
        path = os.path.join(directory, "socket")
        command = [COMMAND, "run", "--json", "--report", self.report, "--", "redis-server"]
        command += ["--port", "0", "--unixsocket", path, "--save", "", "--daemonize", "no"]
        command += ["--enable-debug-command", "yes", "--dir", directory]
        log = open(os.path.join(directory, "log"), "w")
        self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.file = self.socket.makefile("rb")

    def send(self, *commands):
        out = bytearray()
        for words in commands:
            out += b"*%d\r\n" % len(words)
            for word in words:
                word = word if isinstance(word, bytes) else str(word).encode()
                out += b"$%d\r\n%s\r\n" % (len(word), word)
        self.socket.sendall(out)

    def reply(self):
        line = self.file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2] if int(rest) >= 0 else None
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest

    def ask(self, *words):
        self.send(words)
        return self.reply()

    def slots(self, entry):
        """Slots of both tables of the keys' dict together."""
        stats = self.ask("MEMORY", "STATS")
        stats = dict(zip(stats[::2], stats[1::2]))
        database = stats[b"db.0"]
        overhead = dict(zip(database[::2], database[1::2]))[b"overhead.hashtable.main"]
        keys = self.ask("DBSIZE")
        return (overhead - keys * entry) // POINTER

    def tables(self):
        """Slots of each table of the keys' dict, as `DEBUG HTSTATS` tells them."""
        text = self.ask("DEBUG", "HTSTATS", 0).decode().split("[Expires HT]")[0]
        return [int(size) for size in re.findall(r"table size: (\d+)", text)]


def main():
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    with tempfile.TemporaryDirectory(prefix="redis-dicts-") as directory:
        server = Server(directory, keys)
        told, entry = fill(server, keys)
        final = server.tables()
        server.send(("SHUTDOWN", "NOSAVE"))
        status = server.process.wait()
        report = json.load(open(server.report))
    problems = compare(report, told, final)
    if status != 0:
        problems.append(f"the server ended with status {status}")
    for problem in problems:
        print("DIFFERENT", problem)
    sys.exit(bool(problems))


def fill(server, keys, batch=2000):
    """What the server told: (before, after, slots) for each batch, in seconds since the epoch."""
    # What `overhead.hashtable.main` counts for each entry depends on the version.
    server.ask("SET", "first", "v")
    entry = server.slots(0) * POINTER - server.tables()[0] * POINTER
    told = []
    done = 1
    while done < keys:
        before = time.time()
        commands = [("SET", f"key:{number}", "v") for number in range(done, min(done + batch, keys))]
        server.send(*commands)
        for _ in commands:
            server.reply()
        done += len(commands)
        told.append((before, time.time(), server.slots(entry)))
    # What the last expansion began is ended by the server's own clock.
    while len(server.tables()) > 1:
        before = time.time()
        time.sleep(0.02)
        told.append((before, time.time(), server.slots(entry)))
    return told, entry


def expansions(told):
    """From the sums of slots: (old, new, begin, end) with begin and end as (earliest, latest)."""
    found, now, since = [], None, None
    last_before, last_after = told[0][0], told[0][1]
    single = told[0][2] if told[0][2] & (told[0][2] - 1) == 0 else None
    for before, after, slots in told[1:]:
        power = slots & (slots - 1) == 0
        if not power and since is None and single is not None:
            now, since = (single, slots - single), (last_before, after)
        elif power and slots != single:
            if since is None and single is not None:
                # Begun and ended within a batch.
                now, since = (single, slots), (last_before, after)
            if since is not None:
                found.append((*now, since, (last_before, after)))
            since = None
        if power:
            single = slots
        last_before, last_after = before, after
    return found


def compare(report, told, final):
    problems = []
    start = report["process"]["start_unix_ns"] / 1e9
    sites = {site["id"]: site for site in report["sites"]}
    shown = [
        event
        for event in report["timeline"]
        if event["kind"] in ("grow", "replace", "rebuild")
        and sites[event["site"]]["family"] == "redis_dict"
        and sites[event["site"]]["caller"]["function"].startswith("dbAdd")
    ]
    truth = expansions(told)
    print(f"{'old':>12} {'new':>12} {'server: both lived':>24} {'report':>10}")
    for old, new, (begin_low, begin_high), (end_low, end_high) in truth:
        low, high = max(end_low - begin_high, 0), end_high - begin_low
        match = [
            event
            for event in shown
            if (event["old_bytes"], event["new_bytes"]) == (old * POINTER, new * POINTER)
        ]
        if old * POINTER < FLOOR:
            continue
        took = match[0]["overlap_ns"] if len(match) == 1 else None
        took = match[0]["pause_ns"] if took is None and match else took
        text = "-" if took is None else f"{took / 1e9:.3f} s"
        span = f"{low:.3f} to {high:.3f} s"
        print(f"{old * POINTER:12} {new * POINTER:12} {span:>24} {text:>10}")
        if took is None:
            problems.append(f"{old} -> {new}: {len(match)} events")
            continue
        if not low - 0.002 <= took / 1e9 <= high + 0.002:
            problems.append(f"{old} -> {new}: both lived {text}, the server says {span}")
        ended = start + match[0]["t_ns"] / 1e9
        if not end_low - 0.01 <= ended <= end_high + 0.01:
            problems.append(f"{old} -> {new}: ended at {ended}, the server says {end_low} to {end_high}")
    live = [
        map
        for map in report["maps"]
        if map["family"] == "redis_dict" and map["bytes"] == final[0] * POINTER
    ]
    if len(live) != 1 or len(final) != 1:
        problems.append(f"HTSTATS says {final}, the report has {len(live)} such tables")
    else:
        print("tables of the dict that is left:", live[0]["tables"])
    if not truth:
        problems.append("the server told of no expansion")
    return problems


if __name__ == "__main__":
    main()
