#!/bin/sh
# The report on a recording of 64 MiB (10,000 places, 100,000 live maps) whose stacks lie in an
# unstripped binary of 100 MB, this command's own debug build: time with nothing cached, and memory.
# Needs the package time. Fails above 500 MB; time is told, not judged: it depends on the machine.
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet -p mapgrow-cli --bin mapgrow --example large_recording
cargo build --quiet --release -p mapgrow-cli
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The debug build may be built anew at any time, and names are taken from the same build alone.
cp target/debug/mapgrow "$dir/binary"
target/debug/examples/large_recording "$dir/binary" "$dir/large.mapgrow"
ls -l "$dir"
for round in 1 2 3; do
    sync
    # Where that is not allowed, the files stay cached.
    (echo 3 >/proc/sys/vm/drop_caches) 2>/dev/null || echo "(cached)"
    /usr/bin/time -f '%e s elapsed, %U s user, %S s system, %M KB' -o "$dir/time" \
        target/release/mapgrow report "$dir/large.mapgrow" --top 1 >"$dir/text"
    cat "$dir/time"
done
# Of the 10,000 places some are in one function, inlined.
grep -q '[89],[0-9]* more places' "$dir/text" || { echo "FAILED: no such report"; exit 1; }
kilobytes=$(sed -n 's/.* \([0-9]*\) KB$/\1/p' "$dir/time")
[ "$kilobytes" -lt 500000 ] || { echo "FAILED: $kilobytes KB are more than 500 MB"; exit 1; }
echo passed
