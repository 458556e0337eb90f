#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the whole of graft/graft.hpp (layers 0 to 13) as one header, or checks one that is written.

    amalgamate.py FILE
    amalgamate.py --check FILE COMPILER FLAG...

The check preprocesses FILE and <graft/graft.hpp> and compares what is left of both, other projects' headers aside: the
same tokens in the same order. FILE must have been written from the present headers by this script.
"""
import os
import pathlib
import re
import subprocess
import sys

import layers

UMBRELLA = "graft/graft.hpp"
LICENCE = "// SPDX-License-Identifier: Apache-2.0"
DIRECTIVE = re.compile(r"^\s*#\s*(\w+)")
MARKER = re.compile(r'^# \d+ "([^"]*)"')
TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\w+|[^\w\s]')
OPENS, CLOSES = {"if", "ifdef", "ifndef"}, {"endif"}


def version():
    text = (layers.ROOT.parent / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(r"^project\(graft VERSION (\S+)", text, re.MULTILINE)[1]


def inline(name, texts, written, standard, out):
    """Appends a header after those it includes; collects in `standard` what it includes of other projects."""
    written.add(name)
    body, depth = [], 0
    for number, line in enumerate(texts[name].splitlines(), 1):
        directive = DIRECTIVE.match(line)
        word = directive[1] if directive else ""
        depth += (word in OPENS) - (word in CLOSES)
        included = layers.INCLUDE.match(line)
        if included and included[2].startswith("graft/"):
            if depth:
                raise SystemExit(f"{name}:{number}: cannot take in a header under a condition")
            if included[2] not in written:
                inline(included[2], texts, written, standard, out)
        elif included and not depth:
            standard.add(included[2])
        elif line != LICENCE and not (word == "pragma" and "once" in line):
            body.append(line)
    text = "\n".join(body).strip("\n")
    if name != UMBRELLA:
        out.append(f"\n// ---- {name}\n" + re.sub(r"\n{3,}", "\n\n", text) + "\n")


def amalgamated():
    texts = {name: path.read_text(encoding="utf-8") for name, path in layers.headers().items()}
    standard, parts = set(), []
    inline(UMBRELLA, texts, set(), standard, parts)
    includes = "".join(f"#include <{name}>\n" for name in sorted(standard))
    return (f"{LICENCE}\n"
            f"// graft {version()} in one header: layers 0 to 13, all of {UMBRELLA}. Needs xsimd, or -DGRAFT_SIMD=0.\n"
            "// Generated from include/graft/ by tests/amalgamate.py: change those, not this.\n"
            "// A program includes this or those, never both.\n"
            f"#pragma once\n\n{includes}" + "".join(parts))


def tokens(source, ours, command):
    """The tokens of preprocessed `source` that come from files for which ours(path) holds."""
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"amalgamate.py: the compiler ended with {done.returncode}\n{done.stderr}")
    found, mine = [], False
    for line in done.stdout.splitlines():
        if marker := MARKER.match(line):
            mine = ours(marker[1])
        elif mine and not line.startswith("#pragma once"):
            found += TOKEN.findall(line)
    return found


def check(file, command):
    """What is wrong with a written file; "" where nothing is."""
    if file.read_text(encoding="utf-8") != amalgamated():
        return f"{file} is not what the headers are now: write it again"
    command = command + ["-E", "-x", "c++", "-"]
    folder = str(layers.ROOT / "graft") + os.sep
    several = tokens(f"#include <{UMBRELLA}>\n", lambda path: path.startswith(folder),
                     command[:1] + [f"-I{layers.ROOT}"] + command[1:])
    one = tokens(f'#include "{file}"\n', lambda path: path == str(file), command)
    if several == one and one:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(several, one)) if a != b), min(len(several), len(one)))
    return (f"{file} and <{UMBRELLA}> differ at token {at} of {len(one)} and {len(several)}:\n"
            f"    {' '.join(one[at:at + 20])}\n    {' '.join(several[at:at + 20])}")


def main(arguments):
    if len(arguments) >= 3 and arguments[0] == "--check":
        wrong = check(pathlib.Path(arguments[1]).resolve(), arguments[2:])
        print(wrong)
        return wrong != ""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    file = pathlib.Path(arguments[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(amalgamated(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
