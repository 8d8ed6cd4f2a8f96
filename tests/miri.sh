#!/bin/sh
# Everything that runs without a system call, under Miri: the format, containers, the report, and of
# the recorder its tables, rings, sampler and lineage. Finds undefined behaviour that the tests would
# pass by. Needs a nightly toolchain; brings the components itself where rustup can.
#
#   tests/miri.sh [FILTER...]
#
# Tests that read a process' memory through the kernel are left out here. Those that would take an
# interpreter hours try fewer cases, or none, where `cfg(miri)` holds.
set -eu
cd "$(dirname "$0")/.."
rustup component add --toolchain nightly miri rust-src >/dev/null 2>&1 || true
export MIRIFLAGS="-Zmiri-disable-isolation" PROPTEST_CASES=2
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri"
under_miri() {
    printf '\n== %s\n' "$*"
    cargo +nightly miri test --locked --lib "$@"
}

under_miri -p mapgrow-format -- "$@"
under_miri -p mapgrow-containers -- --skip finder:: "$@"
under_miri -p mapgrow-report -- "$@"
# What reads the tables back is the format's reader, which has no unsafe code, at length.
under_miri -p mapgrow --no-default-features --features report -- \
    --skip stack:: --skip tables::tests::reader:: tables:: timeline:: sampler:: lineage:: "$@"
