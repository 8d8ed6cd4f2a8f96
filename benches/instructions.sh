#!/bin/sh
# Instructions that an untracked pair of alloc and free costs above bare jemalloc, counted by
# valgrind: exact, and the same on every run. Needs valgrind.
#
#   benches/instructions.sh
#
# Each program runs the pair N and then 2N times; the difference is the pair alone, without
# start and end of the process.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release --example bench_bare --example bench_recorded
count=200000

instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# Instructions of 100 pairs, from the difference between N and 2N of them.
per_100_pairs() {
    once=$(instructions "$1" pairs $count)
    twice=$(instructions "$1" pairs $((count * 2)))
    echo $(((twice - once) * 100 / count))
}

export MAPGROW_AT_EXIT=none
bare=$(per_100_pairs "$target/release/examples/bench_bare")
for mode in off on exact; do
    export MAPGROW=$mode
    recorded=$(per_100_pairs "$target/release/examples/bench_recorded")
    awk -v mode=$mode -v bare="$bare" -v recorded="$recorded" 'BEGIN {
        printf "MAPGROW=%-6s bare %.2f, recorded %.2f: %+.2f instructions for a pair (aim: 20)\n",
            mode, bare / 100, recorded / 100, (recorded - bare) / 100
    }'
done
