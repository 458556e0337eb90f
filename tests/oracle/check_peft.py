# SPDX-License-Identifier: Apache-2.0
"""Does PEFT compute the same logits from an adapter directory as graft does?

usage: check_peft.py BASE.gguf ADAPTER_DIR [LOGITS.json] [--tolerance 1e-3] [--ids 1,2,3 ...] [--greedy N]
Loads the base in f32 through transformers, the adapter through PEFT (both hold q and k in half-split order:
transformers turns a llama GGUF's rows back), and prints the figures as JSON (the shape is in common.py). With
LOGITS.json, printed by graft with the same adapter, its prompts, positions and indices are used and every logit
compared: exit 1 when one is off by more than tolerance x the position's largest |logit|. Also exit 1 when the adapter
changes nothing, since then the comparison would prove nothing.
"""

import argparse
import sys

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("adapter")
    parser.add_argument("logits", nargs="?")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--ids", nargs="+", help="token ids, comma-separated: one argument a prompt")
    parser.add_argument("--greedy", type=int, default=0, metavar="N")
    options = parser.parse_args()
    import peft

    given = common.read_json(options.logits) if options.logits else None
    base = common.load_base(options.base, threads=2)
    indices = [i for i in common.INDICES if i < base.config.vocab_size]
    if given:
        indices = given["indices"]
        prompts = [
            (p.get("name", ""), p["ids"], [q["position"] for q in p["positions"]], len(p.get("greedy", [])))
            for p in given["prompts"]
        ]
    elif options.ids:
        prompts = [("", [int(i) for i in text.split(",")], None, options.greedy) for text in options.ids]
    else:
        encoder = common.tokenizer(options.base)
        prompts = [(name, encoder.encode(text).ids, None, options.greedy) for name, text in common.PROMPTS]
    without = [common.all_logits(base, ids) for _, ids, _, _ in prompts]
    model = peft.PeftModel.from_pretrained(base, options.adapter).eval()
    missing = adapter_complaints(model, options.adapter)
    made = {
        "made_with": f"peft {peft.__version__}",
        "indices": indices,
        "prompts": [
            common.figures(model, name, ids, indices, positions, greedy) for name, ids, positions, greedy in prompts
        ],
    }
    effect = max(
        ((common.all_logits(model, ids) - z).abs().max() / z.abs().max()).item()
        for (_, ids, _, _), z in zip(prompts, without)
    )
    print(f"the adapter moves a logit by up to {effect:.3g} of the largest", file=sys.stderr)
    if not given:
        common.dump(made, sys.stdout)
    complaints, worst = common.compare(made, given, options.tolerance) if given else ([], 0.0)
    if not effect > 10 * options.tolerance:
        complaints.append(
            f"the adapter moves no logit by more than {effect:.3g}: too weak for tolerance {options.tolerance:g}"
        )
    sys.exit(common.report(complaints + missing, worst, options.tolerance))


def adapter_complaints(model, folder):
    """Every tensor of the file must have been taken, every map have its pair: PEFT is silent about both."""
    import os
    import safetensors.torch
    from peft.utils import get_peft_model_state_dict

    stored = safetensors.torch.load_file(os.path.join(folder, "adapter_model.safetensors"))
    loaded = get_peft_model_state_dict(model)
    out = [f"{k}: in the file, not in the model" for k in stored if k not in loaded]
    out += [f"{k}: in the model, not in the file" for k in loaded if k not in stored]
    return out + [
        f"{k}: values were not loaded"
        for k in stored
        if k in loaded and not (stored[k].float() == loaded[k].float()).all()
    ]


if __name__ == "__main__":
    main()
