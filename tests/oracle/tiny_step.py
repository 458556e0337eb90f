# SPDX-License-Identifier: Apache-2.0
"""One LoRA training step of three tiny models in double precision, numpy only; writes tiny-step.json.

usage: /usr/bin/python3 tiny_step.py [OUT.json]      make the figures (default: beside this file)
       ... tiny_step.py --check                      also compare every gradient with complex steps (numpy), and, where torch and
                                                     transformers are installed, with their Llama and Qwen2 models; writes nothing

THE RECIPE (everything a test needs to rebuild the identical model)
Numbers: 64-bit state S, first S = seed. Each draw: S = S * 6364136223846793005 + 1442695040888963407 (mod 2^64),
u = (S >> 11) * 2^-53 in [0, 1); value = float32((2u - 1) * scale), with 2u - 1 and the product computed in double.
Matrices are drawn row by row (row = output); each tensor with the scale given, in this order, all from one stream:
  embedding [vocabulary, width] scale 0.5
  each block: input norm [width] scale 0.25, then 1 is added (in double) and the sum rounded to float32;
              q [heads*head, width], (qwen2: q bias [heads*head] scale 0.5), k [kv*head, width], (k bias), v [kv*head, width], (v bias),
              o [width, heads*head], second norm [width] as the first, gate [hidden, width], up [hidden, width], down [width, hidden];
              each matrix of scale 1.5/sqrt(its columns)
  final norm [width] as the others; head [vocabulary, width] scale 0.3 only if untied
  each block, each map in the order q k v o gate up down: lora A [rank, in] scale 1/sqrt(in), lora B [out, rank] scale 0.3
Weights are then used as doubles holding those float32 values. Shape: width 32, heads 4, kv heads 2, head 8, hidden 48, vocabulary 37,
2 blocks, rank 2, alpha 4 (so scale s = alpha/rank = 2), norm epsilon 1e-5, rope base 10000.
Equations: y = x W^T (+ bias) + s (x A^T) B^T for all seven maps; norm(x) = x / sqrt(mean(x^2) + eps) * g; softmax(q k^T / sqrt(head));
query head h reads kv head h // 2; x += o(attention); x += down(silu(gate(h)) * up(h)); logits = norm(x) head^T.
RoPE on q and k: angle = position * base^(-2i/head) / factor[i], i < head/2; (a, b) -> (a cos - b sin, a sin + b cos) where (a, b) are
columns 2i, 2i+1 (interleaved) or i, i + head/2 (half_split).
Tokens: two sequences of 6 and 4 tokens packed as 10 rows; positions start anew in the second, and no row looks into the other sequence.
Target of a row: the next token of its own sequence; rows marked -1 in "targets" count for nothing (each sequence's last row and its
prompt: rows 0 and 1 of the first, row 0 of the second). Loss = mean of -log softmax(logits)[target] over the counted rows.
Variants: llama (interleaved, head tied, seed 1), llama3 (half_split, own head, rope factors 1 1.5 4 8, seed 2), qwen2 (half_split, tied,
bias on q k v, seed 3). factor is 1 where not given.
Then two steps of AdamW on A and B (loss and gradient anew in each): learning rate 1e-2, betas 0.9 0.999, epsilon 1e-8, decoupled decay
0.1: p -= rate * decay * p; m = 0.9 m + 0.1 g; v = 0.999 v + 0.001 g^2; p -= rate * (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8).

A "digest" of a matrix X with entries x_j, j counted row by row from 0:
  [sum x_j, sum x_j * ((7 j) % 11 - 5), sqrt(sum x_j^2), x at j = 0, at j = size/3, at j = 2 size/3, at j = size - 1] (integer divisions).
Stored per variant: loss, logits of rows 2 and 9 in full, digests of each block's output, of all logits, of the loss's gradient at the
block outputs and at the embedding rows ("d_blocks" holds blocks+1 of them, the embedding rows' first), the gradient of every A and B; the
loss after each AdamW step and digests of A and B after the second; for block 0's q, in full, dA and dB.
"""
import json
import os
import sys

import numpy as np

VOCABULARY, WIDTH, HEADS, KV, HEAD, HIDDEN, BLOCKS, RANK, ALPHA, EPSILON, BASE = 37, 32, 4, 2, 8, 48, 2, 2, 4.0, 1e-5, 10000.0
SCALE = ALPHA / RANK
IDS = [5, 17, 2, 30, 11, 8, 36, 0, 21, 17]
LENGTHS = [6, 4]
TARGETS = [-1, -1, 30, 11, 8, -1, -1, 21, 17, -1]
MAPS = {"q": (WIDTH, HEADS * HEAD), "k": (WIDTH, KV * HEAD), "v": (WIDTH, KV * HEAD), "o": (HEADS * HEAD, WIDTH),
        "gate": (WIDTH, HIDDEN), "up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH)}  # (in, out)
VARIANTS = {"llama": dict(seed=1, interleaved=True, tied=True, bias=False, factors=[1.0] * 4),
            "llama3": dict(seed=2, interleaved=False, tied=False, bias=False, factors=[1.0, 1.5, 4.0, 8.0]),
            "qwen2": dict(seed=3, interleaved=False, tied=True, bias=True, factors=[1.0] * 4)}


class Stream:
    """The documented generator."""

    def __init__(self, seed):
        self.state = seed

    def draw(self, shape, scale):
        out = np.empty(int(np.prod(shape)))
        for i in range(out.size):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            out[i] = np.float32((2 * ((self.state >> 11) * 2.0**-53) - 1) * scale)
        return out.reshape(shape)


def make_model(v):
    """Weights and adapters of one variant, in the order of the recipe."""
    s = Stream(v["seed"])
    norm = lambda: (s.draw(WIDTH, 0.25) + 1).astype(np.float32).astype(np.float64)
    model = {"E": s.draw((VOCABULARY, WIDTH), 0.5), "blocks": []}
    for _ in range(BLOCKS):
        b = {"norm1": norm()}
        for name, (i, o) in MAPS.items():
            if name == "gate":
                b["norm2"] = norm()
            b[name] = s.draw((o, i), 1.5 / np.sqrt(i))
            if v["bias"] and name in "qkv":
                b[name + "_bias"] = s.draw(o, 0.5)
        model["blocks"].append(b)
    model["norm"] = norm()
    model["head"] = model["E"] if v["tied"] else s.draw((VOCABULARY, WIDTH), 0.3)
    lora = [{name: [s.draw((RANK, i), 1 / np.sqrt(i)), s.draw((o, RANK), 0.3)] for name, (i, o) in MAPS.items()} for _ in range(BLOCKS)]
    return model, lora


def angles(v):
    """cos and sin, (rows, 1, head/2), and the mask of visible pairs."""
    position = np.concatenate([np.arange(n) for n in LENGTHS])
    owner = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    f = position[:, None] * BASE ** (-2.0 * np.arange(HEAD // 2) / HEAD) / np.array(v["factors"])
    visible = (owner[:, None] == owner[None]) & (np.arange(len(IDS))[:, None] >= np.arange(len(IDS))[None])
    return np.cos(f)[:, None], np.sin(f)[:, None], visible


def halves(v):
    return (slice(0, None, 2), slice(1, None, 2)) if v["interleaved"] else (slice(0, HEAD // 2), slice(HEAD // 2, None))


def rope(v, x, cos, sin):
    """Rotation of (rows, heads, head); the transposed rotation is the same with -sin."""
    first, second = halves(v)
    out = np.empty_like(x)
    out[..., first] = x[..., first] * cos - x[..., second] * sin
    out[..., second] = x[..., first] * sin + x[..., second] * cos
    return out


def norm_forward(x, g):
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
    return x * r * g, r


def norm_backward(dy, x, g, r):
    return r * (dy * g) - x * r**3 * (dy * g * x).mean(-1, keepdims=True)


def linear(b, name, pair, x):
    return x @ b[name].T + b.get(name + "_bias", 0.0) + SCALE * (x @ pair[0].T) @ pair[1].T


def linear_backward(b, name, pair, x, dy, grad):
    A, B = pair
    t = SCALE * (dy @ B)
    grad[name] = [t.T @ x, SCALE * dy.T @ (x @ A.T)]
    return dy @ b[name] + t @ A


def softmax(z):
    """Written so that complex steps pass through: only real parts choose the shift."""
    e = np.exp(z - z.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def block_forward(v, b, lora, x, cos, sin, visible):
    rows, kept = len(x), {"x": x}
    h, kept["r1"] = norm_forward(x, b["norm1"])
    q = rope(v, linear(b, "q", lora["q"], h).reshape(rows, HEADS, HEAD), cos, sin)
    k = rope(v, linear(b, "k", lora["k"], h).reshape(rows, KV, HEAD), cos, sin)
    w = linear(b, "v", lora["v"], h).reshape(rows, KV, HEAD)
    group = HEADS // KV
    z = np.einsum("thd,shd->hts", q, np.repeat(k, group, 1)) / np.sqrt(HEAD)
    p = softmax(np.where(visible, z, -1e300))
    a = np.einsum("hts,shd->thd", p, np.repeat(w, group, 1)).reshape(rows, -1)
    y = x + linear(b, "o", lora["o"], a)
    m, kept["r2"] = norm_forward(y, b["norm2"])
    g, u = linear(b, "gate", lora["gate"], m), linear(b, "up", lora["up"], m)
    s = g / (1 + np.exp(-g)) * u
    kept.update(h=h, q=q, k=k, v=w, p=p, a=a, y=y, m=m, g=g, u=u, s=s)
    return y + linear(b, "down", lora["down"], s), kept


def block_backward(v, b, lora, kept, dout, cos, sin):
    rows, group, grad = len(dout), HEADS // KV, {}
    ds = linear_backward(b, "down", lora["down"], kept["s"], dout, grad)
    sigma = 1 / (1 + np.exp(-kept["g"]))
    dg = ds * kept["u"] * sigma * (1 + kept["g"] * (1 - sigma))
    dm = linear_backward(b, "gate", lora["gate"], kept["m"], dg, grad)
    dm = dm + linear_backward(b, "up", lora["up"], kept["m"], ds * kept["g"] * sigma, grad)
    dy = dout + norm_backward(dm, kept["y"], b["norm2"], kept["r2"])
    da = linear_backward(b, "o", lora["o"], kept["a"], dy, grad).reshape(rows, HEADS, HEAD)
    k, w, p = np.repeat(kept["k"], group, 1), np.repeat(kept["v"], group, 1), kept["p"]
    dp = np.einsum("thd,shd->hts", da, w)
    dz = p * (dp - (dp * p).sum(-1, keepdims=True)) / np.sqrt(HEAD)
    gather = lambda d: d.reshape(rows, KV, group, HEAD).sum(2)
    dq = rope(v, np.einsum("hts,shd->thd", dz, k), cos, -sin)
    dk = rope(v, gather(np.einsum("hts,thd->shd", dz, kept["q"])), cos, -sin)
    dv = gather(np.einsum("hts,thd->shd", p, da))
    dh = sum(linear_backward(b, name, lora[name], kept["h"], d.reshape(rows, -1), grad) for name, d in (("q", dq), ("k", dk), ("v", dv)))
    return dy + norm_backward(dh, kept["x"], b["norm1"], kept["r1"]), grad


def forward(v, model, lora):
    """Loss, logits, each block's kept values, the block outputs and what the head's backward needs."""
    cos, sin, visible = angles(v)
    x = model["E"][IDS]
    outputs, kept = [x], []
    for b, pair in zip(model["blocks"], lora):
        x, k = block_forward(v, b, pair, x, cos, sin, visible)
        outputs.append(x)
        kept.append(k)
    h, r = norm_forward(x, model["norm"])
    logits = h @ model["head"].T
    rows = [t for t, target in enumerate(TARGETS) if target >= 0]
    p = softmax(logits)
    loss = -np.mean([np.log(p[t, TARGETS[t]]) for t in rows])
    return loss, logits, outputs, kept, (r, p, rows)


def step(v, model, lora):
    """Loss, logits, block outputs, their gradients (embedding rows first) and the adapters' gradients."""
    loss, logits, outputs, kept, (r, p, rows) = forward(v, model, lora)
    cos, sin, _ = angles(v)
    dlogits = np.zeros_like(p)
    for t in rows:
        dlogits[t] = p[t]
        dlogits[t, TARGETS[t]] -= 1
    dx = norm_backward(dlogits @ model["head"] / len(rows), outputs[-1], model["norm"], r)
    d_outputs, gradients = [dx], []
    for b, pair, k in zip(model["blocks"][::-1], lora[::-1], kept[::-1]):
        dx, grad = block_backward(v, b, pair, k, dx, cos, sin)
        d_outputs.insert(0, dx)
        gradients.insert(0, grad)
    return loss, logits, outputs, d_outputs, gradients


def adamw(lora, gradients, state, t, rate=1e-2, decay=0.1):
    for layer, (pairs, grads) in enumerate(zip(lora, gradients)):
        for name in MAPS:
            for side in (0, 1):
                p, g = pairs[name][side], grads[name][side]
                m, s = state.setdefault((layer, name, side), [np.zeros_like(p), np.zeros_like(p)])
                m[:] = 0.9 * m + 0.1 * g
                s[:] = 0.999 * s + 0.001 * g * g
                p *= 1 - rate * decay
                p -= rate * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)


def digest(x):
    x = np.asarray(x).ravel()
    j = np.arange(x.size)
    values = [x.sum(), (x * ((7 * j) % 11 - 5)).sum(), np.sqrt((x * x).sum()), x[0], x[x.size // 3], x[2 * x.size // 3], x[-1]]
    return numbers(values)


def numbers(values):
    return [float(f"{value:.13g}") for value in np.asarray(values).ravel()]


def digests(layers):
    return [{f"{name}.{side}": digest(pair[index]) for name, pair in layer.items() for index, side in enumerate("AB")} for layer in layers]


def figures(v):
    model, lora = make_model(v)
    loss, logits, outputs, d_outputs, gradients = step(v, model, lora)
    out = {"interleaved": v["interleaved"], "tied": v["tied"], "bias": v["bias"], "factors": v["factors"], "seed": v["seed"],
           "first_weights": numbers(model["E"].ravel()[:4]), "last_weights": numbers(lora[-1]["down"][1].ravel()[-2:]),
           "loss": numbers([loss])[0], "logits_2": numbers(logits[2]), "logits_9": numbers(logits[9]), "logits": digest(logits),
           "blocks": [digest(x) for x in outputs], "d_blocks": [digest(x) for x in d_outputs], "gradients": digests(gradients),
           "q_dA": numbers(gradients[0]["q"][0]), "q_dB": numbers(gradients[0]["q"][1])}
    state, losses = {}, []
    for t in (1, 2):
        _, _, _, _, gradients = step(v, model, lora)
        adamw(lora, gradients, state, t)
        losses.append(forward(v, model, lora)[0])
    out["loss_after"], out["after"] = numbers(losses), digests(lora)
    return out


def check_complex_steps(v):
    """Largest departure of any adapter gradient from Im f(p + ih)/h, h = 1e-30 (no cancellation), relative to the tensor's largest."""
    model, lora = make_model(v)
    gradients, worst = step(v, model, lora)[4], 0.0
    for layer in range(BLOCKS):
        for name in MAPS:
            for side in (0, 1):
                original, numeric = lora[layer][name][side], np.empty(lora[layer][name][side].shape)
                for j in np.ndindex(original.shape):
                    lora[layer][name][side] = original.astype(complex)
                    lora[layer][name][side][j] += 1e-30j
                    numeric[j] = forward(v, model, lora)[0].imag / 1e-30
                lora[layer][name][side] = original
                g = gradients[layer][name][side]
                worst = max(worst, abs(numeric - g).max() / abs(g).max())
    return worst


def check_transformers(name, v):
    """The same model through transformers with merged weights, each sequence alone; the largest relative departure of loss, logits and
    merged-weight gradients dW (then dA = s B^T dW, dB = s dW A^T). Its norms compute in f32, hence about 1e-6."""
    import torch
    import transformers
    model, lora = make_model(v)
    loss, logits, _, _, gradients = step(v, model, lora)
    common = dict(vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=HIDDEN, num_hidden_layers=BLOCKS, num_attention_heads=HEADS,
                  num_key_value_heads=KV, rms_norm_eps=EPSILON, rope_theta=BASE, attn_implementation="eager", tie_word_embeddings=False)
    hf = (transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**common)) if v["bias"] else
          transformers.LlamaForCausalLM(transformers.LlamaConfig(**common))).double().eval()
    put = lambda place, value: place.data.copy_(torch.tensor(value))
    # transformers turns i with i + head/2; rows of an interleaved model go to that order.
    turn = lambda w, n: (np.concatenate([w.reshape(n, HEAD, -1)[:, 0::2], w.reshape(n, HEAD, -1)[:, 1::2]], 1).reshape(w.shape)
                         if v["interleaved"] else w)
    back = lambda w, n: (np.stack([w.reshape(n, HEAD, -1)[:, :HEAD // 2], w.reshape(n, HEAD, -1)[:, HEAD // 2:]], 2).reshape(w.shape)
                         if v["interleaved"] else w)
    heads = {"q": HEADS, "k": KV}
    places = []
    put(hf.model.embed_tokens.weight, model["E"]), put(hf.lm_head.weight, model["head"]), put(hf.model.norm.weight, model["norm"])
    for layer, b, pairs in zip(hf.model.layers, model["blocks"], lora):
        put(layer.input_layernorm.weight, b["norm1"]), put(layer.post_attention_layernorm.weight, b["norm2"])
        places.append({})
        for m in MAPS:
            linear_map = getattr(layer.self_attn if m in "qkvo" else layer.mlp, m + "_proj")
            w = b[m] + SCALE * pairs[m][1] @ pairs[m][0]
            put(linear_map.weight, turn(w, heads[m]) if m in heads else w)
            if m + "_bias" in b:
                put(linear_map.bias, turn(b[m + "_bias"], heads[m]) if m in heads else b[m + "_bias"])
            places[-1][m] = linear_map.weight
    emb = hf.model.rotary_emb if hasattr(hf.model, "rotary_emb") else None
    for rotary in [emb] + [layer.self_attn.rotary_emb for layer in hf.model.layers if hasattr(layer.self_attn, "rotary_emb")]:
        if rotary is not None:
            inverse = torch.tensor(BASE ** (-2.0 * np.arange(HEAD // 2) / HEAD) / np.array(v["factors"]))
            rotary.register_buffer("inv_freq", inverse, persistent=False)
            if hasattr(rotary, "_set_cos_sin_cache"):
                rotary._set_cos_sin_cache(64, "cpu", torch.float64)
    total, start, worst = 0, 0, 0.0
    for n in LENGTHS:
        z = hf(input_ids=torch.tensor([IDS[start:start + n]])).logits[0].double()
        worst = max(worst, abs(z.detach().numpy() - logits[start:start + n]).max() / abs(logits).max())
        total = total + sum(-torch.log_softmax(z[t], -1)[TARGETS[start + t]] for t in range(n) if TARGETS[start + t] >= 0)
        start += n
    total = total / sum(t >= 0 for t in TARGETS)
    total.backward()
    worst = max(worst, abs(total.item() - loss) / loss)
    for grads, pairs, own in zip(gradients, lora, places):
        for m, place in own.items():
            dW = place.grad.numpy()
            dW = back(dW, heads[m]) if m in heads else dW
            for mine, theirs in ((grads[m][0], SCALE * pairs[m][1].T @ dW), (grads[m][1], SCALE * dW @ pairs[m][0].T)):
                worst = max(worst, abs(mine - theirs).max() / abs(mine).max())
    return worst


def main():
    out = {"ids": IDS, "lengths": LENGTHS, "targets": TARGETS, "width": WIDTH, "heads": HEADS, "kv_heads": KV, "head": HEAD, "hidden": HIDDEN,
           "vocabulary": VOCABULARY, "blocks": BLOCKS, "rank": RANK, "alpha": ALPHA, "epsilon": EPSILON, "rope_base": BASE}
    if "--check" in sys.argv:
        failed = False
        try:
            import torch, transformers
            other = f"torch {torch.__version__}, transformers {transformers.__version__}"
        except ImportError:
            other = None
            print("torch or transformers missing: that half of the check is skipped")
        for name, v in VARIANTS.items():
            away = check_complex_steps(v)
            failed = failed or not away < 1e-11
            print(f"{name}: gradients depart from complex steps by {away:.2g}")
            if other:
                away = check_transformers(name, v)
                failed = failed or not away < 1e-5
                print(f"{name}: loss, logits and gradients depart from {other} by {away:.2g}")
        sys.exit(1 if failed else 0)
    out["variants"] = {name: figures(v) for name, v in VARIANTS.items()}
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny-step.json")
    text = json.dumps(out, separators=(",", ":"))
    for key in ('"variants"', '"llama"', '"llama3"', '"qwen2"', '"logits_2"', '"blocks":[[', '"gradients"', '"q_dA"', '"loss_after"', '"after"'):
        text = text.replace(key, "\n" + key)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    print(f"{path}: {os.path.getsize(path)} bytes,", {k: (v["loss"], v["loss_after"]) for k, v in out["variants"].items()})


if __name__ == "__main__":
    main()
