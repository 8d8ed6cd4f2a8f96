# Containers of CPython that grow, and the interpreter's own account of it: after every insert
# `sys.getsizeof`, without what it says of an empty one.
import json
import os
import sys


def steps(container, insert, count):
    empty = sys.getsizeof(container)
    sizes = [0]
    for number in range(count):
        insert(container, number)
        size = sys.getsizeof(container) - empty
        if size != sizes[-1]:
            sizes.append(size)
    return sizes


def fill_dict(container, number):
    container[number] = number


kept = [{}, set(), []]
told = {
    "cpython_dict": steps(kept[0], fill_dict, 100_000),
    "cpython_set": steps(kept[1], set.add, 100_000),
    "cpython_list": steps(kept[2], list.append, 100_000),
}
print(json.dumps(told), flush=True)
# What is kept is not taken down.
os._exit(0)
