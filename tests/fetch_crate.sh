# Sourced by the long suites: where a crate's own sources are, as crates.io ships them.
#
#   copy_crate NAME VERSION DIR    copies the sources to DIR

copy_crate() {
    name=$1 version=$2 dir=$3
    probe=$(mktemp -d)
    mkdir -p "$probe/src"
    : >"$probe/src/lib.rs"
    printf '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n' \
        "$name" "$version" >"$probe/Cargo.toml"
    (cd "$probe" && cargo fetch --quiet)
    rm -r "$probe"
    cp -r "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-$version" "$dir"
    chmod -R u+w "$dir"
}
