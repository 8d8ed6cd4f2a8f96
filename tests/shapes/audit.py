"""An audit trail that a generator feeds and nobody cuts."""

import os
import sys


def events(count):
    for number in range(count):
        yield number


class Audit:
    trail = []

    def record(self, event):
        self.trail.append(event)  # HERE


audit = Audit()
for event in events(3_000_000):
    audit.record(event)
print("bytes", sys.getsizeof(audit.trail) - sys.getsizeof([]))
print("ready", os.getpid(), flush=True)
sys.stdin.read(1)
