"""Two sets: the window is emptied each time, what was ever seen is not."""

import os
import sys


def remember(seen, window, url):
    window.add(url)
    if len(window) > 1000:
        window.clear()
    seen.add(url)  # HERE


seen, window = set(), set()
for number in range(600_000):
    remember(seen, window, number)
print("entries", len(seen))
print("bytes", sys.getsizeof(seen) - sys.getsizeof(set()))
print("ready", os.getpid(), flush=True)
sys.stdin.read(1)
