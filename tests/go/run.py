"""Go programs under `mapgrow run`: each gets the explanation, and no empty report. Run by
tests/go.sh."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MAPGROW = Path("target/debug/mapgrow").resolve()
SOURCE = Path("tests/go").resolve()
ADVICE = "`mapgrow report http://HOST:PORT/debug/pprof/heap`"

# How it is built, whether with C, and what can be seen of it.
BUILDS = {
    "static": ([], "0", "no library can be loaded into it"),
    "stripped": (["-ldflags=-s -w"], "0", "no library can be loaded into it"),
    "with C": ([], "1", "only its C code uses malloc"),
    "position independent": (["-buildmode=pie"], "0", "only its C code uses malloc"),
}


def main():
    os.environ["GOTOOLCHAIN"] = "local"
    with tempfile.TemporaryDirectory() as directory:
        for name, (flags, with_c, seen) in BUILDS.items():
            program = Path(directory) / name.replace(" ", "-")
            environment = dict(os.environ, CGO_ENABLED=with_c, HOME=directory)
            build = [os.environ["GO"], "build", *flags, "-o", program, "."]
            subprocess.run(build, cwd=SOURCE, check=True, env=dict(os.environ, CGO_ENABLED=with_c))
            run = [MAPGROW, "run", "--", program, program.with_suffix(".pb.gz")]
            done = subprocess.run(run, capture_output=True, text=True, env=environment)
            assert (done.returncode, done.stdout) == (0, "0 300000 200000 500000\n"), done
            told = " ".join(done.stderr.split())
            assert "is a Go program" in told and seen in told and ADVICE in told, told
            # A report of nothing says nothing.
            assert "honesty" not in told and "rebuilt" not in told, told
            print(f"a Go program, {name}: explained")


sys.exit(main())
