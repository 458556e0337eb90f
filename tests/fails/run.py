#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles programs that must not compile, and reads what the compiler says about them.

    run.py COMPILER FLAG...

Each NAME.cpp beside this file begins with comments that say what the first error must contain:

    // expects: TEXT               whatever the compiler
    // expects (g++): TEXT         one compiler only; likewise (clang++)
    // shows: TEXT                 in a line of the source that the compiler quotes

The first error, with its notes but without the lines that quote the source, has at most 15 lines. A `#ifdef RIGHT`
branch, where there is one, holds the program as it should have been written, which must compile.
"""
import concurrent.futures
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
LONGEST = 15
ERROR = re.compile(r"^\S.*?: (fatal )?error: ")
# Lines that lead to an error: they belong to the next one.
LEADING = re.compile(r"^In file included from |^\s+from |: In (member |static member |lambda |copy )?"
                     r"(function|instantiation|substitution|constructor) |: At global scope|   required (from|by) |"
                     r": In .*(function|instantiation|constructor|lambda)|^\s+in ‘constexpr’ expansion")


def first_error(text):
    """Lines of the first error: what leads to it, itself, its notes."""
    lines = [line for line in text.splitlines() if not re.match(r"^\s*\d* \|", line)]
    starts = [number for number, line in enumerate(lines) if ERROR.search(line)]
    if not starts:
        return []
    end = starts[1] if len(starts) > 1 else len(lines)
    while len(starts) > 1 and end > starts[0] + 1 and LEADING.search(lines[end - 1]):
        end -= 1
    return [line for line in lines[:end] if not re.match(r"^(compilation terminated|\d+ errors? generated)", line)]


def wishes(source, verb, compiler):
    """The texts that the first error must contain (`expects`) or quote (`shows`)."""
    matches = re.findall(rf"^// {verb}(?: \(([^)]*)\))?: (.*)", source, re.MULTILINE)
    return [text for only, text in matches if only in ("", compiler)]


def check(path, command, compiler):
    """What is wrong with the compiler's answer to one program, a line per mistake."""
    quiet = "-fno-caret-diagnostics" if compiler == "clang++" else "-fno-diagnostics-show-caret"
    source = path.read_text(encoding="utf-8")
    wanted, wrong = wishes(source, "expects", compiler), []

    def run(*more):
        return subprocess.run([*command, *more, str(path)], capture_output=True, text=True, check=False)

    if not wanted:
        wrong.append("says nothing of what it expects")
    if "#ifdef RIGHT" in source and (right := run("-DRIGHT", quiet)).returncode != 0:
        wrong.append("does not compile where it is right:\n" + "\n".join(first_error(right.stderr)))
    done = run(quiet)
    if done.returncode == 0:
        return wrong + ["compiles"]
    first = first_error(done.stderr)
    wrong += [f"the first error does not say: {text}" for text in wanted if text not in "\n".join(first)]
    for text in wishes(source, "shows", compiler):
        if text not in run().stderr:
            wrong.append(f"the compiler does not quote: {text}")
    if len(first) > LONGEST:
        wrong.append(f"the first error has {len(first)} lines, at most {LONGEST}")
    if wrong:
        wrong.append("the first error:\n" + "\n".join("    " + line for line in first))
    return wrong


def main(command):
    compiler = "clang++" if "clang" in pathlib.Path(command[0]).name else "g++"
    command = [*command, f"-I{HERE.parent.parent / 'include'}", "-fsyntax-only"]
    paths, failed = sorted(HERE.glob("*.cpp")), 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for path, wrong in zip(paths, pool.map(lambda path: check(path, command, compiler), paths)):
            failed += bool(wrong)
            for line in wrong:
                print(f"{path.name}: {line}", flush=True)
    print(f"[fails.{compiler}] test cases: {len(paths)} | {len(paths) - failed} passed | {failed} failed | 0 skipped")
    return failed > 0 or not paths


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
