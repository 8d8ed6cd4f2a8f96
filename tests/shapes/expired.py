"""A service whose tokens expire: the dict keeps its table."""

import os
import sys


class Tokens:
    def __init__(self):
        self.by_id = {}

    def issue(self, number):
        self.by_id[number] = number  # HERE


tokens = Tokens()
for number in range(500_000):
    tokens.issue(number)
for number in range(485_000):
    del tokens.by_id[number]
if sys.argv[1:] == ["cured"]:
    tokens.by_id = dict(tokens.by_id)
print("entries", len(tokens.by_id))
# What is shared by all dicts is in `sys.getsizeof` of an empty one.
print("bytes", sys.getsizeof(tokens.by_id) - sys.getsizeof({}))
print("ready", os.getpid(), flush=True)
sys.stdin.read(1)
