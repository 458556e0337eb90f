#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From nothing to a LoRA adapter: installs what is missing, builds graft, obtains a small chat model, fine-tunes it on
# questions and answers about graft, and shows three answers before and after.
#
#     sh examples/finetune.sh [--model FILE.gguf] [OPTION OF graft finetune]...
#
# Without --model it takes SmolLM2-135M-Instruct (examples/smollm2.sh). Everything lands in build/; other options go to
# `graft finetune` (--data, --output, --epochs, --rank, --lr, ...; `build/release/graft finetune --help` names all).
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)  # the current folder stays: paths in options are relative to it
usage() { echo "finetune.sh: $1 needs a value" >&2; exit 2; }

model='' data=$top/examples/data/graft.jsonl output=$top/build/adapter
count=$#
while [ "$count" -gt 0 ]; do  # turns the list once: what is not ours is appended again
    option=$1 value='' separate=no
    shift; count=$((count - 1))
    case $option in
        -h | --help) sed -n '3,9s/^# \{0,1\}//p' "$top/examples/finetune.sh"; exit 0 ;;
        --model=* | --data=* | --output=*) value=${option#*=} option=${option%%=*} ;;
        --model | --data | --output) separate=yes ;;
        *) set -- "$@" "$option"; continue ;;
    esac
    if [ "$separate" = yes ]; then
        [ "$count" -gt 0 ] || usage "$option"
        value=$1
        shift; count=$((count - 1))
    fi
    [ -n "$value" ] || usage "$option"
    case $option in
        --model) model=$value ;;
        --data) data=$value ;;
        --output) output=$value ;;
    esac
done

# has NAME OPTION...: is NAME among the options?
has() {
    name=$1; shift
    for option; do case $option in "$name" | "$name"=*) return 0 ;; esac; done
    return 1
}
# What teaches a few hundred short answers in minutes, unless the caller says otherwise.
recipe=''
has --lr "$@" || recipe="$recipe --lr 2e-3"
has --batch-size "$@" || recipe="$recipe --batch-size 8"
has --epochs "$@" || has --steps "$@" || recipe="$recipe --epochs 5"
if [ "$output" = "$top/build/adapter" ]; then  # this script's own folder: a second run starts anew
    has --overwrite "$@" || has --resume "$@" || recipe="$recipe --overwrite"
fi

sh "$top/examples/needs.sh" "g++=g++ --version" "cmake=cmake --version" "ninja-build=ninja --version" \
    "python3=python3 --version" libxsimd-dev=xsimd/xsimd.hpp nlohmann-json3-dev=nlohmann/json.hpp \
    libcli11-dev=CLI/CLI.hpp
if [ -z "$model" ]; then
    [ -f "$top/build/models/SmolLM2-135M-Instruct.Q4_1.gguf" ] ||
        sh "$top/examples/needs.sh" "python3-pip=python3 -m pip --version"
    model=$(sh "$top/examples/smollm2.sh")
elif [ ! -e "$model" ]; then
    echo "finetune.sh: $model: no such file" >&2
    exit 3
fi

graft=$top/build/release/graft
export CMAKE_GENERATOR="${CMAKE_GENERATOR-Ninja}"
(
    cd "$top"
    cmake --preset release -D GRAFT_TESTS=OFF -D GRAFT_BENCH=OFF --log-level=WARNING
    cmake --build --preset release --target graft_tool --parallel 2
) >&2

# The three demo questions: rows marked "demo" in the project's own data, which are held out of training.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
python3 - "$work" "$top/examples/data/graft.jsonl" <<'DEMO'
import json, pathlib, sys
rows = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8") if line.strip()]
for i, row in enumerate([row for row in rows if row.get("demo")][:3], 1):
    for name, text in ("question", row["messages"][-2]["content"]), ("key", row["key"]):
        pathlib.Path(sys.argv[1], f"{name}.{i}").write_text(text, encoding="utf-8")
DEMO

# answer WHEN [OPTION]...: asks the three questions, each answer into its file.
answer() {
    when=$1; shift
    for i in 1 2 3; do
        "$graft" generate --model "$model" "$@" --prompt "$(cat "$work/question.$i")" \
            --max-tokens 64 --temperature 0 >"$work/$when.$i"
    done
}
# has_key WHEN I
has_key() { if grep -qiF -e "$(cat "$work/key.$2")" "$work/$1.$2"; then echo yes; else echo no; fi; }

echo "Asking the model as it is ..." >&2
answer before
# shellcheck disable=SC2086  # words of our own
"$graft" finetune --model "$model" --data "$data" --output "$output" $recipe "$@"
echo "Asking the model with the adapter ..." >&2
answer after --adapter "$output"

for i in 1 2 3; do
    echo
    echo "Question $i: $(cat "$work/question.$i")"
    { echo "before"; echo "------"; fold -s -w 56 "$work/before.$i"; } >"$work/left"
    { echo "after"; echo "-----"; fold -s -w 56 "$work/after.$i"; } >"$work/right"
    pr -m -t -w 118 "$work/left" "$work/right" | expand
    echo "  \"$(cat "$work/key.$i")\" in the answer: $(has_key before "$i") before, $(has_key after "$i") after"
done
echo
echo "The adapter lies in $output"
