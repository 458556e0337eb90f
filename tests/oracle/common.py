# SPDX-License-Identifier: Apache-2.0
"""What the oracles share: the base model in f32, its tokenizer, the stored figures and their comparison.

The figures, in one JSON shape for stored references, oracles and graft's own output:
  {"indices": [64 vocabulary indices],
   "prompts": [{"name": str, "ids": [token ids], "loss": mean next-token loss over ids[1:], in nats,
                "positions": [{"position": p, "logits": [64 numbers, at indices], "top": [[id, logit] x 10],
                               "largest": largest |logit| over the vocabulary}],
                "greedy": [the tokens that arg max appends],
                "margin": smallest lead of a greedy token over the second}]}
A file to be compared may leave out "loss", "top", "largest", "greedy" and "margin"; "indices", "ids" and "positions"
are needed.
"""

import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

# Spread over SmolLM2's 49152 rows; those beyond a smaller vocabulary are left out.
INDICES = [7 + 773 * i for i in range(64)]

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
PLAIN = "The capital of France is Paris, and the capital"
QUESTION = "Name three colours of the rainbow, please."
PARAGRAPH = (
    "A mill stood by the river for 250 years. In 1893 its wheel was replaced by a turbine that turned 3 times as fast, "
    "and the miller, who didn't trust it, kept the old wheel in a shed behind the house. When the flood of 1921 came, "
    "the turbine was filled with gravel and stood still for 6 weeks; the wheel was carried back, set on its axle, and "
    "ground the village's corn as if nothing had happened. The café next door still shows a photograph of the wheel, "
    'with the words: "Old friends know the way."'
)


def chat(question):
    """SmolLM2's chat template for one question, as its GGUF spells it."""
    return f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


PROMPTS = [
    ("plain, about 10 tokens", PLAIN),
    ("chat, about 40 tokens", chat(QUESTION)),
    ("plain, about 120 tokens", PARAGRAPH),
]


def gguf_fields(path):
    """A reader of the gguf package and a function from a key to its value (None if absent)."""
    import gguf

    reader = gguf.GGUFReader(path)

    def value(key):
        field = reader.get_field(key)
        if field is None:
            return None
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            strings = field.types[-1] == gguf.GGUFValueType.STRING
            return [bytes(field.parts[i]).decode() if strings else field.parts[i][0].item() for i in field.data]
        part = field.parts[field.data[0]]
        return bytes(part).decode() if field.types[0] == gguf.GGUFValueType.STRING else part[0].item()

    return reader, value


def tokenizer(path):
    """SmolLM2's tokenizer from the GGUF's own lists: every digit alone, then GPT-2's pattern."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    _, value = gguf_fields(path)
    if value("tokenizer.ggml.model") != "gpt2" or value("tokenizer.ggml.pre") != "smollm":
        sys.exit(f"{path}: expected a tokenizer of model gpt2, pre smollm; give token ids instead")
    tokens, types = value("tokenizer.ggml.tokens"), value("tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in value("tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == 3])
    return made


def load_base(path, threads=1):
    """The base model in f32 by transformers, whose reader turns q and k back to half-split order."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    folder, name = os.path.split(os.path.abspath(path))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, torch_dtype=torch.float32, attn_implementation="eager"
    )
    reader, _ = gguf_fields(path)
    # A GGUF without a head has it tied to the embedding; this transformers would leave a random head there.
    if not any(t.name == "output.weight" for t in reader.tensors):
        model.config.tie_word_embeddings = True
        model.tie_weights()
        assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    return model.eval()


def all_logits(model, ids):
    """Logits of every position, float64 on return."""
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].double()


def positions_of(ids):
    """The last position and three others."""
    n = len(ids)
    return sorted({0, n // 3, (2 * n) // 3, n - 1})


def rounded(value, digits=7):
    return float(f"{value:.{digits}g}")


def greedy_tokens(model, ids, count):
    """The tokens arg max appends, each by a whole forward pass (no cache to be wrong), and their smallest lead."""
    ids, margin = list(ids), float("inf")
    start = len(ids)
    for _ in range(count):
        best = all_logits(model, ids)[-1].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        ids.append(int(best.indices[0]))
    return ids[start:], margin


def figures(model, name, ids, indices, positions=None, greedy=0):
    """The record of one prompt in the shape described at the top."""
    import torch

    logits = all_logits(model, ids)
    record = {"name": name, "ids": list(ids)}
    if len(ids) > 1:
        targets = torch.tensor(ids[1:])
        record["loss"] = rounded(torch.nn.functional.cross_entropy(logits[:-1], targets).item(), 8)
    record["positions"] = []
    for p in positions if positions is not None else positions_of(ids):
        row = logits[p]
        top = row.topk(10)
        record["positions"].append(
            {
                "position": p,
                "logits": [rounded(row[i].item()) for i in indices],
                "top": [[int(i), rounded(v.item())] for v, i in zip(top.values, top.indices)],
                "largest": rounded(row.abs().max().item()),
            }
        )
    if greedy:
        record["greedy"], margin = greedy_tokens(model, ids, greedy)
        record["margin"] = rounded(margin, 4)
    return record


def compare(reference, other, tolerance):
    """Complaints where `other` departs from `reference` by more than tolerance x the position's largest |logit|,
    and the largest such departure (relative to it)."""
    complaints, worst = [], 0.0
    if reference["indices"] != other["indices"]:
        return ["the files list different vocabulary indices"], worst
    if len(reference["prompts"]) != len(other["prompts"]):
        return [f"{len(other['prompts'])} prompts, expected {len(reference['prompts'])}"], worst
    for number, (a, b) in enumerate(zip(reference["prompts"], other["prompts"])):
        where = f"prompt {number}"
        if a["ids"] != b["ids"]:
            complaints.append(f"{where}: different token ids")
            continue
        theirs = {p["position"]: p for p in b["positions"]}
        for p in a["positions"]:
            at = f"{where}, position {p['position']}"
            q = theirs.get(p["position"])
            if q is None or len(q["logits"]) != len(p["logits"]):
                complaints.append(f"{at}: missing, or not {len(p['logits'])} logits")
                continue
            pairs = [(f"index {i}", x, y) for i, x, y in zip(reference["indices"], p["logits"], q["logits"])]
            known = dict(map(tuple, p["top"]))
            pairs += [(f"token {i}", known[i], y) for i, y in q.get("top", []) if i in known]
            if (
                "top" in q
                and q["top"][0][0] != p["top"][0][0]
                and p["top"][0][1] - p["top"][1][1] > 2 * tolerance * p["largest"]
            ):
                complaints.append(f"{at}: best token {q['top'][0][0]}, expected {p['top'][0][0]}")
            for what, x, y in pairs:
                away = abs(x - y) / p["largest"]
                worst = max(worst, away) if away == away else float("inf")
                if not away <= tolerance:  # also true of a NaN
                    complaints.append(
                        f"{at}, {what}: {y:.6g}, expected {x:.6g} ({away:.2g} of the largest {p['largest']:.4g})"
                    )
        if "loss" in a and "loss" in b and not abs(a["loss"] - b["loss"]) <= tolerance * max(1.0, abs(a["loss"])):
            complaints.append(f"{where}: loss {b['loss']}, expected {a['loss']}")
        if "greedy" in a and "greedy" in b and a["greedy"] != b["greedy"]:
            first = next((i for i, (x, y) in enumerate(zip(a["greedy"], b["greedy"])) if x != y), "length")
            complaints.append(f"{where}: greedy tokens differ from number {first} on (smallest lead {a.get('margin')})")
    return complaints, worst


def report(complaints, worst, tolerance):
    """Prints the outcome on stderr; the exit code."""
    for line in complaints[:20]:
        print("DIFFERS", line, file=sys.stderr)
    if len(complaints) > 20:
        print(f"DIFFERS and {len(complaints) - 20} more", file=sys.stderr)
    print(
        f"largest departure {worst:.3g} of the largest |logit| (allowed {tolerance:g}): "
        + ("DISAGREE" if complaints else "agree"),
        file=sys.stderr,
    )
    return 1 if complaints else 0


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def dump(value, stream):
    """Compact JSON, one prompt position a line, so that a change shows as a readable diff."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    stream.write(text.replace('{"position"', '\n{"position"').replace('{"name"', '\n{"name"') + "\n")
