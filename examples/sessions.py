"""A service in Python whose memory does not go down: most sessions are closed, and the dict that
held them keeps its table.

    mapgrow run -- python3 examples/sessions.py
"""

import ctypes


class Sessions:
    def __init__(self):
        self.by_id = {}

    def open(self, first, count):
        for number in range(first, first + count):
            self.by_id[number] = f"session {number}"

    def close(self, first, count):
        for number in range(first, first + count):
            del self.by_id[number]


def main():
    sessions = Sessions()
    sessions.open(0, 400_000)
    sessions.close(0, 390_000)
    # As in a service that goes on: the interpreter does not take it down at its end.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(sessions.by_id))
    print(len(sessions.by_id), "sessions are open")


main()
