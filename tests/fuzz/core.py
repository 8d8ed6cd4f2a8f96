#!/usr/bin/env python3
"""Writes a small core of a process, to begin fuzzing from: the pages that its smallest maps and
what their headers lead to lie in, and no others.

    core.py MAPGROW PID CORE [BYTES]

Kept beside this are cores of programs of ours. Those of others (CPython, Redis) hold what these have
in memory, so everybody makes their own.
"""
import json
import struct
import subprocess
import sys

PAGE = 4096
# Maps of each family.
MOST = 3
CHAINED = ("libstdcxx_hashtable", "libcxx_hashtable", "redis_dict")


def regions(pid):
    """Writable memory of the process alone."""
    found = []
    for line in open(f"/proc/{pid}/maps"):
        fields = line.split()
        start, end = (int(part, 16) for part in fields[0].split("-"))
        if fields[1] == "rw-p":
            found.append((start, end))
    return found


def pages_of(memory, there, look, most):
    """The pages that are kept, smallest maps first."""
    kept = set()

    def add(address, length=8):
        first, last = address // PAGE, (address + max(length, 1) - 1) // PAGE
        for page in range(first, last + 1):
            inside = any(start <= page * PAGE < end for start, end in there)
            if inside and len(kept) < most:
                kept.add(page)

    def words(address, count):
        memory.seek(address)
        return struct.unpack(f"<{count}Q", memory.read(8 * count))

    seen = {}
    maps = [entry for entry in look["maps"] if entry["entries"] > 1]
    for entry in sorted(maps, key=lambda entry: entry["buckets"] or 0):
        family = entry["family"]
        seen[family] = seen.get(family, 0) + 1
        if seen[family] > MOST:
            continue
        header = entry["header_address"]
        add(header, 64)
        # Elements begin before what the header leads to, or behind it; so does what allocators
        # write around a block.
        length = entry["bytes"] or 512
        chained = family in CHAINED
        if family.startswith("cpython"):
            # Its type says that it is one, and the type of that.
            kind = words(header, 2)[1]
            add(kind, 256)
            add(words(kind, 2)[1], 256)
        for word in words(header, 4 if family.startswith("cpython") else 8):
            for start, end in there:
                if not start <= word < end:
                    continue
                add(word, min(end - word, length + 32))
                if family == "hashbrown":
                    add(max(start, word - length), min(length, word - start))
                # The nodes of what is chained.
                for _ in range(200 if chained else 0):
                    if not any(a <= word and word + 8 <= b for a, b in there):
                        break
                    add(word, 16)
                    word = words(word, 1)[0]
        if entry["address"]:
            add(entry["address"] - 16, length + 32)
    return sorted(kept)


def note(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<III", 5, len(body), kind) + b"CORE\0\0\0\0" + body


def notes(pid, first):
    status = bytearray(336)
    struct.pack_into("<I", status, 32, pid)
    struct.pack_into("<Q", status, 112 + 19 * 8, first + 64)
    info = bytearray(136)
    struct.pack_into("<I", info, 24, pid)
    info[40:44], info[56:65] = b"demo", b"./demo -v"
    name = b"/usr/bin/demo\0"
    files = struct.pack("<5Q", 1, PAGE, first, first + PAGE, 0) + name
    return note(1, bytes(status)) + note(3, bytes(info)) + note(0x46494C45, files)


def main():
    mapgrow, pid, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    most = int(sys.argv[4]) if len(sys.argv) > 4 else 48 << 10
    look = json.loads(subprocess.check_output([mapgrow, "look", "--json", str(pid)]))
    with open(f"/proc/{pid}/mem", "rb") as memory:
        pages = pages_of(memory, regions(pid), look, most // PAGE)
        runs = []
        for page in pages:
            memory.seek(page * PAGE)
            if runs and runs[-1][0] + len(runs[-1][1]) == page * PAGE:
                runs[-1][1].extend(memory.read(PAGE))
            else:
                runs.append((page * PAGE, bytearray(memory.read(PAGE))))
    said = notes(4242, pages[0] * PAGE)
    count, headers = len(runs) + 1, 64
    offset = headers + 56 * count
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, headers, 0, 0, 64, 56, count, 0, 0, 0)
    table, body = struct.pack("<IIQQQQQQ", 4, 4, offset, 0, 0, len(said), 0, 1), bytearray(said)
    for start, held in runs:
        place = offset + len(body)
        table += struct.pack("<IIQQQQQQ", 1, 6, place, start, 0, len(held), len(held), 1)
        body += held
    with open(out, "wb") as core:
        core.write(head + table + body)


main()
