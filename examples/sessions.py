"""A service in Python whose memory does not go down: most sessions are closed, and the dict that
held them keeps its table.

    mapgrow run -- python3 examples/sessions.py

What it has at its end is told as it was before the interpreter took it down.
"""


class Sessions:
    def __init__(self):
        self.by_id = {}

    def open(self, first, count):
        for number in range(first, first + count):
            self.by_id[number] = f"session {number}"

    def close(self, first, count):
        for number in range(first, first + count):
            del self.by_id[number]


SESSIONS = Sessions()
SESSIONS.open(0, 400_000)
SESSIONS.close(0, 390_000)
print(len(SESSIONS.by_id), "sessions are open")
