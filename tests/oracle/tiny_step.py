# SPDX-License-Identifier: Apache-2.0
"""One LoRA training step of three tiny models in double precision, numpy only; writes tiny-step.json.

usage: /usr/bin/python3 tiny_step.py [OUT.json]      default: beside this file
check_tiny_step.py proves the gradients.

THE RECIPE (everything a test needs to rebuild the identical model)
Numbers: 64-bit state S, first S = seed. Each draw: S = S * 6364136223846793005 + 1442695040888963407 (mod 2^64),
u = (S >> 11) * 2^-53 in [0, 1); value = float32((2u - 1) * scale), with 2u - 1 and the product computed in double.
Matrices are drawn row by row (row = output); each tensor with the scale given, in this order, all from one stream:
  embedding [vocabulary, width] scale 0.5
  each block:
    input norm [width] scale 0.25, then 1 is added (in double) and the sum rounded to float32
    q [heads*head, width], (qwen2: q bias [heads*head] scale 0.5), k [kv*head, width], (k bias), v [kv*head, width],
    (v bias), o [width, heads*head], second norm [width] as the first, gate [hidden, width], up [hidden, width],
    down [width, hidden]; each matrix of scale 1.5/sqrt(its columns)
  final norm [width] as the others; head [vocabulary, width] scale 0.3 only if untied
  each block, each map in the order q k v o gate up down:
    lora A [rank, in] scale 1/sqrt(in), lora B [out, rank] scale 0.3
Weights are then used as doubles holding those float32 values.
Shape: width 32, heads 4, kv heads 2, head 8, hidden 48, vocabulary 37, 2 blocks, rank 2, alpha 4 (so the adapter's
scale is s = alpha/rank = 2), norm epsilon 1e-5, rope base 10000.
Equations:
  y = x W^T (+ bias) + s (x A^T) B^T for all seven maps
  norm(x) = x / sqrt(mean(x^2) + eps) * g
  attention: softmax(q k^T / sqrt(head)) v; query head h reads kv head h // 2
  x += o(attention); x += down(silu(gate(norm2(x))) * up(norm2(x))); logits = norm(x) head^T
RoPE on q and k: angle = position * base^(-2i/head) / factor[i], i < head/2; (a, b) -> (a cos - b sin, a sin + b cos)
where (a, b) are columns 2i, 2i+1 (interleaved) or i, i + head/2 (half_split).
Tokens: two sequences of 6 and 4 tokens packed as 10 rows; positions start anew in the second, and no row looks into
the other sequence. Target of a row: the next token of its own sequence; rows marked -1 in "targets" count for nothing
(each sequence's last row and its prompt: rows 0 and 1 of the first, row 0 of the second).
Loss = mean of -log softmax(logits)[target] over the counted rows.
Variants: llama (interleaved, head tied, seed 1), llama3 (half_split, own head, rope factors 1 1.5 4 8, seed 2), qwen2
(half_split, tied, bias on q k v, seed 3). factor is 1 where not given.
Then two steps of AdamW on A and B (loss and gradient anew in each): learning rate 1e-2, betas 0.9 0.999, epsilon
1e-8, decoupled decay 0.1:
  p -= rate * decay * p; m = 0.9 m + 0.1 g; v = 0.999 v + 0.001 g^2
  p -= rate * (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8)

A "digest" of a matrix X with entries x_j, j counted row by row from 0, has seven numbers:
  sum x_j, sum x_j * ((7 j) % 11 - 5), sqrt(sum x_j^2), and x at j = 0, size/3, 2 size/3 (rounded down) and size - 1
Stored per variant: loss; logits of rows 2 and 9 in full; digests of the embedding rows and each block's output
("blocks"), of the loss's gradient at the same places ("d_blocks"), of all logits, and of the gradient of every A and
B; for block 0's q dA and dB in full; the loss after each AdamW step and digests of every A and B after the second.
"""

import json
import os
import sys

import numpy as np

VOCABULARY, WIDTH, HEADS, KV, HEAD, HIDDEN, BLOCKS = 37, 32, 4, 2, 8, 48, 2
RANK, ALPHA, EPSILON, BASE = 2, 4.0, 1e-5, 10000.0
SCALE = ALPHA / RANK
IDS = [5, 17, 2, 30, 11, 8, 36, 0, 21, 17]
LENGTHS = [6, 4]
TARGETS = [-1, -1, 30, 11, 8, -1, -1, 21, 17, -1]
MAPS = {
    "q": (WIDTH, HEADS * HEAD),
    "k": (WIDTH, KV * HEAD),
    "v": (WIDTH, KV * HEAD),
    "o": (HEADS * HEAD, WIDTH),
    "gate": (WIDTH, HIDDEN),
    "up": (WIDTH, HIDDEN),
    "down": (HIDDEN, WIDTH),
}  # (in, out)
VARIANTS = {
    "llama": dict(seed=1, interleaved=True, tied=True, bias=False, factors=[1.0] * 4),
    "llama3": dict(seed=2, interleaved=False, tied=False, bias=False, factors=[1.0, 1.5, 4.0, 8.0]),
    "qwen2": dict(seed=3, interleaved=False, tied=True, bias=True, factors=[1.0] * 4),
}


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
    pair = lambda i, o: [s.draw((RANK, i), 1 / np.sqrt(i)), s.draw((o, RANK), 0.3)]
    return model, [{name: pair(*sizes) for name, sizes in MAPS.items()} for _ in range(BLOCKS)]


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
    pull = lambda name, d: linear_backward(b, name, lora[name], kept["h"], d.reshape(rows, -1), grad)
    dh = pull("q", dq) + pull("k", dk) + pull("v", dv)
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
    sums = [x.sum(), (x * ((7 * j) % 11 - 5)).sum(), np.sqrt((x * x).sum())]
    return numbers(sums + [x[0], x[x.size // 3], x[2 * x.size // 3], x[-1]])


def numbers(values):
    return [float(f"{value:.13g}") for value in np.asarray(values).ravel()]


def digests(layers):
    each = lambda layer: {f"{m}.{side}": digest(x) for m, pair in layer.items() for side, x in zip("AB", pair)}
    return [each(layer) for layer in layers]


def figures(v):
    model, lora = make_model(v)
    loss, logits, outputs, d_outputs, gradients = step(v, model, lora)
    out = {key: v[key] for key in ("interleaved", "tied", "bias", "factors", "seed")}
    out["first_weights"] = numbers(model["E"].ravel()[:4])
    out["last_weights"] = numbers(lora[-1]["down"][1].ravel()[-2:])
    out["loss"] = numbers([loss])[0]
    out["logits_2"], out["logits_9"], out["logits"] = numbers(logits[2]), numbers(logits[9]), digest(logits)
    out["blocks"], out["d_blocks"] = [digest(x) for x in outputs], [digest(x) for x in d_outputs]
    out["gradients"] = digests(gradients)
    out["q_dA"], out["q_dB"] = (numbers(g) for g in gradients[0]["q"])
    state, losses = {}, []
    for t in (1, 2):
        _, _, _, _, gradients = step(v, model, lora)
        adamw(lora, gradients, state, t)
        losses.append(forward(v, model, lora)[0])
    out["loss_after"], out["after"] = numbers(losses), digests(lora)
    return out


def main():
    out = {"ids": IDS, "lengths": LENGTHS, "targets": TARGETS, "width": WIDTH, "heads": HEADS, "kv_heads": KV}
    out.update(head=HEAD, hidden=HIDDEN, vocabulary=VOCABULARY, blocks=BLOCKS, rank=RANK, alpha=ALPHA)
    out.update(epsilon=EPSILON, rope_base=BASE)
    out["variants"] = {name: figures(v) for name, v in VARIANTS.items()}
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny-step.json")
    if len(sys.argv) > 2 or any(argument.startswith("-") for argument in sys.argv[1:]):
        sys.exit("usage: tiny_step.py [OUT.json]")
    path = sys.argv[1] if len(sys.argv) > 1 else beside
    text = json.dumps(out, separators=(",", ":"))
    starts = ["variants", "llama", "llama3", "qwen2", "logits_2", "gradients", "q_dA", "loss_after", "after"]
    for key in [f'"{name}"' for name in starts] + ['"blocks":[[']:
        text = text.replace(key, "\n" + key)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    losses = {name: (v["loss"], v["loss_after"]) for name, v in out["variants"].items()}
    print(f"{path}: {os.path.getsize(path)} bytes,", losses)


if __name__ == "__main__":
    main()
