"""Runs each program in turns without the preload library and with it, and prints ratios of the
time it took. Called by preload.sh: preload.py MAPS [ROUNDS [PROGRAM...]].

A round runs every contender once, in an order that changes, and each is judged against that
round's plain run; a second plain run shows what the noise alone amounts to. CPU time (of the
program and its system calls) is less disturbed by what else the machine does; wall time is what a
user feels.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# What to add to the environment; the library is added to all but the plain ones.
CONTENDERS = {
    "plain": None,
    "itself": None,
    "off": {"MAPGROW": "off"},
    "default": {"MAPGROW": "on"},
    "exact": {"MAPGROW": "exact"},
}
AIMS = {"itself": "1.00", "off": "-", "default": "1.05", "exact": "1.15"}

DICTS = """
big = {}
for i in range(1_500_000):
    big[i] = i
found = sum(big[i] for i in range(0, 1_500_000, 2))
words = {}
for i in range(400_000):
    words.setdefault(f"word {i % 50_000}", []).append(i)
records = [{"id": i, "name": str(i), "tags": {i, i + 1}} for i in range(150_000)]
small = sum(len({j: j for j in range(20)}) for _ in range(60_000))
print(found, len(words), len(records), small)
"""


class Bench:
    """A place to work in, and the library as the command carries it."""

    def __init__(self, work, maps):
        self.work, self.maps = work, maps
        self.library = work / "libmapgrow.so"
        # `mapgrow run` reads the recording afterwards, which is no part of the price: the library
        # is loaded by hand, with nothing to do at the end.
        copy = ["sh", "-c", 'cp "${LD_PRELOAD%%:*}" "$1"', "sh", str(self.library)]
        subprocess.run([os.environ["COMMAND"], "run", "--quiet", "--", *copy], check=True)

    def environment(self, contender):
        settings = CONTENDERS[contender]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MAPGROW")}
        clean["HOME"] = str(self.work)
        if settings is not None:
            clean |= settings | {"LD_PRELOAD": str(self.library), "MAPGROW_AT_EXIT": "none"}
        return clean

    def start(self, command, contender):
        begin = time.monotonic()
        environment = self.environment(contender)
        nowhere = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        return begin, subprocess.Popen(command, env=environment, **nowhere)

    def run_maps(self, contender):
        return spent(*self.start([self.maps], contender))

    def run_cpython(self, contender):
        # Not a launcher that may stand before it.
        return spent(*self.start([sys.executable, "-c", DICTS], contender))

    def run_redis(self, contender):
        socket = str(self.work / "socket")
        options = ["--port", "0", "--unixsocket", socket, "--save", "", "--daemonize", "no"]
        begin, server = self.start(["redis-server", *options], contender)
        client = ["redis-cli", "-s", socket]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        while subprocess.run([*client, "ping"], **quiet).returncode != 0:
            if server.poll() is not None:
                sys.exit("redis-server does not start")
            time.sleep(0.02)
        # Keys of their own for each of the million, so that the dicts grow.
        load = ["-q", "-n", "500000", "-r", "100000000", "-P", "16", "-t", "set,hset,sadd,lpush"]
        subprocess.run(["redis-benchmark", "-s", socket, *load], **quiet, check=True)
        subprocess.run([*client, "shutdown", "nosave"], **quiet)
        return spent(begin, server)


def spent(begin, process):
    """CPU and wall seconds of a process, once it has ended."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{process.args[0]} ended with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begin


def measure(run, rounds):
    """For each contender, what it spent in each round."""
    seconds = {contender: [] for contender in CONTENDERS}
    order = list(CONTENDERS)
    for turn in range(rounds):
        for contender in order[turn % len(order) :] + order[: turn % len(order)]:
            seconds[contender].append(run(contender))
    return seconds


def show(title, name, seconds, which):
    plain = [spent[which] for spent in seconds["plain"]]
    cells = [f"{name:<8}", title, f"{statistics.median(plain):6.2f} s"]
    for contender in list(CONTENDERS)[1:]:
        ratios = [one[which] / base for one, base in zip(seconds[contender], plain)]
        spread = f"{statistics.median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})"
        cells.append(f"{spread:<20}")
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    maps, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 9
    names = sys.argv[3:] or ["maps", "cpython", "redis"]
    print(f"ratios to the plain run of the same round: median of {rounds} (least to largest)")
    heads = [f"{name} (aim {AIMS[name]})" for name in list(CONTENDERS)[1:]]
    print("| program  | time |  plain   | " + " | ".join(f"{head:<20}" for head in heads) + " |")
    print("| -------- | ---- | -------- | " + " | ".join("-" * 20 for _ in heads) + " |")
    with tempfile.TemporaryDirectory(prefix="preload-bench-") as work:
        bench = Bench(pathlib.Path(work), maps)
        for name in names:
            if name == "redis" and not shutil.which("redis-benchmark"):
                print("| redis    | redis-benchmark is not installed |")
                continue
            seconds = measure(getattr(bench, f"run_{name}"), rounds)
            show("CPU ", name, seconds, 0)
            show("wall", name, seconds, 1)


if __name__ == "__main__":
    main()
