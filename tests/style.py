#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what a machine can check of the house style, in every source file of the project.

At most 450 lines of at most 120 columns, a licence line, no tabs, no trailing blanks, nothing left to do; in headers:
`#pragma once`, the layer named on top, no macro outside base/config.hpp, and a test in the folder of the same name
that reaches it.
"""
import functools
import pathlib
import re
import sys

import layers

TOP = layers.ROOT.parent
FOLDERS = ("include", "tests", "examples", "bench", ".ci")
KINDS = {".hpp", ".cpp", ".py", ".sh", ".cmake"}
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def sources():
    yield TOP / "CMakeLists.txt"
    for folder in FOLDERS:
        for path in sorted((TOP / folder).rglob("*")):
            if path.is_file() and (path.suffix in KINDS or path.name in ("CMakeLists.txt", "run")):
                yield path


def check(path):
    """What is wrong with one file, a line per mistake."""
    name, lines = path.relative_to(TOP), path.read_text(encoding="utf-8").splitlines()
    wrong = []
    if len(lines) > 450:
        wrong.append(f"{name}:451: {len(lines)} lines, at most 450")
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
        wrong.append(f"{name}:1: no `SPDX-License-Identifier: Apache-2.0` in the first two lines")
    for number, line in enumerate(lines, 1):
        if len(line) > 120:
            wrong.append(f"{name}:{number}: {len(line)} columns, at most 120")
        if "\t" in line or line != line.rstrip():
            wrong.append(f"{name}:{number}: a tab or a blank at the end")
        if UNFINISHED.search(line):
            wrong.append(f"{name}:{number}: something left to do")
    if name.parts[0] == "include":
        wrong += check_header(str(name.relative_to("include")), name, lines)
    return wrong


def check_header(included, name, lines):
    wrong, layer = [], layers.layer(included)
    if "#pragma once" not in lines[:12]:
        wrong.append(f"{name}:1: no `#pragma once`")
    if included in layers.UMBRELLAS:
        return wrong
    folder = included.split("/")[1]
    if layer is not None and f"(layer {layer}: {folder})" not in "\n".join(lines[:8]):
        wrong.append(f"{name}:2: no `(layer {layer}: {folder})` in the first lines")
    if included != "graft/base/config.hpp":
        wrong += [f"{name}:{number}: a macro; base/config.hpp has all of them"
                  for number, line in enumerate(lines, 1) if re.match(r"\s*#\s*define\b", line)]
    if included not in tested(folder):
        wrong.append(f"{name}:1: no test in tests/{folder}/ reaches it")
    return wrong


@functools.cache
def tested(folder):
    """The headers that the tests of a folder include, directly or not."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in layers.headers().items()}
    return {there for path in (TOP / "tests" / folder).glob("*.cpp")
            for _, _, first in layers.includes(path.read_text(encoding="utf-8"))
            for there in layers.reached(first, texts)}


def main():
    paths, failed = list(sources()), 0
    for path in paths:
        wrong = check(path)
        failed += bool(wrong)
        print("".join(line + "\n" for line in wrong), end="")
    print(f"[style] test cases: {len(paths)} | {len(paths) - failed} passed | {failed} failed | 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
