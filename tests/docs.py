#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the code in README.md and docs/: that it compiles, and that the guide quotes the examples as they are.

    docs.py COMPILER FLAG...

A block between ```cpp and ``` compiles by itself if it has a `main` or includes something; else it is a fragment, which
comes after `#include <graft/graft.hpp>` and `using namespace graft;`, in a namespace of its own. An HTML comment in the
line before a block, which readers do not see, says what else it needs:

    <!-- in a function: tensor<float, any, 8> x(5); -->    the fragment is the body of a function, after this line
    <!-- after: struct sine; -->                           this line comes before the fragment

In docs/guide/NN_name.md every such block must occur, indented, in examples/NN_name.cpp, which the build compiles,
and what a block without a language shows must be what tests/examples/NN_name.txt says. Links between pages must lead
somewhere.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

TOP = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^(?:<!-- (?P<say>.*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
START = "#include <graft/graft.hpp>\n\n#include <array>\n#include <cmath>\n#include <cstdio>\n#include <vector>\n\n"


def pages():
    return [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]


def example_of(page):
    """The example that a page of the guide is about, or None."""
    found = TOP / "examples" / f"{page.stem}.cpp"
    return found if page.parent.name == "guide" and found.exists() else None


def wrapped(text, say, number):
    """A fragment as it is compiled, in a namespace of its own."""
    before, inside = "", f"{text}"
    if say.startswith("after: "):
        before = say.removeprefix("after: ") + "\n"
    elif say.startswith("in a function"):
        inside = f"[[maybe_unused]] static void body() {{\n{say.partition(': ')[2]}\n{text}}}\n"
    return f"namespace block_{number} {{\n{before}{inside}}}\n"


def is_program(text):
    return "#include" in text or "int main(" in text


def check_quote(page, example, block):
    """What is wrong with a block of the guide."""
    where = f"{page.relative_to(TOP)}:{line_of(page, block)}"
    if block["language"] == "cpp":
        source = example.read_text(encoding="utf-8")
        if not any(textwrap.indent(block["text"], " " * columns) in source for columns in (0, 4, 8)):
            return [f"{where}: not in examples/{example.name}"]
    if block["language"] == "":
        said = (TOP / "tests" / "examples" / f"{page.stem}.txt").read_text(encoding="utf-8")
        said = re.sub(r"~[\d.]+", "", said)
        if block["text"] not in said:
            return [f"{where}: not what tests/examples/{page.stem}.txt says is printed"]
    return []


def line_of(page, block):
    return page.read_text(encoding="utf-8")[: block.start()].count("\n") + 1


def check_links(page, text):
    return [f"{page.relative_to(TOP)}: the link {link} leads nowhere" for link in LINK.findall(text)
            if "://" not in link and not (page.parent / link).exists()]


def compiles(command, name, text):
    """What the compiler says about a text, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "block.cpp"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"{name}:", *done.stderr.replace(str(path), name).splitlines()[:30]]


def main(command):
    command = [*command, f"-I{TOP / 'include'}", "-fsyntax-only", "-Wno-unused-function", "-Wno-unused-variable",
               "-Wno-unused-but-set-variable", "-Wno-unused-const-variable", "-Wno-shadow"]
    wrong, programs, fragments = [], [], []  # wrong: of each check, what it says
    for page in pages():
        text, example = page.read_text(encoding="utf-8"), example_of(page)
        wrong.append(check_links(page, text))
        for block in BLOCK.finditer(text):
            name, say = f"{page.relative_to(TOP)}:{line_of(page, block)}", block["say"] or ""
            if example:
                wrong.append(check_quote(page, example, block))
            elif block["language"] != "cpp":
                continue
            elif is_program(block["text"]):
                programs.append((name, block["text"]))
            else:
                line = f'#line {line_of(page, block)} "{page.relative_to(TOP)}"\n'
                fragments.append(line + wrapped(block["text"], say, len(fragments)))
    # All fragments are one translation unit, so that the library is read once.
    jobs = [*programs, ("fragments", START + "using namespace graft;\n\n" + "\n".join(fragments))]
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for told in pool.map(lambda job: compiles(command, *job), jobs):
            wrong.append(told)
    failed = sum(map(bool, wrong))
    print("".join(line + "\n" for told in wrong for line in told), end="")
    print(f"[docs] test cases: {len(wrong)} | {len(wrong) - failed} passed | {failed} failed | 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
