#!/bin/sh
# Installs what the tests need beyond cargo, gcc, make, python3 and git, where it is missing.
set -eu
missing=
for tool in g++ objcopy tmux; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
packages=$(echo "$missing" | sed 's/objcopy/binutils/')
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -y -qq $packages
