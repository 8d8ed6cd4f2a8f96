#!/bin/sh
# Everything that runs without a system call, under Miri: the format, containers, the report, and of
# the recorder its tables, rings, sampler and lineage. Finds undefined behaviour that the tests would
# pass by. Needs a nightly toolchain; brings the components itself where rustup can.
#
#   tests/miri.sh [FILTER...]
#
# Takes half an hour on two cores. Tests that count time, start threads by the dozen, or try so many
# cases that an interpreter would take hours, say so with `cfg(miri)`.
set -eu
cd "$(dirname "$0")/.."
rustup component add --toolchain nightly miri rust-src >/dev/null 2>&1 || true
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-strict-provenance" PROPTEST_CASES=4
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri"
step() { printf '\n== %s\n' "$*"; }

step "format, containers, report"
cargo +nightly miri test --locked -p mapgrow-format -p mapgrow-containers -p mapgrow-report --lib "$@"
step "recorder"
cargo +nightly miri test --locked -p mapgrow --no-default-features --features report --lib -- \
    tables:: timeline:: sampler:: lineage:: pool:: "$@"
