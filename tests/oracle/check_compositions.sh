#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Random compositions of operations, compiled and compared with PyTorch: values and gradients.
# usage: tests/oracle/check_compositions.sh PYTHON [--count 200] [--first 0] [--second]  PYTHON: of setup.sh's venv
# With --second also Hessians times vectors. About two seconds of a compiler ($CXX) for each. Status 1 on disagreement.
set -eu
python=$(command -v "$1")
shift
cd "$(dirname "$0")/../.."
folder=build/compositions
rm -rf "$folder"
mkdir -p "$folder"
"$python" tests/oracle/compositions.py --count 200 --per-file 20 --out "$folder" "$@"
compile() { ${CXX:-g++} -std=c++20 -O0 -march=native -ffp-contract=off -Iinclude -I. "$@"; }
compile -c tests/main.cpp -o "$folder/main.o"
failed=0
for source in "$folder"/*.cpp; do
    program=${source%.cpp}
    if compile "$source" "$folder/main.o" -o "$program" && "$program" >"$program.log"; then
        echo "agree     $source"
    else
        echo "DISAGREE  $source: see $program.log"
        failed=1
    fi
done
exit $failed
