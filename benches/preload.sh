#!/bin/bash
# What the preload library costs: paired runs of a C++ program that fills maps, of CPython dicts
# and of a Redis server under redis-benchmark, without it, with it, and with it in exact mode, and
# between them runs of the program against itself, for the noise.
#
#   benches/preload.sh [ROUNDS]              wall time, best on an idle machine
#   COUNT=instructions benches/preload.sh    instructions by `perf stat`, which a busy machine
#                                            does not disturb
#
# COMMAND: the command (default: target/release/mapgrow). Prints ratios to the first run of each
# round: their median over the rounds, and the least and the largest.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
command=$(realpath "${COMMAND:-$here/target/release/mapgrow}")
rounds=${1:-5}
work=$(mktemp -d "${TMPDIR:-/tmp}/preload-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME=$work
# `mapgrow run` reads the recording afterwards, which is no part of the price: the library is
# loaded by hand, with nothing to do at the end.
library=$work/libmapgrow.so
"$command" run --quiet -- sh -c 'cp "${LD_PRELOAD%%:*}" "$1"' sh "$library" || exit 2
on=(env "LD_PRELOAD=$library" MAPGROW_AT_EXIT=none)

g++ -std=c++17 -O2 -g "$here/tests/families/std.cpp" -o "$work/maps" || exit 2
run_maps() { for _ in 1 2 3 4 5; do "$@" "$work/maps" > /dev/null; done; }
run_cpython() { "$@" python3 -c 'for _ in range(5):
    d = {i: i for i in range(1_000_000)}
    s = [{str(i): i} for i in range(100_000)]'; }
run_redis() {
    "$@" redis-server --port 0 --unixsocket "$work/socket" --save '' --daemonize no > /dev/null &
    local server=$!
    until redis-cli -s "$work/socket" ping > /dev/null 2>&1; do sleep 0.05; done
    redis-benchmark -s "$work/socket" -q -n 300000 -r 100000000 -P 16 -t set,hset,sadd > /dev/null
    redis-cli -s "$work/socket" shutdown nosave > /dev/null 2>&1
    wait $server
}
measure() {
    if [ "${COUNT:-}" = instructions ]; then
        perf stat -x, -e instructions:u -o "$work/count" -- bash -c "work=$work; $(declare -f "$1"); \"\$@\"" _ "$@"
        awk -F, '/instructions/ { print $1 }' "$work/count"
    else
        local begin; begin=$(date +%s%N)
        "$@"
        echo $(($(date +%s%N) - begin))
    fi
}
echo '| program | itself | default | exact |'
echo '| --- | --- | --- | --- |'
for name in maps cpython redis; do
    case $name in redis) needs=redis-benchmark ;; cpython) needs=python3 ;; *) needs=true ;; esac
    command -v $needs > /dev/null || { echo "| $name | $needs is not installed | | |"; continue; }
    : > "$work/ratios"
    for _ in $(seq "$rounds"); do
        plain=$(measure "run_$name")
        again=$(measure "run_$name")
        default=$(measure "run_$name" "${on[@]}")
        exact=$(measure "run_$name" "${on[@]}" MAPGROW=exact)
        echo "$plain $again $default $exact" >> "$work/ratios"
    done
    python3 - "$name" "$work/ratios" <<'P'
import statistics
import sys

rows = [list(map(int, line.split())) for line in open(sys.argv[2])]
cells = []
for column in (1, 2, 3):
    ratios = [row[column] / row[0] for row in rows]
    cells.append(f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
print(f"| {sys.argv[1]} | {' | '.join(cells)} |")
P
done
