# SPDX-License-Identifier: Apache-2.0
"""Does llama.cpp write the same greedy tokens from a model and a LoRA adapter GGUF as graft does?

usage: check_llama_cpp.py BASE_F32.gguf [ADAPTER.gguf] PROMPT... [--expect EXPECTED.json] [--tokens 24]
                          [--logits OUT.json] [--threads 1] [--weak]
A PROMPT that is a list of numbers with commas is taken as token ids, anything else as text (special tokens are
recognised, none added). Prints, for each prompt, the ids, the greedy tokens and text with and (given an adapter)
without the adapter:
  {"prompts": [{"ids": [...], "base": [...], "base_text": str, "adapter": [...], "adapter_text": str,
                "margin": smallest lead of a greedy token over the second}]}
--expect: a file in the same shape from graft ("ids", "base", "adapter"; texts not compared); exit 1 when token ids
differ, naming the first.
--logits: also the figures of common.py, with the adapter if there is one, for a comparison to the digit (an F32 base
is needed for that: with a quantised one llama.cpp rounds the activations too). Exit 1 also when the adapter changes
no token.
"""

import argparse
import json
import os
import re
import sys

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("arguments", nargs="+", metavar="[ADAPTER.gguf] PROMPT...")
    parser.add_argument("--expect", metavar="EXPECTED.json")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--logits", metavar="OUT.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weak", action="store_true", help="accept an adapter that changes no greedy token")
    options = parser.parse_args()
    adapter = options.arguments[0] if options.arguments[0].endswith(".gguf") else None
    prompts = options.arguments[1:] if adapter else options.arguments
    if not prompts:
        parser.error("no PROMPT")
    plain = open_model(options.base, None, options.threads)
    ids = [
        (
            [int(n) for n in p.split(",")]
            if re.fullmatch(r"\d+(,\d+)*", p)
            else plain.tokenize(p.encode(), add_bos=False, special=True)
        )
        for p in prompts
    ]
    out = {"made_with": f"llama-cpp-python {version()}", "prompts": [{"ids": i} for i in ids]}
    run(plain, out["prompts"], "base", options.tokens)
    model = plain
    if adapter:
        model = open_model(options.base, adapter, options.threads)
        run(model, out["prompts"], "adapter", options.tokens)
    print(json.dumps(out, ensure_ascii=False, indent=1))
    if options.logits:
        with open(options.logits, "w", encoding="utf-8") as file:
            indices = [i for i in common.INDICES if i < model.n_vocab()]
            common.dump({"indices": indices, "prompts": [record(model, i, indices) for i in ids]}, file)
    failed = False
    if adapter and not options.weak and all(p["base"] == p["adapter"] for p in out["prompts"]):
        print(
            "the adapter changes no greedy token, so this proves nothing of it (--weak accepts that)", file=sys.stderr
        )
        failed = True
    if options.expect:
        failed = bool(complain(out["prompts"], common.read_json(options.expect)["prompts"], bool(adapter))) or failed
    sys.exit(1 if failed else 0)


def version():
    import llama_cpp

    return llama_cpp.__version__


def open_model(path, adapter, threads):
    import llama_cpp

    if not os.path.exists(path) or (adapter and not os.path.exists(adapter)):
        sys.exit(f"{path if not os.path.exists(path) else adapter}: no such file")
    # Keys and values in F32: llama.cpp's usual F16 cache alone moves logits by 8e-4 of the largest.
    return llama_cpp.Llama(
        model_path=path,
        lora_path=adapter,
        n_ctx=512,
        n_batch=512,
        n_threads=threads,
        n_threads_batch=threads,
        type_k=0,
        type_v=0,
        logits_all=True,
        verbose=False,
    )


def logits_of(model, ids):
    """Logits of every position, from an empty cache."""
    import numpy

    model.reset()
    model.eval(ids)
    return numpy.array(model.scores[: len(ids)], dtype=numpy.float64)


def run(model, records, key, count):
    for r in records:
        row, made, margin = logits_of(model, r["ids"])[-1], [], float("inf")
        for _ in range(count):
            best = row.argsort()[-2:]
            margin = min(margin, row[best[1]] - row[best[0]])
            made.append(int(best[1]))
            model.eval(made[-1:])
            row = model.scores[model.n_tokens - 1].astype("float64")
        r[key], r["margin"] = made, common.rounded(min(margin, r.get("margin", float("inf"))), 4)
        r[key + "_text"] = model.detokenize(made, special=True).decode(errors="replace")


def record(model, ids, indices):
    import numpy

    z = logits_of(model, ids)
    top = z.max(axis=1)
    each = top + numpy.log(numpy.exp(z - top[:, None]).sum(axis=1))
    out = {"name": "", "ids": ids}
    if len(ids) > 1:
        out["loss"] = common.rounded((each[:-1] - z[numpy.arange(len(ids) - 1), ids[1:]]).mean(), 8)
    out["positions"] = [
        {
            "position": p,
            "logits": [common.rounded(z[p][i]) for i in indices],
            "top": [[int(i), common.rounded(z[p][i])] for i in z[p].argsort()[::-1][:10]],
            "largest": common.rounded(abs(z[p]).max()),
        }
        for p in common.positions_of(ids)
    ]
    return out


def complain(made, expected, with_adapter):
    """Prints each difference; how many."""
    found = 0
    if len(made) != len(expected):
        print(f"DIFFERS {len(expected)} prompts expected, {len(made)} run", file=sys.stderr)
        return 1
    for number, (m, e) in enumerate(zip(made, expected)):
        for key in ["ids", "base"] + (["adapter"] if with_adapter else []):
            if key not in e:
                print(f"DIFFERS prompt {number}: the expected file has no '{key}'", file=sys.stderr)
            elif e[key] != m[key]:
                first = next(
                    (i for i, (x, y) in enumerate(zip(m[key], e[key])) if x != y), min(len(m[key]), len(e[key]))
                )
                print(
                    f"DIFFERS prompt {number}, {key} from number {first}:"
                    f" llama.cpp {m[key][first:first + 5]}, graft {e[key][first:first + 5]}"
                    f" (smallest lead {m['margin']})",
                    file=sys.stderr,
                )
            else:
                continue
            found += 1
    print(f"{len(made)} prompts, {found} differences", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
