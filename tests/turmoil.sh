#!/bin/sh
# Eight threads insert, delete and drop maps for a minute while they are read at least a thousand
# times, inside and from outside. Prints the time that each thread spent in the recorder.
#
#   tests/turmoil.sh
set -eu
cd "$(dirname "$0")/.."
MAPGROW_TURMOIL_SECONDS=60 MAPGROW_TURMOIL_SNAPSHOTS=1000 \
    cargo test --release --test occupancy turmoil -- --exact --nocapture
