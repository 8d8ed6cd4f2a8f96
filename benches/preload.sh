#!/bin/sh
# What the preload library costs: paired runs of a C++ program that fills maps, of CPython dicts
# and of a Redis server under redis-benchmark, without it, with it, and with it in exact mode.
# Takes about six minutes on an idle machine. Needs g++, python3 and redis-server.
#
#   benches/preload.sh [ROUNDS [PROGRAM...]]        COMMAND: another command than that of target/
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
if [ -z "${COMMAND:-}" ]; then
    cargo build --quiet --release -p mapgrow-cli
    COMMAND=$target/release/mapgrow
fi
export COMMAND
mkdir -p "$target/bench"
g++ -std=c++17 -O2 benches/programs/maps.cpp -o "$target/bench/maps"
exec python3 benches/preload.py "$target/bench/maps" "$@"
