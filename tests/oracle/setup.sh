#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the Python environment of the oracles: Debian 12's torch 1.13.1 (CPU only) plus pinned packages from PyPI.
# usage: tests/oracle/setup.sh [VENV] [--llama-cpp]        VENV: build/oracle-venv unless given
# --llama-cpp also builds llama-cpp-python from source (about ten minutes on one core, needs a C++ compiler and cmake).
set -eu
venv=build/oracle-venv
llama_cpp=no
for argument in "$@"; do
    case $argument in
        --llama-cpp) llama_cpp=yes ;;
        -*) echo "setup.sh: unknown option $argument; usage: setup.sh [VENV] [--llama-cpp]" >&2; exit 2 ;;
        *) venv=$argument ;;
    esac
done
# The distribution's own interpreter: another python3 in PATH would not see Debian's torch.
python=${PYTHON:-/usr/bin/python3}
packages="python3-torch python3-venv python3-numpy libopenblas0-openmp"
if ! "$python" -c 'import torch, numpy, ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q $packages
    else
        echo "setup.sh: $python has no torch: run 'apt-get install $packages' first" >&2
        exit 1
    fi
fi
mkdir -p "$(dirname "$venv")"
"$python" -m venv --system-site-packages "$venv"
# --no-deps throughout: Debian's torch calls itself 1.13.0a0, which a resolver counts as older than 1.13.0, so that it
# would fetch torch's newest CUDA build (gigabytes). The list below is therefore complete.
# transformers 4.45.2 is the newest that loads a GGUF with this torch (4.46 and later fail on importing it);
# peft 0.21.2 is the newest there was and needs nothing newer.
"$venv/bin/pip" install -q --no-deps --disable-pip-version-check \
    transformers==4.45.2 tokenizers==0.20.3 huggingface_hub==0.36.2 safetensors==0.8.0 accelerate==1.2.1 \
    peft==0.21.2 gguf==0.17.1 tqdm==4.67.1 packaging==24.2 filelock==3.16.1 fsspec==2024.12.0 regex==2024.11.6 \
    jinja2==3.1.4 MarkupSafe==3.0.2
if [ "$llama_cpp" = yes ]; then
    CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-1} \
    CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF \
-DLLAMA_BUILD_SERVER=OFF -DLLAMA_CURL=OFF -DLLAVA_BUILD=OFF" \
    nice -n 19 "$venv/bin/pip" install -q --no-deps --disable-pip-version-check \
        llama-cpp-python==0.3.16 diskcache==5.6.3
fi
"$venv/bin/python" - <<'PYTHON'
import gguf, importlib.metadata as packages, numpy, peft, torch, transformers
names = ["transformers", "peft", "gguf", "llama-cpp-python"]
have = {n: packages.version(n) for n in names if any(d.metadata["Name"].replace("_", "-") == n
                                                     for d in packages.distributions())}
have["numpy"] = numpy.__version__
print("oracle environment: torch", torch.__version__, *(f"{k} {v}" for k, v in have.items()))
PYTHON
