#!/bin/sh
# The suites at full size: what `cargo test` runs in small, and what it leaves out. About an
# hour.
#
#   tests/long.sh
set -eu
cd "$(dirname "$0")/.."

echo "== 1000 signals under eight allocating threads"
STORM_SIGNALS=1000 cargo test --test signals -- --nocapture
echo "== 50 kills at random moments"
KILLS=50 cargo test --test killed -- --nocapture
echo "== 10^9 operations on containers that threads hand to each other"
CONSERVE_OPERATIONS=1000000000 CONSERVE_SEEDS=200 cargo test --test conserve -- --nocapture
echo "== 100 million stacks"
CAPTURES=100000000 cargo test --test stacks -- --nocapture
echo "== 10,000 readings by top, serve and report --watch"
READINGS=10000 cargo test -p mapgrow-cli --test long_lived -- --nocapture
echo "== hashbrown's own tests"
tests/hashbrown_suite.sh
echo "== a minute of turmoil in maps that are read"
tests/turmoil.sh
echo "== a program from crates.io"
tests/real_program.sh
echo "== what it costs"
cargo bench --bench overhead
benches/instructions.sh
