#!/bin/sh
# Fuzzes what reads other people's bytes, with libFuzzer, beginning from the corpus kept here:
#
#   tests/fuzz/run.sh dump [SECONDS]       recordings and dumps
#   tests/fuzz/run.sh profile [SECONDS]    heap profiles of pprof's format
#   tests/fuzz/run.sh json [SECONDS]       saved reports, and what is made of them beside another
#   tests/fuzz/run.sh families [SECONDS]   families files, and names of functions that they are for
#   tests/fuzz/run.sh http [SECONDS]       what `mapgrow serve` is sent
#   tests/fuzz/run.sh core [SECONDS]       core files, and the search for maps in them
#
# Where the recordings of corpus/dump come from (they have to be of today's version), and how a small
# core is made of a process:
#
#   cargo run -p mapgrow-fixture --example seeds tests/fuzz/corpus/dump
#   tests/fuzz/core.py MAPGROW PID CORE
#
# An hour each by default. Ends with an error at the first panic, an input that takes longer than
# 10 s, or memory beyond 1 GiB (8 for families). Needs g++ (tests/setup.sh); the instrumentation is the stable
# compiler's.
set -eu
cd "$(dirname "$0")"
target=$1
seconds=${2:-3600}

# The command's build script need not make the preload library: any file stands for it.
export MAPGROW_PRELOAD_LIBRARY="$PWD/Cargo.toml"
# What cargo-fuzz sets, without the address sanitizer: the code is safe Rust.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing" \
    cargo build --release --bin "$target" --target "$(rustc -vV | sed -n 's/host: //p')" \
    --target-dir ../../target/fuzz

# A table of families is kept as long as the command that read it, so here all of them are.
case $target in
families) memory=8192 ;;
*) memory=1024 ;;
esac

# New inputs go where they can be thrown away.
found=../../target/fuzz/found/$target
mkdir -p "$found"
exec ../../target/fuzz/"$(rustc -vV | sed -n 's/host: //p')"/release/"$target" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=$memory -malloc_limit_mb=512 \
    -max_len=262144 -artifact_prefix="$found/" -print_final_stats=1 "$found" "corpus/$target"
