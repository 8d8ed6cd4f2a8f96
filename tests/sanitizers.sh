#!/bin/sh
# ThreadSanitizer and AddressSanitizer, with the standard library under them, too: the unit tests of
# the recorder and of what speaks to the system, and the program whose threads hand containers to each
# other (its allocator is the C library's, which the sanitizers watch). Needs a nightly toolchain.
#
#   tests/sanitizers.sh [thread|address ...]
#
# SANITIZED_OPERATIONS (default 200000) and SANITIZED_SEEDS (default 4) say how much is handed over.
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

[ $# -gt 0 ] || set -- thread address
for sanitizer; do
    printf '\n== %s\n' "$sanitizer"
    export RUSTFLAGS="-Zsanitizer=$sanitizer" CARGO_TARGET_DIR="$root/$sanitizer"
    export TSAN_OPTIONS="exitcode=66 suppressions=$scratch/suppressions" ASAN_OPTIONS="exitcode=66 detect_leaks=0"
    under() {
        verb=$1
        shift
        cargo +nightly "$verb" --locked -Zbuild-std --target $target --profile models "$@"
    }
    under test -p mapgrow-system --lib
    # (ThreadSanitizer delivers signals later, which the tests of stacks in handlers do not bear.)
    skip=
    [ "$sanitizer" != thread ] || skip="--skip stack::"
    # shellcheck disable=SC2086
    under test -p mapgrow --no-default-features --features report --lib -- $skip
    under build -p mapgrow --example victim_conserve
    for seed in $(seq "${SANITIZED_SEEDS:-4}"); do
        for threads in 2 8; do
            status=0
            MAPGROW_DIR=$scratch MAPGROW_OUT=$scratch/out.mapgrow \
                "$CARGO_TARGET_DIR/$target/models/examples/victim_conserve" \
                "$seed" "${SANITIZED_OPERATIONS:-200000}" $threads >"$scratch/said" 2>&1 || status=$?
            # (Its own account goes by the names of functions, which are others in such a build.)
            if grep -q 'Sanitizer' "$scratch/said" || [ "$status" -gt 1 ]; then
                cat "$scratch/said"
                exit 1
            fi
            echo "seed $seed, $threads threads: nothing found"
        done
    done
done
