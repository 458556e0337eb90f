#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the numbered examples and compares what they print with NAME.txt beside this file.

    run.py FOLDER-OF-PROGRAMS [NAME...]

Words must be equal; numbers may differ by one in the last digit that the text gives, or by what it allows:

    0.331~0.05        between 0.281 and 0.381

Programs run in the top folder of the project. Every examples/NN_*.cpp needs such a text, but for those of `ELSEWHERE`.
"""
import decimal
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
ELSEWHERE = {"10_fine_tune_inside"}  # tests/tool/ runs it on a model
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
SPLIT = re.compile(r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?:~[\d.]+)?|\s+|[^\d\s+-]+|.)")


def words(line):
    return [word for word in SPLIT.findall(line) if word.strip()]


def agrees(wanted, got):
    """Is a printed word what the text says?"""
    if wanted == got:
        return True
    if not NUMBER.fullmatch(got):
        return False
    number, _, slack = wanted.partition("~")
    if not NUMBER.fullmatch(number) or ("." in number or "e" in number) != ("." in got or "e" in got):
        return False
    if not slack:  # one in the last digit, but whole numbers are counted
        exponent = decimal.Decimal(number).as_tuple().exponent
        slack = decimal.Decimal(1).scaleb(exponent) if exponent < 0 or "e" in number else 0
    return abs(decimal.Decimal(got) - decimal.Decimal(number)) <= decimal.Decimal(slack)


def compare(wanted, got):
    """What differs, a line per mistake."""
    wanted, got = wanted.splitlines(), got.splitlines()
    wrong = [f"prints {len(got)} lines, expected {len(wanted)}"] if len(wanted) != len(got) else []
    for number, (left, right) in enumerate(zip(wanted, got), 1):
        one, other = words(left), words(right)
        if len(one) != len(other) or not all(map(agrees, one, other)):
            wrong.append(f"line {number}: expected {left!r}, got {right!r}")
    return wrong


def check(name, programs):
    expected, program = HERE / f"{name}.txt", programs / name
    if not expected.exists():
        return [f"tests/examples/{name}.txt is missing"]
    if not program.exists():
        return [f"{program} was not built"]
    done = subprocess.run([str(program)], cwd=TOP, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        return [f"ends with {done.returncode}", *done.stderr.splitlines()]
    return compare(expected.read_text(encoding="utf-8"), done.stdout)


def main(programs, *only):
    names = [path.stem for path in sorted((TOP / "examples").glob("[0-9]*.cpp")) if path.stem not in ELSEWHERE]
    names, failed = [name for name in names if not only or name in only], 0
    for name in names:
        wrong = check(name, pathlib.Path(programs))
        failed += bool(wrong)
        for line in wrong:
            print(f"{name}: {line}", flush=True)
    print(f"[examples] test cases: {len(names)} | {len(names) - failed} passed | {failed} failed | 0 skipped")
    return failed > 0 or not names


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
