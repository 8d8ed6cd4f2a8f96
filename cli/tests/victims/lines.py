"""Grows containers in every kind of Python code, and tells from where: what `traceback` says of the
statement that grew each, innermost first. Run with the path of a file for that."""

import json
import sys
import threading
import traceback

# By the number of entries, which is another for each place.
places = {}
kept = []


def stack():
    """The stack of the caller's caller, without this file's own helpers."""
    frames = traceback.extract_stack()[:-2]
    return [[frame.filename, frame.lineno, frame.name] for frame in reversed(frames)]


class Key:
    """A key that tells where it was put into a container."""

    def __init__(self, number, last):
        self.number = number
        self.last = last

    def __hash__(self):
        if self.last is not None and self.last not in places:
            places[self.last] = stack()
        return self.number

    def __eq__(self, other):
        return self.number == other.number


def keys(count, name):
    """Keys, of which the last one tells."""
    return [Key(number, name if number == count - 1 else None) for number in range(count)]


def plain(count):
    grown = {}
    for key in keys(count, "plain"):
        grown[key] = None
    return grown


class Index:
    def __init__(self):
        self.words = {}

    def add(self, key):
        self.words[
            key
        ] = None

    def fill(self, count):
        for key in keys(count, "method"):
            self.add(key)
        return self.words

    class Inner:
        @staticmethod
        def fill(count):
            grown = set()
            for key in keys(count, "set"):
                grown.add(key)
            return grown


def generated(count):
    grown = {}

    def each():
        for key in keys(count, "generator"):
            grown[key] = None
            yield key

    for _ in each():
        pass
    return grown


def comprehended(count):
    known = keys(count, "comprehension")
    return {key: None for key in known}


def nested(count):
    grown = {}

    def outer():
        def inner(key):
            grown.setdefault(key, None)

        for key in keys(count, "closure"):
            inner(key)

    outer()
    return grown


def called_back(count):
    grown = {}
    known = keys(count, "callback")
    sorted(range(count), key=lambda number: grown.setdefault(known[number], number))
    return grown


def deep(count, depth):
    if depth:
        return deep(count, depth - 1)
    grown = {}
    for key in keys(count, "recursion"):
        grown[key] = None
    return grown


async def waited(count):
    grown = {}
    for key in keys(count, "coroutine"):
        grown[key] = None
    return grown


def run_coroutine(count):
    coroutine = waited(count)
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value


def in_thread(count):
    grown = {}

    def work():
        for key in keys(count, "thread"):
            grown[key] = None

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return grown


def compiled(count):
    scope = {"keys": keys, "count": count}
    code = "grown = {}\nfor key in keys(count, 'compiled'):\n    grown[key] = None\n"
    exec(compile(code, "unbekannt-ä-數.py", "exec"), scope)
    return scope["grown"]


kept.append(plain(3000))
kept.append(Index().fill(3001))
kept.append(Index.Inner.fill(3002))
kept.append(generated(3003))
kept.append(comprehended(3004))
kept.append(nested(3005))
kept.append(called_back(3006))
kept.append(deep(3007, 12))
kept.append(run_coroutine(3008))
kept.append(in_thread(3009))
kept.append(compiled(3010))

json.dump({"version": sys.version_info[:2], "places": places}, sys.stdout)
