#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header alone: what it needs, it includes.

    headers.py [--core] [--jobs N] COMPILER FLAG...

--core takes the layers 0 to 13 without what is hosted only, as firmware sees them: no exceptions, no RTTI, no SIMD.
"""
import concurrent.futures
import subprocess
import sys

import layers

FIRMWARE = ["-fno-exceptions", "-fno-rtti", "-DGRAFT_SIMD=0"]


def compile_alone(name, command):
    """The compiler's complaint about a file that includes `name` twice and nothing else; "" where it has none."""
    source = f"#include <{name}>\n#include <{name}>\n"
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr or f"the compiler ended with {done.returncode}\n"


def main(arguments):
    core, jobs = False, 2
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)
        if option == "--core":
            core = True
        elif option == "--jobs":
            jobs = int(arguments.pop(0))
        else:
            return f"headers.py: no option {option}"
    command = arguments + (FIRMWARE if core else []) + [f"-I{layers.ROOT}", "-fsyntax-only", "-x", "c++", "-"]
    texts = {name: path.read_text(encoding="utf-8") for name, path in layers.headers().items()}
    names = [name for name in texts
             if not core or (layers.layer(name) or 0) <= layers.CORE
             and not any(layers.is_hosted(there, texts[there]) for there in layers.reached(name, texts))]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, wrong in zip(names, pool.map(lambda name: compile_alone(name, command), names)):
            if wrong:
                failed += 1
                print(f"{name} does not compile alone:\n{wrong}", flush=True)
    title = "headers.core" if core else "headers"
    print(f"[{title}] test cases: {len(names)} | {len(names) - failed} passed | {failed} failed | 0 skipped")
    return failed > 0 or not names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
