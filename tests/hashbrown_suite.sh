#!/bin/sh
# Runs hashbrown's own test suite with MapGrow as its global allocator, in default and in exact
# mode, and compares the number of passed tests with a run on the plain allocator.
#
#   tests/hashbrown_suite.sh [VERSION]
#
# The sources are those on crates.io; three lines are added to each test target. Takes some
# minutes.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tests/fetch_crate.sh"
version=${1:-0.17.1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy_crate hashbrown "$version" "$work/hashbrown"
cd "$work/hashbrown"

# Its benchmarks are not run, and what they need is not fetched.
awk '/^\[/ { skip = /^\[\[bench\]\]|dev-dependencies\.criterion/ } !skip' Cargo.toml >t
cat >>t <<EOF

[dev-dependencies.mapgrow]
path = "$here"

[workspace]
EOF
mv t Cargo.toml
rm -f Cargo.lock

suite() {
    cargo test --quiet --target-dir "$work/target" --lib --tests \
        --features rayon,serde 2>&1 | tee "$work/log" |
        grep -E '^(test result|error|failures:)|panicked|FAILED' || true
    ! grep -qE 'FAILED|^error' "$work/log" || {
        tail -50 "$work/log"
        exit 1
    }
    sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$work/log" | paste -sd+ - | bc
}

echo "== plain allocator"
plain=$(suite | tee /dev/stderr | tail -1)
[ "${plain:-0}" -gt 0 ] || exit 1
for file in src/lib.rs tests/*.rs; do
    cat >>"$file" <<'EOF'

#[cfg(test)]
#[global_allocator]
static MAPGROW: mapgrow::MapGrow = mapgrow::MapGrow::new();
EOF
done
for mode in on exact; do
    echo "== MAPGROW=$mode"
    mkdir -p "$work/dumps-$mode"
    passed=$(MAPGROW=$mode MAPGROW_OUT="$work/dumps-$mode/%e-%p.mapgrow" suite |
        tee /dev/stderr | tail -1)
    if [ "$passed" != "$plain" ] || [ "$passed" = 0 ]; then
        echo "passed $passed tests, but $plain without MapGrow" >&2
        exit 1
    fi
done

echo "== the report on the library's own tests, exact mode"
largest=$(ls -S "$work"/dumps-exact/*.mapgrow | head -1)
cargo run --quiet --release --manifest-path "$here/cli/Cargo.toml" -- report "$largest" |
    head -60
echo "hashbrown $version: $plain tests pass with and without MapGrow"
