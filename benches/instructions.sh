#!/bin/sh
# Instructions that a pair of alloc and free costs above bare jemalloc, counted by the processor
# (`perf stat`), or where it counts for nobody by valgrind: the same on every run. Fails when a pair
# that needs no record costs more than it may.
#
#   benches/instructions.sh
#
# Each program runs the pair N and then 2N times; the difference is the pair alone, without
# start and end of the process. Under valgrind nothing is recorded (it has no room for a recording
# where one is looked for), so there exact mode is not counted.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release --example bench_bare --example bench_recorded
count=1000000

by_perf() {
    LC_ALL=C perf stat -x, -e instructions:u "$@" 2>&1 >/dev/null | sed -n 's/^\([0-9]*\),.*/\1/p'
}
by_valgrind() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
if [ -n "$(by_perf true 2>/dev/null)" ]; then
    instructions=by_perf modes="off on exact"
else
    instructions=by_valgrind modes="off on" count=200000
fi

# Instructions of 100 pairs, from the difference between N and 2N of them.
per_100_pairs() {
    once=$($instructions "$1" pairs $count)
    twice=$($instructions "$1" pairs $((count * 2)))
    echo $(((twice - once) * 100 / count))
}

export MAPGROW_AT_EXIT=none
bare=$(per_100_pairs "$target/release/examples/bench_bare")
for mode in $modes; do
    export MAPGROW=$mode
    recorded=$(per_100_pairs "$target/release/examples/bench_recorded")
    # A pair is 8; once in 64 KiB the totals are written down, and once in 512 a block is sampled.
    awk -v mode=$mode -v bare="$bare" -v recorded="$recorded" 'BEGIN {
        most = mode == "exact" ? 1500 : 9
        above = (recorded - bare) / 100
        printf "MAPGROW=%-6s bare %.2f, recorded %.2f: %+.2f instructions for a pair (at most %d)\n",
            mode, bare / 100, recorded / 100, above, most
        exit above > most
    }'
done
