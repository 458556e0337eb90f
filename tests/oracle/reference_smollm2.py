# SPDX-License-Identifier: Apache-2.0
"""Reference figures of SmolLM2-135M-Instruct (Q4_1 GGUF) from transformers in f32; writes smollm2-reference.json.

usage: reference_smollm2.py MODEL.gguf [OUT.json]              make the figures (default: beside this file)
       reference_smollm2.py MODEL.gguf --compare OTHER.json    make them again and compare: exit 1 if they disagree
Arithmetic: the file's Q4_1 blocks decoded to f32 exactly, f32 sums in torch's order. "f64_departure" is the largest
difference, over all logits of the three prompts, to the same model in double, relative to the largest |logit|: what
f32 itself costs.
"""

import argparse
import copy
import hashlib
import os
import sys

import common


def make(path, greedy=24):
    import peft, torch, transformers

    model, encoder = common.load_base(path, threads=2), common.tokenizer(path)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    out = {
        "file": os.path.basename(path),
        "sha256": digest,
        "arithmetic": "f32",
        "made_with": f"torch {torch.__version__}, transformers {transformers.__version__}",
        "indices": common.INDICES,
        "prompts": [],
    }
    exact, away = copy.deepcopy(model).double(), 0.0
    for name, text in common.PROMPTS:
        ids = encoder.encode(text, add_special_tokens=False).ids
        record = common.figures(model, name, ids, common.INDICES, greedy=greedy)
        record["text"], record["greedy_text"] = text, encoder.decode(record["greedy"], skip_special_tokens=False)
        single, double = common.all_logits(model, ids), common.all_logits(exact, ids)
        away = max(away, ((single - double).abs().max() / double.abs().max()).item())
        out["prompts"].append(record)
        print(
            f"{name}: {len(ids)} tokens, loss {record['loss']}, margin {record['margin']}: {record['greedy_text']!r}",
            file=sys.stderr,
        )
    out["f64_departure"] = common.rounded(away, 3)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument(
        "out", nargs="?", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "smollm2-reference.json")
    )
    parser.add_argument("--compare", metavar="OTHER.json")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    options = parser.parse_args()
    made = make(options.model)
    if options.compare:
        sys.exit(
            common.report(
                *common.compare(made, common.read_json(options.compare), options.tolerance), options.tolerance
            )
        )
    with open(options.out, "w", encoding="utf-8") as file:
        common.dump(made, file)
    print(
        f"{options.out}: {os.path.getsize(options.out)} bytes, f64 departure {made['f64_departure']}", file=sys.stderr
    )
