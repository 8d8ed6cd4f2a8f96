#!/bin/sh
# Builds a command-line program from crates.io twice, once with MapGrow as its global allocator
# (two lines added to its main.rs), runs both on the same input, compares what they print and
# shows the report.
#
#   tests/real_program.sh [DIR-TO-READ]
#
# The program is tokei, which counts lines of code: parallel, on dashmap and std's maps, built
# with thin LTO and panic=abort as its authors have it. Takes some minutes.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tests/fetch_crate.sh"
input=${1:-${CARGO_HOME:-$HOME/.cargo}/registry/src}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
    (cd "$work/$1" && cargo build --quiet --release --target-dir "$work/target-$1")
}

copy_crate tokei 15.0.0 "$work/plain"
printf '\n[workspace]\n' >>"$work/plain/Cargo.toml"
cp -r "$work/plain" "$work/recorded"
cat >>"$work/recorded/Cargo.toml" <<EOF

[dependencies.mapgrow]
path = "$here"
EOF
# Its profile leaves lines out: without them the report has functions but no lines.
for crate in plain recorded; do
    printf '\n[profile.release.package."*"]\ndebug = "line-tables-only"\n' >>"$work/$crate/Cargo.toml"
    build_profile='/^\[profile.release\]/a debug = "line-tables-only"'
    sed -i "$build_profile" "$work/$crate/Cargo.toml"
done
cat >>"$work/recorded/src/main.rs" <<'EOF'

#[global_allocator]
static MAPGROW: mapgrow::MapGrow = mapgrow::MapGrow::new();
EOF
build plain
build recorded

for mode in off on exact; do
    echo "== MAPGROW=$mode"
    for arguments in "--sort code" "--compact --sort files" "--output json"; do
        # shellcheck disable=SC2086
        "$work/target-plain/release/tokei" $arguments "$input" >"$work/plain.txt"
        rm -f "$work/out.mapgrow"
        # shellcheck disable=SC2086
        MAPGROW=$mode MAPGROW_OUT="$work/out.mapgrow" \
            "$work/target-recorded/release/tokei" $arguments "$input" >"$work/recorded.txt"
        # Threads race for the order of files, in both programs alike.
        if [ "$arguments" = "--output json" ]; then
            tr ',{}[]' '\n\n\n\n\n' <"$work/plain.txt" | sort >"$work/plain.sorted"
            tr ',{}[]' '\n\n\n\n\n' <"$work/recorded.txt" | sort >"$work/recorded.sorted"
        else
            sort "$work/plain.txt" >"$work/plain.sorted"
            sort "$work/recorded.txt" >"$work/recorded.sorted"
        fi
        cmp "$work/plain.sorted" "$work/recorded.sorted"
        echo "tokei $arguments: $(wc -l <"$work/plain.txt") lines, the same"
    done
done

echo "== the report, exact mode"
cargo run --quiet --release --manifest-path "$here/cli/Cargo.toml" -- report "$work/out.mapgrow" |
    head -80
