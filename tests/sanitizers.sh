#!/bin/sh
# ThreadSanitizer and AddressSanitizer, with the standard library under them, too. Needs a nightly
# toolchain.
#
#   tests/sanitizers.sh [thread|address ...]
#
# Both: the unit tests of the recorder and of what speaks to the system. ThreadSanitizer: the program
# whose threads hand containers to each other as well (its allocator is the C library's, which the
# sanitizer watches); SANITIZED_OPERATIONS (default 200000) and SANITIZED_SEEDS (default 4) say how
# much is handed over. AddressSanitizer takes the address space in which recordings lie: nothing is
# recorded under it, so what starts a recording is left out.
set -eu
cd "$(dirname "$0")/.."
rustup component add --toolchain nightly rust-src >/dev/null 2>&1 || true
target=x86_64-unknown-linux-gnu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=${CARGO_TARGET_DIR:-$PWD/target}/sanitizers
# The recorder closes descriptors by system calls of its own, which ThreadSanitizer does not see: to
# it, who closes one of the same number next closes that of another thread.
printf 'race:close\n' >"$scratch/suppressions"
export TSAN_OPTIONS="exitcode=66 suppressions=$scratch/suppressions"
export ASAN_OPTIONS="exitcode=66 detect_leaks=0"

under() {
    verb=$1
    shift
    cargo +nightly "$verb" --locked -Zbuild-std --target $target --profile models "$@"
}

conserve() {
    under build -p mapgrow --example victim_conserve
    for seed in $(seq "${SANITIZED_SEEDS:-4}"); do
        for threads in 2 8; do
            status=0
            MAPGROW_DIR=$scratch MAPGROW_OUT=$scratch/out.mapgrow \
                "$CARGO_TARGET_DIR/$target/models/examples/victim_conserve" \
                "$seed" "${SANITIZED_OPERATIONS:-200000}" $threads >"$scratch/said" 2>&1 || status=$?
            # (1: its own account goes by the names of functions, which are others in such a build.)
            if grep -q 'Sanitizer' "$scratch/said" || [ "$status" -gt 1 ]; then
                cat "$scratch/said"
                exit 1
            fi
            echo "seed $seed, $threads threads: nothing found"
        done
    done
}

[ $# -gt 0 ] || set -- thread address
for sanitizer; do
    printf '\n== %s\n' "$sanitizer"
    export RUSTFLAGS="-Zsanitizer=$sanitizer" CARGO_TARGET_DIR="$root/$sanitizer"
    # Tests of stacks: ThreadSanitizer delivers signals later than handlers expect, and
    # AddressSanitizer moves locals to stacks of its own.
    skip="--skip stack::"
    [ "$sanitizer" != address ] || skip="$skip --skip life::"
    under test -p mapgrow-system --lib
    # shellcheck disable=SC2086
    under test -p mapgrow --no-default-features --features report --lib -- $skip
    [ "$sanitizer" != thread ] || conserve
done
