# SPDX-License-Identifier: Apache-2.0
"""What compiling with graft costs: user seconds of small programs, the best of several runs, beside the budgets.

usage: python3 bench/compile/run.py [--compiler g++] [--runs 3] [--json]

Seconds depend on the machine and its load: judge the ratios to `xsimd alone`, taken in the same run.
"""
import argparse
import json
import os
import resource
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
# name, program, budget: seconds, or a multiple of `xsimd alone`
PROGRAMS = [
    ("xsimd alone", "#include <xsimd/xsimd.hpp>", None, None),
    ("fwd.hpp", "#include <graft/fwd.hpp>", 0.1, None),
    ("firmware.hpp", "#include <graft/firmware.hpp>", 0.6, None),
    ("graft.hpp", "#include <graft/graft.hpp>", None, 1.4),
    ("a Llama block's training step, -O0", BLOCK, None, None),
    ("a Llama block's training step, -O2", BLOCK, None, None),
]


def user_seconds(compiler, source, flags):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    include = os.path.join(TOP, "include")
    subprocess.run([compiler, "-std=c++20", "-march=native", *flags, "-I", include, source], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--compiler", default="g++")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--json", action="store_true")
    o = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text, seconds, ratio in PROGRAMS:
            source = os.path.join(folder, "program.cpp")
            with open(source, "w", encoding="utf-8") as f:
                f.write(text)
            flags = ["-O2", "-c", "-o", os.devnull] if name.endswith("-O2") else ["-c", "-o", os.devnull]
            best = min(user_seconds(o.compiler, source, flags) for _ in range(o.runs))
            base = rows[0]["seconds"] if rows else best
            budget = seconds if seconds is not None else ratio * base if ratio is not None else None
            rows.append(
                {
                    "program": name,
                    "seconds": round(best, 3),
                    "to_xsimd": round(best / base, 2),
                    "budget": None if budget is None else round(budget, 3),
                    "within": budget is None or best <= budget,
                }
            )
    if o.json:
        print(json.dumps({"compiler": o.compiler, "rows": rows}))
    else:
        for r in rows:
            budget = "" if r["budget"] is None else f"  budget {r['budget']:.2f} s{'' if r['within'] else '  EXCEEDED'}"
            print(f"{r['program']:38} {r['seconds']:6.2f} s  {r['to_xsimd']:5.2f} x xsimd{budget}")
    return 0 if all(r["within"] for r in rows) else 1


sys.exit(main())
