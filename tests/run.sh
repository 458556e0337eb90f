#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs every test. The last line counts them; any failure ends with status 1.
#
#     sh tests/run.sh          the release build
#     sh tests/run.sh --all    also clang, sanitizers, scalar kernels, AVX2 without AVX-512, the newest clang and xsimd
#                              that packages offer, SSE2, the portable tool, and the fuzzers
#
# Real data is looked for in ../shared/data or $GRAFT_DATA, the chat model in $GRAFT_SMOLLM2 (else it is downloaded once
# to build/models/); tests that miss theirs say so and are counted as skipped.
set -u
cd "$(dirname "$0")/.." || exit 1

all=no
case ${1-} in
    "") ;;
    --all) all=yes ;;
    *) echo "usage: sh tests/run.sh [--all]" >&2; exit 2 ;;
esac

passed=0 failed=0 skipped=0
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

sh examples/needs.sh "g++=g++ --version" "clang=clang++ --version" "cmake=cmake --version" \
    "ninja-build=ninja --version" "python3=python3 --version" "python3-pip=python3 -m pip --version" \
    libxsimd-dev=xsimd/xsimd.hpp doctest-dev=doctest/doctest.h nlohmann-json3-dev=nlohmann/json.hpp \
    libcli11-dev=CLI/CLI.hpp "pkg-config=pkg-config --version" || { failed=1; finish; }

if [ -z "${GRAFT_SMOLLM2-}" ]; then
    sh examples/smollm2.sh >/dev/null || echo "run.sh: tests of the real chat model will be skipped" >&2
fi

export CMAKE_GENERATOR="${CMAKE_GENERATOR-Ninja}" CTEST_OUTPUT_ON_FAILURE=1
if command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER="${CMAKE_CXX_COMPILER_LAUNCHER-ccache}"
fi

# build_with PRESET: configures and builds; a failure counts as one failed test.
build_with() {
    echo "=== $1"
    if [ "$1" = fuzz ]; then programs=OFF; else programs=ON; fi  # whatever an earlier build left in the cache
    if ! cmake --preset "$1" -D GRAFT_TESTS=ON -D GRAFT_EXAMPLES=$programs -D GRAFT_BENCH=$programs ||
        ! cmake --build --preset "$1" --parallel 2; then
        echo "run.sh: the build '$1' failed" >&2
        failed=$((failed + 1))
        return 1
    fi
}

# test_with PRESET: builds, runs the tests, adds up their counts.
test_with() {
    build_with "$1" || return
    log=build/$1/Testing/Temporary/LastTest.log
    rm -f "$log"
    ctest --test-dir "build/$1" --parallel 2 --test-output-size-passed 100000000 --test-output-size-failed 100000000
    ended=$?
    counts=$(awk -f tests/count.awk "$log") || counts="0 1 0"
    # shellcheck disable=SC2086  # three numbers
    set -- "$1" $counts
    if [ "$ended" -ne 0 ] && [ "$3" -eq 0 ]; then set -- "$1" "$2" 1 "$4"; fi
    echo "--- $1: $2 passed, $3 failed, $4 skipped"
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

# The newest clang of Debian's (GRAFT_NEWEST_CLANG) and the newest xsimd (GRAFT_NEWEST_XSIMD), which a Python package
# carries; for what cannot be had, the tests with it count as one that is skipped.
newest() {
    number=$(apt-cache search --names-only '^clang-[0-9]+$' | sed 's/^clang-//; s/ .*//' | sort -n | tail -n 1)
    if [ -n "$number" ] && sh examples/needs.sh "clang-$number=clang++-$number --version"; then
        export GRAFT_NEWEST_CLANG="clang++-$number"
    fi
    folder=$PWD/build/newest-xsimd
    rm -rf "$folder" && mkdir -p "$folder"
    if python3 -m pip download -q --no-deps --only-binary :all: --dest "$folder" pythran &&
        python3 -m zipfile -e "$folder"/pythran-*.whl "$folder"; then
        export GRAFT_NEWEST_XSIMD="$folder/pythran"
    fi
    if [ ! -f "${GRAFT_NEWEST_XSIMD-}/xsimd/xsimd.hpp" ]; then
        echo "skipped  newest, newest-sse2: no xsimd from the Python package pythran" >&2
        skipped=$((skipped + 2))
        return
    fi
    test_with newest-sse2
    if [ -z "${GRAFT_NEWEST_CLANG-}" ]; then
        echo "skipped  newest: no clang-NUMBER among Debian's packages" >&2
        skipped=$((skipped + 1))
        return
    fi
    echo "newest: $GRAFT_NEWEST_CLANG, xsimd $(sed -n 's/^#define XSIMD_VERSION_[A-Z]* //p' \
        "$GRAFT_NEWEST_XSIMD/xsimd/config/xsimd_config.hpp" | paste -s -d .)"
    test_with newest
}

# The tool once per instruction set: the launcher becomes each that this processor runs.
portable() {
    build_with portable || return
    for architecture in sse2 avx2 avx512 avx512vnni; do
        if [ "$(GRAFT_ARCHITECTURE=$architecture build/portable/graft --version 2>&1)" = \
            "$(build/portable/graft-$architecture --version 2>&1)" ]; then
            passed=$((passed + 1))
        elif GRAFT_ARCHITECTURE=$architecture build/portable/graft --version 2>&1 | grep -q 'this processor runs'; then
            echo "skipped  portable: this processor does not run $architecture" >&2
            skipped=$((skipped + 1))
        else
            failed=$((failed + 1))
        fi
    done
}

# Each fuzzer for a minute, from what the last run found; a crash leaves its input in build/fuzz/tests/.
fuzz() {
    build_with fuzz || return
    for fuzzer in build/fuzz/tests/fuzz_*; do
        case $fuzzer in *.*) continue ;; esac  # logs, corpora, what crashed
        echo "=== $fuzzer"
        mkdir -p "$fuzzer.corpus"
        if "$fuzzer" -max_total_time=60 -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
            -artifact_prefix="$fuzzer." "$fuzzer.corpus" >"$fuzzer.log" 2>&1; then
            passed=$((passed + 1))
        else
            grep -v '# Uses: ' "$fuzzer.log" | tail -n 40
            failed=$((failed + 1))
        fi
    done
}

test_with release
if [ "$all" = yes ]; then
    cmake --build --preset release --target benches --parallel 2 || failed=$((failed + 1))
    for preset in debug-sanitizers clang-release clang-debug-sanitizers scalar avx2; do
        test_with "$preset"
    done
    newest
    portable
    fuzz
fi
finish
