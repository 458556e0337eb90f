# SPDX-License-Identifier: Apache-2.0
"""DoRA, rsLoRA, and ranks and alphas of single modules between PEFT and graft: do both compute the same logits?

usage: check_dora.py BASE.gguf GRAFT_TOOL PRINT_FIGURES [--work DIR] [--tolerance 1e-4] [--kinds dora,...]
For each kind of adapter, PEFT makes one on the base with regular expressions as keys of its patterns and random B and
magnitudes, and then
  read      graft's logits of it (PRINT_FIGURES is tests/tools/print_figures.cpp, built) against PEFT's;
  written   graft writes it again (`graft convert`), PEFT loads that: every tensor taken, the same logits;
  merged    graft merges it (`graft merge --type f32`), transformers loads the model without PEFT: the same logits.
Exit 1 on disagreement, and when the adapter is too weak for the comparison to mean anything.
"""

import argparse
import json
import os
import subprocess
import sys

import common
from check_peft import adapter_complaints

KINDS = {
    "dora": ["--dora"],
    "dora-rslora-patterns": [
        "--dora",
        "--rslora",
        "--rank-pattern",
        r".*\.[02]\.self_attn\.(q|k)_proj=2;layers.1[0-9].*gate_proj=6",
        "--alpha-pattern",
        r"(up|down)_proj=3;^model\.layers\.\d\.self_attn\.v_proj=12.5;self_attn.v_proj=4",
    ],
    "rslora-patterns": ["--rslora", "--rank-pattern", r"(k|o)_proj=7", "--alpha-pattern", r"layers\.[3-5]\..*proj=20"],
}


def run(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, **more)


def logits(model, prompts):
    return [common.all_logits(model, ids) for _, ids in prompts]


def departure(a, b):
    """The largest difference of a logit, of the largest logit of its position."""
    return max(((x - y).abs().amax(1) / x.abs().amax(1)).max().item() for x, y in zip(a, b))


def with_adapter(base_path, adapter, prompts):
    import peft

    model = peft.PeftModel.from_pretrained(common.load_base(base_path, threads=2), adapter).eval()
    return logits(model, prompts), adapter_complaints(model, adapter)


def graft_departure(printed, reference):
    """Of what PRINT_FIGURES printed: its positions against PEFT's logits there."""
    worst = 0.0
    for prompt, row in zip(printed["prompts"], reference):
        for p in prompt["positions"]:
            for index, value in zip(printed["indices"], p["logits"]):
                logit, largest = row[p["position"]][index].item(), row[p["position"]].abs().max().item()
                worst = max(worst, abs(value - logit) / largest)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("tool")
    parser.add_argument("print_figures")
    parser.add_argument("--work", default="build/oracle-dora")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    here = os.path.dirname(os.path.abspath(__file__))
    encoder = common.tokenizer(options.base)
    prompts = [(name, encoder.encode(text).ids) for name, text in common.PROMPTS]
    frozen = logits(common.load_base(options.base, threads=2), prompts)
    asked = {
        "indices": common.INDICES,
        "prompts": [
            {"name": name, "ids": ids, "positions": [{"position": p} for p in common.positions_of(ids)]}
            for name, ids in prompts
        ],
    }
    questions = os.path.join(options.work, "questions.json")
    with open(questions, "w", encoding="utf-8") as file:
        json.dump(asked, file)
    failed = False
    for kind in options.kinds.split(","):
        folder = lambda name: os.path.join(options.work, f"{kind}-{name}")
        run(sys.executable, os.path.join(here, "make_peft_adapter.py"), options.base, folder("peft"), *KINDS[kind])
        peft_logits, _ = with_adapter(options.base, folder("peft"), prompts)
        effect = departure(frozen, peft_logits)
        printed = json.loads(
            run(options.print_figures, options.base, questions, folder("peft"), stdout=subprocess.PIPE).stdout
        )
        base = ["-m", options.base, "--adapter"]
        run(options.tool, "convert", *base, folder("peft"), "-o", folder("graft"), "--overwrite")
        written, complaints = with_adapter(options.base, folder("graft"), prompts)
        merged_file = folder("merged.gguf")
        merging = [*base, folder("graft"), "-o", merged_file, "--type", "f32", "--overwrite"]
        run(options.tool, "merge", *merging, stdout=subprocess.DEVNULL)
        merged = logits(common.load_base(merged_file, threads=2), prompts)
        os.remove(merged_file)
        away = {
            "read": graft_departure(printed, peft_logits),
            "written": departure(peft_logits, written),
            "merged": departure(peft_logits, merged),
        }
        for line in complaints:
            print("DIFFERS", kind, line)
        wrong = [name for name, d in away.items() if not d <= options.tolerance]
        failed = failed or bool(wrong or complaints) or not effect > 100 * options.tolerance
        print(
            f"{kind}: effect {effect:.3g}; departures",
            ", ".join(f"{name} {d:.3g}" for name, d in away.items()),
            "DISAGREE: " + ", ".join(wrong) if wrong else "agree",
            flush=True,
        )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
