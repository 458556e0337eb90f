#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs Debian packages that are missing.
#
#     sh examples/needs.sh PACKAGE=PROBE...
#
# PROBE is a header (xsimd/xsimd.hpp) or a command that succeeds where the package is there (cmake --version).
set -eu

missing=
for need in "$@"; do
    package=${need%%=*} probe=${need#*=}
    case $probe in
        */*.h*) [ -f "/usr/include/$probe" ] || [ -f "/usr/local/include/$probe" ] || missing="$missing $package" ;;
        *) $probe >/dev/null 2>&1 </dev/null || missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

echo "Installing:$missing" >&2
if ! command -v apt-get >/dev/null; then
    echo "needs.sh: no apt-get here. Install by other means:$missing" >&2
    exit 1
fi
root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "needs.sh: not root, and no sudo. Ask for: apt-get install$missing" >&2
        exit 1
    fi
    root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq >&2 || echo "needs.sh: apt-get update failed; trying with the lists at hand" >&2
# shellcheck disable=SC2086  # a list of words
if ! $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2; then
    echo "needs.sh: apt-get could not install:$missing" >&2
    exit 1
fi
