#!/usr/bin/env python3
"""Every program of /usr/bin says its version as it does without the preload library: same output,
same status. Starting up is where programs differ most, by what their libraries do before main.

    tests/system_programs.py [--under NARROW] [DIRECTORY]

With --under, every block is recorded and a dump is written, with and without in the same narrow
surroundings:

    file-size       no file may be longer than 0 bytes (ulimit -f 0)
    small-memory    64 KiB of file system for recordings (as root)
    closed-stderr   no standard error
    sandbox         a filter kills whoever makes a system call that neither the program makes by
                    itself nor docs/reliability.md names

LIBRARY: the preload library (default: target/release/libmapgrow.so).
"""

import argparse
import ctypes
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
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
NARROW = ("file-size", "small-memory", "closed-stderr", "sandbox")

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_NUMBER = (0x20, 0, 0, 0)
ALLOW, KILL = (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x80000000)
LIBC = ctypes.CDLL(None, use_errno=True)


def call_numbers():
    """Number of each system call, as the C library's headers have them."""
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
    return {name: int(n) for name, n in re.findall(r"#define __NR_(\w+) (\d+)", header)}


def documented_calls():
    """System calls that docs/reliability.md says we make."""
    text = (ROOT / "docs/reliability.md").read_text().split("## System calls", 1)[1]
    rows = [line.split("|")[2] for line in text.splitlines() if line.startswith("| ")]
    return {name for row in rows[1:] for name in re.findall(r"`(\w+)`", row)}


def own_calls(program, directory):
    """System calls that a program makes by itself."""
    trace = os.path.join(directory, "trace")
    command = ["strace", "-f", "-qq", "-o", trace, program, "--version"]
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=SECONDS,
        cwd=directory,
    )
    calls = re.findall(r"^\d+ +(\w+)\(", Path(trace).read_text(errors="replace"), re.M)
    os.remove(trace)
    return set(calls)


def filter_of(calls):
    """A program for the kernel that lets these calls through."""
    numbers = call_numbers()
    allowed = [numbers[name] for name in sorted(calls) if name in numbers]
    steps = [LOAD_NUMBER]
    for number in allowed:
        steps += [(0x15, 0, 1, number), ALLOW]
    steps.append(KILL)
    return b"".join(struct.pack("HBBI", *step) for step in steps), len(steps)


def enter(program):
    """Puts the filter on the process that calls."""
    code, steps = program
    buffer = ctypes.create_string_buffer(code, len(code))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", steps, ctypes.addressof(buffer)))
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter")


def narrowed(under, program, directory):
    """What is to be done in the child before it becomes the program."""
    if under == "file-size":
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if under == "closed-stderr":
        return lambda: os.close(2)
    if under == "sandbox":
        made = filter_of(own_calls(program, directory) | documented_calls())
        return lambda: enter(made)
    return None


def said(program, directory, environment, before):
    """Status, output and errors, without what we say there."""
    try:
        ran = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            env=environment,
            cwd=directory,
            preexec_fn=before,
            # Else there are system calls of Python's own behind the filter.
            close_fds=False,
        )
    except subprocess.TimeoutExpired:
        return (ENDLESS, b"", b"")
    errors = ran.stderr
    if before or "MAPGROW_OUT" in environment:
        errors = re.sub(rb"^mapgrow: .*\n", b"", errors, flags=re.M)
    return (ran.returncode, ran.stdout, errors)


def compare(program, under):
    """How a program differs, if it does and is not another each time by itself."""
    plain = dict(os.environ)
    loaded = plain | {"LD_PRELOAD": LIBRARY, "MAPGROW_SIGNAL": "none"}
    with ExitStack() as stack:
        directory, recordings = (stack.enter_context(tempfile.TemporaryDirectory()) for _ in "ab")
        if under:
            loaded |= {"MAPGROW": "exact", "MAPGROW_OUT": f"{recordings}/%p-%n"}
            loaded |= {"MAPGROW_DIR": recordings}
        else:
            loaded |= {"MAPGROW_AT_EXIT": "none"}
        if under == "small-memory":
            mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", recordings]
            subprocess.run(mount, check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", recordings], check=True)
        try:
            before = narrowed(under, program, directory)
        except subprocess.TimeoutExpired:
            return None
        without = said(program, directory, plain, before)
        if without[0] == -signal.SIGSYS:
            return f"{program}: killed by the filter without the library"
        with_it = said(program, directory, loaded, before)
        if without == with_it or without[0] == ENDLESS:
            return None
        # Some say it in another order each time.
        again = [said(program, directory, plain, before) for _ in range(TRIES)]
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--under", choices=NARROW)
    parser.add_argument("directory", nargs="?", default="/usr/bin", type=Path)
    asked = parser.parse_args()
    if not Path(LIBRARY).exists():
        sys.exit(f"{LIBRARY} is not there: cargo build --release -p mapgrow-ffi")
    programs = [str(path) for path in sorted(asked.directory.iterdir()) if is_elf(path)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compared = pool.map(lambda program: compare(program, asked.under), programs)
        different = [line for line in compared if line]
    print("\n".join(different))
    print(f"{len(programs)} programs, {len(different)} different")
    sys.exit(1 if different or not programs else 0)


if __name__ == "__main__":
    main()
