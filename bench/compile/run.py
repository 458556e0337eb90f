# SPDX-License-Identifier: Apache-2.0
"""What compiling with graft costs: user seconds of small programs, the best of several runs, beside the budgets, and
how many templates each instantiates (counted by clang, where it is there).

usage: python3 bench/compile/run.py [--compiler g++] [--runs 3] [--json]

Seconds depend on the machine and its load: judge the ratios, which are taken in the same run. Programs marked -O2 are
optimised, the others are not.
"""
import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BLOCK = """
    #include <graft/graft.hpp>
    using namespace graft;
    using trains = trainer<llama<lora>, mesp, adamw>;
    double step(trains& t, batch const& b) { double const loss = t.accumulate(b, 1); t.apply(1e-3); return loss; }
"""
GRADIENT = """
    #include <graft/graft.hpp>
    using namespace graft;
    auto regression(tensor<float, any, 8>& X, tensor<float, 8>& W) {
        constexpr symbol<"x", any, 8> x;
        constexpr symbol<"w", 8> w;
        auto step = prepare<float>(value_and_gradient(mean(softplus(x * w)), wrt(w)), x = X, w = W);
        step();
        return step.value();
    }
"""


def shapes(count):
    """`count` functions, each of which evaluates one expression on tensors of a static shape of its own."""
    text = "#include <graft/graft.hpp>\nusing namespace graft;\n"
    for k in range(count):
        matrix, row = f"tensor<float, {8 + k}, {9 + k}>", f"tensor<float, {9 + k}>"
        text += f"void f{k}({matrix}& y, {matrix} const& a, {matrix} const& b, {row} const& c)"
        text += " { y = silu(a) * b + c; }\n"
    return text


# name, program, budget: seconds, or a multiple of an earlier program
PROGRAMS = [
    ("xsimd alone", "#include <xsimd/xsimd.hpp>", None, None),
    ("fwd.hpp", "#include <graft/fwd.hpp>", 0.1, None),
    ("firmware.hpp", "#include <graft/firmware.hpp>", 0.6, None),
    ("graft.hpp", "#include <graft/graft.hpp>", None, (1.4, "xsimd alone")),
    ("one expression, -O2", shapes(1), None, None),
    ("sixteen static shapes, -O2", shapes(16), None, (1.5, "one expression, -O2")),
    ("a gradient, -O2", GRADIENT, None, None),
    ("a Llama block's training step", BLOCK, None, None),
    ("a Llama block's training step, -O2", BLOCK, None, None),
]


def command(compiler, source, flags):
    return [compiler, "-std=c++20", "-march=native", *flags, "-I", os.path.join(TOP, "include"), source]


def user_seconds(compiler, source, flags):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command(compiler, source, [*flags, "-o", os.devnull]), check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def instantiations(source, folder):
    """Classes and functions that clang instantiates for a program; None without clang."""
    if not shutil.which("clang++"):
        return None
    out = os.path.join(folder, "trace.o")
    flags = ["-c", "-ftime-trace", "-ftime-trace-granularity=0", "-o", out]
    subprocess.run(command("clang++", source, flags), check=True)
    with open(os.path.join(folder, "trace.json"), encoding="utf-8") as f:
        events = json.load(f)["traceEvents"]
    return sum(e["name"] in ("InstantiateClass", "InstantiateFunction") for e in events)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--compiler", default="g++")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--json", action="store_true")
    o = arguments.parse_args()
    rows, taken = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, text, seconds, ratio in PROGRAMS:
            source = os.path.join(folder, "program.cpp")
            with open(source, "w", encoding="utf-8") as f:
                f.write(text)
            flags = ["-O2", "-c"] if name.endswith("-O2") else ["-c"]
            taken[name] = best = min(user_seconds(o.compiler, source, flags) for _ in range(o.runs))
            budget = seconds if seconds is not None else ratio and ratio[0] * taken[ratio[1]]
            rows.append(
                {
                    "program": name,
                    "seconds": round(best, 3),
                    "to_xsimd": round(best / taken["xsimd alone"], 2),
                    "instantiations": instantiations(source, folder),
                    "budget": None if budget is None else round(budget, 3),
                    "within": budget is None or best <= budget,
                }
            )
    if o.json:
        print(json.dumps({"compiler": o.compiler, "rows": rows}))
    else:
        for r in rows:
            budget = "" if r["budget"] is None else f"  budget {r['budget']:.2f} s{'' if r['within'] else '  EXCEEDED'}"
            count = "" if r["instantiations"] is None else f"  {r['instantiations']:6} instantiations"
            print(f"{r['program']:36} {r['seconds']:6.2f} s  {r['to_xsimd']:5.2f} x xsimd{count}{budget}")
    return 0 if all(r["within"] for r in rows) else 1


sys.exit(main())
