#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/program/torch_figures.hpp: recurrent networks and losses, with their gradients, by PyTorch in double.

Every input is sin(1.7 n) · 0.9, where n counts on from 1 over all tensors of a case, in the order of their making.

    python3 tests/oracle/torch_networks.py > tests/program/torch_figures.hpp
"""
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
count = 0
cases = {}


def start():
    global count
    count = 0


def make(*sizes, grad=True):
    global count
    n = math.prod(sizes)
    x = torch.tensor([math.sin(1.7 * (count + k + 1)) * 0.9 for k in range(n)]).reshape(sizes)
    count += n
    return x.requires_grad_(grad)


def record(name, value, by):
    gradients = torch.autograd.grad(value, by)
    cases[name] = [value.item()] + [g for t in gradients for g in t.flatten().tolist()]


STEPS, BATCH, INPUTS, WIDTH = 5, 2, 3, 2


def network(kind, bidirectional=False, detach_every=0):
    start()
    gates = 4 if kind is torch.nn.LSTM else 3
    states = 2 if kind is torch.nn.LSTM else 1
    xs = make(STEPS, BATCH, INPUTS)
    ways = 2 if bidirectional else 1
    first, weights = [], []
    for _ in range(ways):
        first.append([make(BATCH, WIDTH) for _ in range(states)])
        weights.append([make(gates * WIDTH, INPUTS), make(gates * WIDTH, WIDTH), make(gates * WIDTH),
                        make(gates * WIDTH)])
    seen = make(STEPS, BATCH, ways * WIDTH, grad=False)
    net = kind(INPUTS, WIDTH, bidirectional=bidirectional)
    own = [p for suffix in (["", "_reverse"] if bidirectional else [""])
           for p in (getattr(net, n + suffix) for n in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))]
    with torch.no_grad():
        for mine, given in zip(own, [w for way in weights for w in way]):
            mine.copy_(given)
    state = tuple(torch.stack([way[k] for way in first]) for k in range(states))
    parts = []
    for begin in range(0, STEPS, detach_every or STEPS):
        y, state = net(xs[begin:begin + (detach_every or STEPS)], state if states == 2 else state[0])
        state = tuple(s.detach() for s in (state if states == 2 else (state,)))
        parts.append(y)
    y = torch.cat(parts)
    by = [xs]
    for way in range(ways):
        by += first[way] + own[4 * way:4 * way + 4]
    return (y * seen).sum(), by


def losses():
    start()
    x, r, w = make(6, 4), make(6), make(4)
    t = torch.tensor([2, -1, 0, 3, 3, -1])
    rows, classes = r.detach().abs().requires_grad_(), w.detach().abs().requires_grad_()
    record("cross_entropy", F.cross_entropy(x, t, ignore_index=-1), [x])
    record("cross_entropy_classes", F.cross_entropy(x, t, weight=classes.detach(), ignore_index=-1), [x])
    each = F.cross_entropy(x, t, weight=classes.detach(), ignore_index=-1, reduction="none")
    own = torch.where(t < 0, 0.0, classes.detach()[t.clamp(min=0)])
    record("cross_entropy_both", (rows * each).sum() / (rows * own).sum(), [x, rows])
    start()
    x, t, w, p = make(5, 3), make(5, 3).detach().abs(), make(5, 3).detach().abs(), make(3).detach().abs()
    record("binary", F.binary_cross_entropy_with_logits(x, t), [x])
    record("binary_weights", F.binary_cross_entropy_with_logits(x, t, weight=w, pos_weight=p), [x])
    record("squared", F.mse_loss(x, t), [x])
    record("huber", F.huber_loss(x, t, delta=0.5), [x])


for name, kind in (("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)):
    record(name, *network(kind))
    record(name + "_both_ways", *network(kind, bidirectional=True))
    record(name + "_truncated", *network(kind, detach_every=2))
losses()

print(f"""// SPDX-License-Identifier: Apache-2.0
// Written by tests/oracle/torch_networks.py with PyTorch {torch.__version__}: of each case a value, then its gradients.
#pragma once

#include <vector>

namespace graft_test::torch {{
""")
for name, numbers in cases.items():
    print(f"inline std::vector<double> const {name}{{")
    lines, line = [], "   "
    for x in numbers:
        word = f" {x:.15g},"
        if len(line) + len(word) > 120:
            lines.append(line)
            line = "   "
        line += word
    print("\n".join(lines + [line.rstrip(",")]) + "};")
print("\n}  // namespace graft_test::torch")
