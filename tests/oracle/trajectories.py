#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/optimizer/trajectory_figures.hpp: where optimizers are after 40 steps, by PyTorch and geoopt in double.

The problem: x is 12 x 3 (A's: 3 x 12, transposed), f(x) = |M x - N|^2 / 2, so that the gradient is M^T (M x - N), with
M[i][j] = sin(1.7 (12 i + j + 1)^2) / 2 and N[i][j] = sin(0.9 (3 i + j + 1)^2). Parameters in the plane start at
x[i][j] = sin(2.3 (3 i + j + 1)^2), those on the manifold at its qf, which is the first array.

    sgd…, adamw           torch.optim
    riemannian_sgd…       geoopt.optim.RiemannianSGD on EuclideanStiefel. geoopt begins its momentum with the gradient
                          before projection, multiplies it by the momentum and adds the projected gradient; here it is
                          made to begin at zero, as PyTorch's SGD in effect does.
    riemannian_adam       geoopt.optim.RiemannianAdam on EuclideanStiefel
    cayley…, polar…       the same formulas with these retractions: Cayley by the 12 x 12 equations, polar by the SVD
    projected_adamw       torch.optim.Adam on the canonical gradient, its displacement projected, then polar by the SVD
    muon                  the SVD's U V^T of Nesterov's momentum

    python3 tests/oracle/trajectories.py > tests/optimizer/trajectory_figures.hpp

Needs torch, and geoopt 0.5.1 with scipy (pip install --no-deps geoopt; apt-get install python3-scipy).
"""
import math

import geoopt
import torch

torch.set_default_dtype(torch.float64)
ROWS, COLUMNS, STEPS, RATE = 12, 3, 40, 0.05


def sines(rows, columns, factor):
    return torch.tensor([[math.sin(factor * (columns * i + j + 1) ** 2) for j in range(columns)] for i in range(rows)])


M, N, PLANE = sines(ROWS, ROWS, 1.7) / 2, sines(ROWS, COLUMNS, 0.9), sines(ROWS, COLUMNS, 2.3)


def gradient(x):
    return M.T @ (M @ x - N)


def qf(y):
    q, r = torch.linalg.qr(y)
    return q * torch.sign(torch.diagonal(r))


def polar(x, d):
    u, _, v = torch.linalg.svd(x + d, full_matrices=False)
    return u @ v


def cayley(x, d):
    one = torch.eye(ROWS)
    p = (one - x @ x.T / 2) @ d
    w = p @ x.T - x @ p.T
    return torch.linalg.solve(one - w / 2, (one + w / 2) @ x)


def project(x, z):
    s = x.T @ z
    return z - x @ (s + s.T) / 2


START = qf(PLANE)


def by_torch(make, first=PLANE):
    x = first.clone().requires_grad_(True)
    optimizer = make([x])
    for _ in range(STEPS):
        x.grad = gradient(x.detach())
        optimizer.step()
    return x.detach()


def by_geoopt(make, momentum=0):
    x = geoopt.ManifoldParameter(START.clone(), manifold=geoopt.EuclideanStiefel())
    optimizer = make([x])
    if momentum:
        optimizer.state[x]["momentum_buffer"] = torch.zeros_like(START)
    for _ in range(STEPS):
        x.grad = gradient(x.detach())
        optimizer.step()
    return x.detach()


def sgd_along(retract, momentum=0.9):
    x, m = START.clone(), torch.zeros_like(START)
    for _ in range(STEPS):
        m = momentum * m + project(x, gradient(x))
        x = retract(x, -RATE * m)
        m = project(x, m)
    return x


def adam_along(retract):
    x, m, v = START.clone(), torch.zeros_like(START), 0.0
    for t in range(1, STEPS + 1):
        g = project(x, gradient(x))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * (g * g).sum()
        x = retract(x, -RATE * m / (1 - 0.9 ** t) / (torch.sqrt(v / (1 - 0.999 ** t)) + 1e-8))
        m = project(x, m)
    return x


def projected_adamw():
    x, moved = START.clone(), torch.zeros_like(START).requires_grad_(True)
    optimizer = torch.optim.Adam([moved], lr=RATE)
    for _ in range(STEPS):
        g = gradient(x)
        with torch.no_grad():
            moved.zero_()
        moved.grad = g - x @ g.T @ x
        optimizer.step()
        x = polar(x, project(x, moved.detach()))
    return x


def muon():
    x, m = PLANE.clone(), torch.zeros_like(PLANE)
    for _ in range(STEPS):
        g = gradient(x)
        m = 0.95 * m + g
        u, _, v = torch.linalg.svd(g + 0.95 * m, full_matrices=False)
        x = x * (1 - RATE * 0.01) - RATE * math.sqrt(ROWS / COLUMNS) * (u @ v)
    return x


CASES = {
    "start": START,
    "sgd": by_torch(lambda p: torch.optim.SGD(p, lr=RATE)),
    "sgd_momentum": by_torch(lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9)),
    "sgd_nesterov": by_torch(lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, nesterov=True)),
    "adamw": by_torch(lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.1)),
    "riemannian_sgd": by_geoopt(lambda p: geoopt.optim.RiemannianSGD(p, lr=RATE)),
    "riemannian_sgd_momentum": by_geoopt(lambda p: geoopt.optim.RiemannianSGD(p, lr=RATE, momentum=0.9), 0.9),
    "riemannian_adam": by_geoopt(lambda p: geoopt.optim.RiemannianAdam(p, lr=RATE)),
    "cayley_sgd": sgd_along(cayley),
    "polar_sgd": sgd_along(polar),
    "cayley_adam": adam_along(cayley),
    "polar_adam": adam_along(polar),
    "projected_adamw": projected_adamw(),
    "muon": muon(),
}

# What this script writes itself agrees with geoopt where geoopt has it.
assert (sgd_along(lambda x, d: qf(x + d)) - CASES["riemannian_sgd_momentum"]).abs().max() < 1e-13
assert (adam_along(lambda x, d: qf(x + d)) - CASES["riemannian_adam"]).abs().max() < 1e-13

made_with = f"PyTorch {torch.__version__.split('+')[0]} and geoopt {geoopt.__version__}"
print(f"""// SPDX-License-Identifier: Apache-2.0
// Written by tests/oracle/trajectories.py with {made_with}:
// the start, then parameters after {STEPS} steps.
#pragma once

#include <vector>

namespace graft_test::trajectory {{
""")
for name, x in CASES.items():
    line, lines = "   ", []
    for value in x.flatten().tolist():
        word = f" {value:.17g},"
        if len(line) + len(word) > 120:
            lines.append(line)
            line = "   "
        line += word
    lines.append(line.rstrip(","))
    print(f"inline std::vector<double> const {name}{{\n" + "\n".join(lines) + "};")
print("\n}  // namespace graft_test::trajectory")
