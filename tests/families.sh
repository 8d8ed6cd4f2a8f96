#!/bin/bash
# Containers of C, C++ and interpreters against their own account, family by family: builds a
# victim for each whose packages are present, runs it under `mapgrow run` and compares every
# table. Prints the table of docs/families.md.
#
#   tests/families.sh [--install] [NAME...]
#
# --install gets the packages that are missing (Debian, as root). COMMAND: the command (default:
# target/release/mapgrow).
set -u
here=$(cd "$(dirname "$0")" && pwd)
export COMMAND=${COMMAND:-$here/../target/release/mapgrow}
COMMAND=$(realpath "$COMMAND")
victims=$here/families
work=$(mktemp -d "${TMPDIR:-/tmp}/families-XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME=$work
# Of blocks that the C library maps alone the kernel moves the pages, and no old table lives beside
# the new one. A victim cannot tell that from a copy, so here none is mapped: every move is a copy.
export GLIBC_TUNABLES=glibc.malloc.mmap_threshold=1073741824

if [ "${1:-}" = --install ]; then
    shift
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++ clang \
        libc++-dev libc++abi-dev libabsl-dev libboost1.81-dev libsparsehash-dev robin-map-dev \
        libtsl-hopscotch-map-dev libglib2.0-dev uthash-dev \
        liblua5.4-dev libssl-dev libsqlite3-dev zlib1g-dev ruby-dev libperl-dev pkg-config \
        postgresql-15 postgresql-server-dev-15 || exit 1
fi

as_postgres=()
cxx() { "$1" -std=c++17 -O2 -g "$victims/$2.cpp" -o "$work/$3" "${@:4}"; }
cc() { gcc -O2 -g "$victims/$1.c" -o "$work/$1" "${@:2}"; }
lib() { gcc -print-file-name="$1"; }
build_libstdcxx() { cxx g++ std "$1"; }
build_libcxx() { cxx clang++ std "$1" -stdlib=libc++; }
build_abseil() { cxx g++ abseil "$1" $(pkg-config --libs absl_raw_hash_set absl_hash absl_city); }
build_boost() { cxx g++ boost "$1"; }
build_sparsehash() { cxx g++ sparsehash "$1"; }
build_tsl() { cxx g++ tsl "$1"; }
build_glib() { cc glib $(pkg-config --cflags --libs glib-2.0); }
build_uthash() { cc uthash; }
# Linked statically: Debian's shared library has lost the names of its own functions.
build_lua() { cc lua -I/usr/include/lua5.4 "$(lib liblua5.4.a)" -lm -ldl; }
build_sqlite() { cc sqlite "$(lib libsqlite3.a)" -lm -ldl -lz; }
# Once with the names of its functions and once as Debian ships it.
build_perl() { cc perl $(perl -MExtUtils::Embed -e ccopts) "$(lib libperl.a)" -lm -ldl -lcrypt -pthread; }
build_libperl() { gcc -O2 -g "$victims/perl.c" -o "$work/libperl" $(perl -MExtUtils::Embed -e ccopts) -lperl; }
build_ruby() { cc ruby $(pkg-config --cflags --libs ruby-3.1); }
# An extension, which a backend of its own loads; PostgreSQL does not run as root.
build_dynahash() {
    local postgres=/usr/lib/postgresql/15/bin directory=$work/dynahash.d
    mkdir -p "$directory" && chmod 755 "$work" "$directory" || return 1
    gcc -O2 -g -fPIC -shared "$victims/dynahash.c" -o "$directory/dynahash.so" \
        -I"$("$postgres/pg_config" --includedir-server)" || return 1
    printf '%s\n' '#!/bin/sh' 'exec 3>&1 >/dev/null 2>&1 </dev/null' \
        "exec $postgres/postgres --single -D $directory/data \\" \
        "    -c shared_preload_libraries=$directory/dynahash.so postgres" > "$work/dynahash"
    chmod 755 "$work/dynahash"
    if [ "$(id -u)" = 0 ]; then
        as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME="$directory")
        chown -R postgres "$directory"
    fi
    "${as_postgres[@]}" "$postgres/initdb" -D "$directory/data" -A trust --no-sync > "$work/initdb" 2>&1
}
build_openssl() { cc openssl "$(lib libcrypto.a)" -ldl -pthread; }

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(libstdcxx libcxx abseil boost sparsehash tsl glib uthash lua openssl perl libperl ruby sqlite dynahash)
echo '| program | filled by | tables | bytes | known as | against its own account |'
echo '| --- | --- | --- | --- | --- | --- |'
failed=0
for name in "${names[@]}"; do
    if ! "build_$name" "$name" 2> "$work/errors"; then
        echo "| $name | | | | | not built: $(grep -m1 -E 'error|not found|No such' "$work/errors" | cut -c1-80) |"
        continue
    fi
    as=()
    [ "$name" != dynahash ] || as=("${as_postgres[@]}")
    "${as[@]}" "$victims/check.py" "$name" "$work/$name" 2> "$work/errors" || { failed=1; grep Error "$work/errors" >&2; }
done
exit $failed
