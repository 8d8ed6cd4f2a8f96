#!/usr/bin/env python3
"""Every program of /usr/bin says its version as it does without the preload library: same output,
same status. Starting up is where programs differ most, by what their libraries do before main.

    tests/system_programs.py [DIRECTORY]

LIBRARY: the preload library (default: target/release/libmapgrow.so).
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = os.environ.get("LIBRARY", str(ROOT / "target/release/libmapgrow.so"))
# What would do something to the machine or its users, whatever it is asked.
NOT_STARTED = {
    "halt", "init", "kill", "killall", "mesg", "pkill", "poweroff", "reboot", "reset", "shutdown",
    "telinit", "tset", "wall", "write", "yes",
}
SECONDS = 30
ENDLESS = "does not end"
TRIES = 8


def said(program, directory, environment):
    """Status, output and errors."""
    try:
        ran = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            env=environment,
            cwd=directory,
        )
    except subprocess.TimeoutExpired:
        return (ENDLESS, b"", b"")
    return (ran.returncode, ran.stdout, ran.stderr)


def compare(program):
    """How a program differs, if it does and is not another each time by itself."""
    plain = dict(os.environ)
    loaded = plain | {
        "LD_PRELOAD": LIBRARY,
        "MAPGROW_AT_EXIT": "none",
        "MAPGROW_SIGNAL": "none",
    }
    with tempfile.TemporaryDirectory() as directory:
        without = said(program, directory, plain)
        with_it = said(program, directory, loaded)
        if without == with_it or without[0] == ENDLESS:
            return None
        # Some say it in another order each time.
        again = [said(program, directory, plain) for _ in range(TRIES)]
        if with_it in again or any(one != again[0] for one in again):
            return None
    return f"{program}: {brief(without)} without, {brief(with_it)} with the library"


def brief(said_so):
    """The beginning of what a program said."""
    status, output, errors = said_so
    return f"{status} {output[:100]!r} {errors[:100]!r}"


def is_elf(path):
    """Whether a file is a program that the loader may load a library into."""
    if path.name in NOT_STARTED or not os.access(path, os.X_OK) or not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def main():
    if not Path(LIBRARY).exists():
        sys.exit(f"{LIBRARY} is not there: cargo build --release -p mapgrow-ffi")
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/bin")
    programs = [str(path) for path in sorted(directory.iterdir()) if is_elf(path)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        different = [line for line in pool.map(compare, programs) if line]
    print("\n".join(different))
    print(f"{len(programs)} programs, {len(different)} different")
    sys.exit(1 if different or not programs else 0)


if __name__ == "__main__":
    main()
