# SPDX-License-Identifier: Apache-2.0
"""The step graft is timed against: LoRA on all seven maps of a llama-shaped model in PyTorch, random weights.

usage: /usr/bin/python3 torch_step.py SHAPE SEQ RANK MODE THREADS [STEPS]
SHAPE    smollm2-135m, qwen2.5-0.5b, or WIDTH,HIDDEN,LAYERS,HEADS,KV_HEADS,HEAD,VOCABULARY[,bias]
MODE     full        keeps every activation for the backward
         checkpoint  keeps each block's input and runs the block again (torch.utils.checkpoint)
         forward     loss only, no gradient
Batch 1, f32. A step is forward, backward, AdamW and clearing the gradients: embedding, blocks, norm, tied head,
cross-entropy over SEQ next tokens, as graft's. Prints one JSON object: seconds are minima over the steps after the
first (which pays for first touches), "steps" lists all of them; "step_cpu_s" is processor time, which with one thread
says something even on a busy machine. Memory in MiB; the peak is the whole process, interpreter ("import_mib") and
weights included.
The Debian package python3-torch with libopenblas0-openmp is the version the project's claims name: with
libopenblas0-pthread two pools of threads fight, and two threads are slower than one. On a busy machine two threads of
either wait for each other at every product: look at "steps", and measure again when they scatter.
"""

import argparse
import ctypes
import json
import math
import resource
import statistics
import time

SHAPES = {
    "smollm2-135m": (576, 1536, 30, 9, 3, 64, 49152, False),
    "qwen2.5-0.5b": (896, 4864, 24, 14, 2, 64, 151936, True),
}


def resident_mib():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def blas_core():
    """Which OpenBLAS kernel runs, since the same library is several times slower on the wrong one."""
    with open("/proc/self/maps", encoding="ascii") as file:
        paths = {line.split()[-1] for line in file if "openblas" in line and ".so" in line}
    for path in sorted(paths):
        try:
            name = ctypes.CDLL(path).openblas_get_corename
        except (OSError, AttributeError):
            continue
        name.restype = ctypes.c_char_p
        return name().decode()
    return None


def parse_shape(text):
    if text in SHAPES:
        return SHAPES[text]
    parts = text.split(",")
    bias = parts[-1] == "bias"
    numbers = [int(p) for p in parts[: len(parts) - bias]]
    if len(numbers) != 7 or min(numbers) < 1 or numbers[3] % numbers[4] or numbers[5] % 2:
        raise argparse.ArgumentTypeError(f"{text}: not a known name nor seven positive numbers that fit together")
    return (*numbers, bias)


def build(torch, shape, rank, mode):
    """A function from token ids to the loss, and the adapters' parameters."""
    nn, functional = torch.nn, torch.nn.functional
    width, hidden, layers, heads, kv_heads, head, vocabulary, bias = shape

    def frozen(*sizes):
        return torch.randn(*sizes).mul_(0.02)

    class Adapted(nn.Module):
        """x W' + b + (alpha/r) (x A') B' with W and b frozen, alpha = 2 r."""

        def __init__(self, inputs, outputs, with_bias=False):
            super().__init__()
            self.register_buffer("weight", frozen(outputs, inputs))
            self.register_buffer("bias", torch.zeros(outputs) if with_bias else None)
            bound = 1 / math.sqrt(inputs)
            self.a = nn.Parameter(torch.empty(rank, inputs).uniform_(-bound, bound))
            self.b = nn.Parameter(torch.zeros(outputs, rank))

        def forward(self, x):
            update = functional.linear(functional.linear(x, self.a), self.b)
            return functional.linear(x, self.weight, self.bias).add(update, alpha=2.0)

    def rms_norm(x, gain):
        return gain * (x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt())

    def rotate(x, cos, sin):
        low, high = x.chunk(2, -1)
        return torch.cat((low * cos - high * sin, high * cos + low * sin), -1)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("gains", torch.ones(2, width))
            self.q, self.k, self.v = (Adapted(width, n * head, bias) for n in (heads, kv_heads, kv_heads))
            self.o = Adapted(heads * head, width)
            self.gate, self.up, self.down = Adapted(width, hidden), Adapted(width, hidden), Adapted(hidden, width)

        def forward(self, x, cos, sin, mask):
            rows = x.shape[0]
            h = rms_norm(x, self.gains[0])
            by_head = lambda y, n: y.reshape(rows, n, head).transpose(0, 1)
            q = rotate(by_head(self.q(h), heads), cos, sin)
            share = heads // kv_heads
            k = rotate(by_head(self.k(h), kv_heads), cos, sin).repeat_interleave(share, 0)
            v = by_head(self.v(h), kv_heads).repeat_interleave(share, 0)
            scores = torch.matmul(q, k.transpose(-1, -2)).mul(head**-0.5).add(mask)
            mixed = torch.matmul(scores.softmax(-1), v).transpose(0, 1).reshape(rows, heads * head)
            x = x + self.o(mixed)
            h = rms_norm(x, self.gains[1])
            return x + self.down(functional.silu(self.gate(h)) * self.up(h))

    embedding, gain = frozen(vocabulary, width), torch.ones(width)
    stack = nn.ModuleList(Layer() for _ in range(layers))

    def loss(ids):
        rows = len(ids) - 1
        angle = torch.arange(rows)[:, None] * 1e5 ** (-torch.arange(0, head, 2) / head)
        cos, sin = angle.cos(), angle.sin()
        mask = torch.full((rows, rows), -math.inf).triu(1)
        x = embedding[ids[:-1]]
        if mode == "checkpoint":
            x.requires_grad_()  # else the first block's recomputation is cut off from the graph
        for layer in stack:
            if mode == "checkpoint":
                x = torch.utils.checkpoint.checkpoint(layer, x, cos, sin, mask, use_reentrant=True)
            else:
                x = layer(x, cos, sin, mask)
        return functional.cross_entropy(rms_norm(x, gain) @ embedding.T, ids[1:])

    return loss, [p for p in stack.parameters() if p.requires_grad]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", type=parse_shape)
    parser.add_argument("seq", type=int)
    parser.add_argument("rank", type=int)
    parser.add_argument("mode", choices=["full", "checkpoint", "forward"])
    parser.add_argument("threads", type=int)
    parser.add_argument("steps", type=int, nargs="?", default=4)
    options = parser.parse_args()
    if min(options.seq, options.rank, options.threads, options.steps) < 1:
        parser.error("SEQ, RANK, THREADS and STEPS are at least 1")
    import torch
    import torch.utils.checkpoint

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    import_mib = resident_mib()
    loss_of, parameters = build(torch, options.shape, options.rank, options.mode)
    weights_mib = resident_mib()
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    ids = torch.randint(0, options.shape[6], (options.seq + 1,))
    times, losses = [], []
    for _ in range(options.steps):
        busy, start = time.process_time(), time.perf_counter()
        if options.mode == "forward":
            with torch.no_grad():
                loss = loss_of(ids)
            forward = backward = time.perf_counter()
        else:
            loss = loss_of(ids)
            forward = time.perf_counter()
            loss.backward()
            backward = time.perf_counter()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        end = time.perf_counter()
        times.append((forward - start, backward - forward, end - backward, end - start, time.process_time() - busy))
        losses.append(loss.item())
    warm = times[1:] or times
    usage = resource.getrusage(resource.RUSAGE_SELF)
    names = ["forward_s", "backward_s", "optimizer_s", "step_s", "step_cpu_s"]
    best = {name: round(min(t[i] for t in warm), 4) for i, name in enumerate(names)}
    print(
        json.dumps(
            {
                "peer": "torch",
                "version": torch.__version__,
                "blas_core": blas_core(),
                "shape": list(options.shape),
                "seq": options.seq,
                "rank": options.rank,
                "mode": options.mode,
                "threads": options.threads,
                **best,
                "median_s": round(statistics.median(t[3] for t in warm), 4),
                "steps": [round(t[3], 4) for t in times],
                "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
                "import_mib": round(import_mib),
                "weights_mib": round(weights_mib),
                "peak_mib": round(usage.ru_maxrss / 1024),
                "trainable": sum(p.numel() for p in parameters),
                "losses": [round(value, 5) for value in losses],
            }
        )
    )


if __name__ == "__main__":
    main()
