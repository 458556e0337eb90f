#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random compositions of graft's operations, as C++ tests with the values and gradients that PyTorch gives them.

    compositions.py --count 200 --first 0 --per-file 20 --out FOLDER      (the venv of setup.sh)

Each composition is a graph of 5 to 15 operations on tensors of 1 to 4 axes; inputs come from a generator that C++ has,
too (tests/support/composition.hpp). A value or gradient is written as its norm and its product with a random vector.
What lies near a kink, a pole or an overflow is thrown away and drawn again. The 50 in tests/program/compositions_*.cpp
are the first ones of this script: --out tests/program says so. A file of any others compiles as those do.
"""
import argparse
import math
import random
import re
from pathlib import Path

import torch

torch.set_num_threads(1)
MASK = (1 << 64) - 1


def stream(composition, argument):
    state = (composition * 1000003 + argument * 7919 + 12345) & MASK
    for k in range(1 << 30):
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        if k >= 4:
            yield (state >> 11) * 2.0**-53


def drawn(composition, argument, sizes, low, high):
    s = stream(composition, argument)
    flat = [low + (high - low) * next(s) for _ in range(math.prod(sizes))]
    return torch.tensor(flat, dtype=torch.float64).reshape(sizes)


class Again(Exception):
    """What was drawn does not fit: draw another."""


class Node:
    def __init__(self, code, value, line="", operands=()):
        self.code, self.value, self.line, self.operands = code, value, line, operands

    shape = property(lambda self: tuple(self.value.shape))
    rank = property(lambda self: self.value.dim())


class Composition:
    def __init__(self, number, attempt):
        self.number = number
        self.dice = random.Random(1000 * number + attempt)
        self.formula = self.dice.random() < 0.6
        self.inputs = []  # (symbol, place, index, sizes, extents, low, high, tensor)
        self.nodes, self.used, self.kinds, self.count = [], set(), set(), 0

    # ------------------------------------------------------------------------------------------------- arguments
    def extent(self, n):
        if n == 1:
            return "1"
        return self.dice.choice([str(n), str(n), "any", "any", f"up_to({n + self.dice.randrange(4)})"])

    def argument(self, sizes, low=-1.5, high=1.5, index=False):
        place = len(self.inputs)
        if place == 6:
            raise Again
        value = drawn(self.number, place, sizes, low, high)
        value = value.floor().long() if index else value.requires_grad_()
        name = ("k" if index else "x") + str(place)
        self.inputs.append((name, place, index, sizes, [self.extent(n) for n in sizes], low, high, value))
        node = Node(name, value)
        if not index:
            self.nodes.append(node)
        return node

    def beside(self, sizes):
        """Sizes that stretch to these."""
        sizes = [1 if self.dice.random() < 0.3 else n for n in sizes]
        while len(sizes) > 1 and self.dice.random() < 0.25:
            sizes = sizes[1:]
        return tuple(sizes)

    def pick_node(self, least=0, most=4):
        fit = [n for n in self.nodes if least <= n.rank <= most and n.value.numel() > 0]
        if not fit:
            raise Again
        recent = [n for n in fit[-2:] if id(n) not in self.used]
        return recent[-1] if recent and self.dice.random() < 0.75 else self.dice.choice(fit)

    def partner(self, a):
        fit = []
        for n in self.nodes:
            try:
                if len(torch.broadcast_shapes(n.shape, a.shape)) <= 4:
                    fit.append(n)
            except RuntimeError:
                pass
        if fit and self.dice.random() < 0.55:
            return self.dice.choice(fit)
        return self.argument(self.beside(a.shape) if a.rank else (self.dice.randint(2, 5),))

    # ------------------------------------------------------------------------------------------------ operations
    def put(self, code, value, *operands):
        if value.numel() > 400 or value.dim() > 4 or not torch.isfinite(value).all() or value.abs().max() > 30:
            raise Again
        self.count += 1
        node = Node(f"n{self.count}", value, code, operands)
        self.nodes.append(node)
        self.used.update(id(o) for o in operands)
        return node

    def unary(self):
        x = self.pick_node()
        v = x.value
        low, high, near = v.min().item(), v.max().item(), v.abs().min().item()
        table = {
            "-{}": lambda: -v, "sin({})": v.sin, "cos({})": v.cos, "tanh({})": v.tanh, "sigmoid({})": v.sigmoid,
            "softplus({})": lambda: torch.logaddexp(v, torch.zeros_like(v)), "erf({})": v.erf,
            "silu({})": lambda: v * v.sigmoid(), "gelu({})": lambda: torch.nn.functional.gelu(v),
            "gelu_tanh({})": lambda: torch.nn.functional.gelu(v, approximate="tanh"), "square({})": lambda: v * v,
            "2.5 * {}": lambda: 2.5 * v, "{} - 0.75": lambda: v - 0.75, "1.25 - {}": lambda: 1.25 - v,
            "pow({}, 2.0)": lambda: v**2, "pow({}, 3.0)": lambda: v**3,
        }
        if high < 3:
            table |= {"exp({})": v.exp, "expm1({})": v.expm1, "pow(1.5, {})": lambda: 1.5**v}
        if low > 0.1:
            table |= {"log({})": v.log, "sqrt({})": v.sqrt, "pow({}, 1.5)": lambda: v**1.5}
        if low > -0.9:
            table |= {"log1p({})": v.log1p}
        if near > 0.01:
            table |= {"abs({})": v.abs, "relu({})": v.relu, "max({}, 0.0)": lambda: v.clamp(min=0)}
        if near > 0.2:
            table |= {"1.5 / {}": lambda: 1.5 / v}
        if self.dice.random() < 0.05:
            return self.put(f"detach({x.code})", v.detach(), x)
        code = self.dice.choice(sorted(table))
        self.kinds.add(code)
        return self.put(code.format(x.code), table[code](), x)

    def binary(self):
        a = self.pick_node()
        b = self.partner(a)
        if self.dice.random() < 0.5:
            a, b = b, a
        u, v = a.value, b.value
        apart = (u - v).abs().min().item()
        table = {"{} + {}": lambda: u + v, "{} - {}": lambda: u - v, "{} * {}": lambda: u * v}
        if v.abs().min().item() > 0.2:
            table |= {"{} / {}": lambda: u / v}
        if u.min().item() > 0.1 and v.abs().max().item() < 3:
            table |= {"pow({}, {})": lambda: u**v}
        if apart > 1e-3:
            table |= {"max({}, {})": lambda: torch.maximum(u, v), "min({}, {})": lambda: torch.minimum(u, v)}
        code = self.dice.choice(sorted(table))
        self.kinds.add(code)
        return self.put(code.format(a.code, b.code), table[code](), a, b)

    def where(self):
        a = self.pick_node()
        b, c = self.partner(a), self.partner(a)
        if (a.value - c.value).abs().min().item() < 1e-3:
            raise Again
        mark, held = self.dice.choice([("<", a.value < c.value), (">=", a.value >= c.value), (">", a.value > c.value)])
        self.kinds.add("where")
        if self.dice.random() < 0.3:
            return self.put(f"where({a.code} {mark} {c.code}, {b.code}, 0.5)",
                            torch.where(held, b.value, torch.full_like(b.value, 0.5)), a, b, c)
        return self.put(f"where({a.code} {mark} {c.code}, {b.code}, {a.code})",
                        torch.where(held, b.value, a.value), a, b, c)

    def reduction(self):
        x = self.pick_node(least=1)
        axes = sorted(self.dice.sample(range(x.rank), self.dice.randint(1, x.rank)))
        kind = self.dice.choice(["sum", "sum", "mean", "max", "min", "variance", "log_sum_exp", "norm"])
        v = x.value
        keep = self.dice.random() < 0.5
        if kind in ("max", "min"):
            rest = [k for k in range(x.rank) if k not in axes]
            rows = v.permute(rest + axes).reshape(math.prod(v.shape[k] for k in rest), -1)
            if rows.shape[1] > 1 and rows.sort(1).values.diff(dim=1).min().item() < 1e-3:
                raise Again
        value = {
            "sum": lambda: v.sum(axes, keepdim=keep), "mean": lambda: v.mean(axes, keepdim=keep),
            "max": lambda: v.amax(axes, keepdim=keep), "min": lambda: v.amin(axes, keepdim=keep),
            "variance": lambda: v.var(axes, unbiased=False, keepdim=keep),
            "log_sum_exp": lambda: v.logsumexp(axes, keepdim=keep),
            "norm": lambda: v.square().sum(axes, keepdim=keep).sqrt(),
        }[kind]()
        if kind == "norm" and value.min().item() < 0.1:
            raise Again
        self.kinds.add(kind + (" keep" if keep else ""))
        said = [str(k - x.rank if self.dice.random() < 0.3 else k) for k in axes]
        list_of = "" if len(axes) == x.rank and self.dice.random() < 0.5 else "<" + ", ".join(said) + ">"
        return self.put(f"{kind}{list_of}({x.code}{', keep' if keep else ''})", value, x)

    def softmax(self):
        x = self.pick_node(least=1)
        axis = self.dice.randrange(x.rank)
        last = axis == x.rank - 1
        self.kinds.add("softmax" if last else "softmax along")
        if last and self.dice.random() < 0.5:
            return self.put(f"log_softmax({x.code})", x.value.log_softmax(-1), x)
        return self.put(f"softmax{'' if last else f'<{axis}>'}({x.code})", x.value.softmax(axis), x)

    def normalised(self):
        x = self.pick_node(least=1)
        if x.shape[-1] < 2:
            raise Again
        w = self.argument(x.shape[-1:], 0.5, 1.5)
        v = x.value
        if self.dice.random() < 0.5:
            self.kinds.add("rms_norm")
            value = v / (v.square().mean(-1, keepdim=True) + 0.01).sqrt() * w.value
            return self.put(f"rms_norm({x.code}, {w.code}, 0.01)", value, x, w)
        b = self.argument(x.shape[-1:])
        self.kinds.add("layer_norm")
        value = torch.nn.functional.layer_norm(v, x.shape[-1:], w.value, b.value, 0.01)
        return self.put(f"layer_norm({x.code}, {w.code}, {b.code}, 0.01)", value, x, w, b)

    def product(self):
        a = self.pick_node(least=2)
        fit = [n for n in self.nodes if n.rank >= 2 and n.shape[-2] == a.shape[-1]]
        turned = self.dice.random() < 0.4
        if turned:
            fit = [n for n in self.nodes if n.rank >= 2 and n.shape[-1] == a.shape[-1]]
        if fit and self.dice.random() < 0.4:
            b = self.dice.choice(fit)
        else:
            ahead = self.beside(a.shape[:-2]) if a.rank > 2 and self.dice.random() < 0.5 else ()
            n = self.dice.randint(1, 5)
            b = self.argument(ahead + ((n, a.shape[-1]) if turned else (a.shape[-1], n)), -1, 1)
        self.kinds.add("matmul" + (" turned" if turned else ""))
        left, right = a.value, b.value.transpose(-1, -2) if turned else b.value
        code = f"matmul({a.code}, {f'transpose({b.code})' if turned else b.code})"
        return self.put(code, left @ right, a, b)

    def selection(self):
        kind = self.dice.choice(["rows", "rows", "pick", "pick best"])
        self.kinds.add(kind)
        if kind == "rows":
            x = self.pick_node(least=1, most=3) if self.dice.random() < 0.5 else self.argument((5, 3))
            one = self.dice.random() < 0.6 or x.rank > 2
            many = (self.dice.randint(2, 4),) if one else (2, self.dice.randint(2, 3))
            k = self.argument(many, 0, x.shape[0], index=True)
            return self.put(f"rows({x.code}, {k.code})", x.value[k.value], x, k)
        x = self.pick_node(least=2)
        if kind == "pick":
            k = self.argument(x.shape[:-1], -1, x.shape[-1], index=True)
            value = x.value.gather(-1, k.value.clamp(min=0).unsqueeze(-1)).squeeze(-1) * (k.value >= 0)
            return self.put(f"pick({x.code}, {k.code})", value, x, k)
        same = [n for n in self.nodes if n.shape == x.shape]
        z = self.dice.choice(same)
        if z.shape[-1] > 1 and z.value.sort(-1).values.diff(dim=-1).min().item() < 1e-3:
            raise Again
        value = x.value.gather(-1, z.value.argmax(-1, keepdim=True)).squeeze(-1)
        return self.put(f"pick({x.code}, argmax({z.code}))", value, x, z)

    def reshaped(self):
        kind = self.dice.choice(["transpose", "permute", "insert", "merge", "split", "part", "concat", "concat"])
        self.kinds.add(kind)
        x = self.pick_node(least=1 if kind in ("insert", "split", "part", "concat") else 2, most=4)
        v, axis = x.value, self.dice.randrange(x.rank)
        if kind == "transpose":
            return self.put(f"transpose({x.code})", v.transpose(-1, -2), x)
        if kind == "permute":
            order = self.dice.sample(range(x.rank), x.rank)
            return self.put(f"permute<{', '.join(map(str, order))}>({x.code})", v.permute(order), x)
        if kind == "insert":
            axis = self.dice.randint(0, x.rank)
            return self.put(f"insert_axis<{axis}>({x.code})", v.unsqueeze(axis), x)
        if kind == "merge":
            axis = self.dice.randrange(x.rank - 1)
            return self.put(f"merge_axes<{axis}>({x.code})", v.flatten(axis, axis + 1), x)
        if kind == "split":
            inner = [d for d in range(2, v.shape[axis]) if v.shape[axis] % d == 0]  # what stays is not 1: it would
            # have to stretch, and may be known only when running
            if not inner:
                raise Again
            d = self.dice.choice(inner)
            return self.put(f"split_axis<{axis}, {d}>({x.code})", v.unflatten(axis, (v.shape[axis] // d, d)), x)
        if kind == "part":
            n = self.dice.randint(1, v.shape[axis])
            begin = self.dice.randint(0, v.shape[axis] - n)
            return self.put(f"part<{axis}, {begin}, {n}>({x.code})", v.narrow(axis, begin, n), x)
        others = [n for n in self.nodes if n.rank == x.rank and
                  all(n.shape[k] == x.shape[k] for k in range(x.rank) if k != axis)]
        y = self.dice.choice(others)
        return self.put(f"concat<{axis}>({x.code}, {y.code})", torch.cat([v, y.value], axis), x, y)

    # -------------------------------------------------------------------------------------------------- building
    def build(self):
        rank = self.dice.randint(1, 4)
        self.argument(tuple(self.dice.choice([1, 2, 3, 4, 5, 6]) if rank < 4 else self.dice.randint(1, 3)
                            for _ in range(rank)))
        goal, made = self.dice.randint(5, 15), 0
        makers = [self.unary] * 6 + [self.binary] * 6 + [self.where] + [self.reduction] * 4 + [self.softmax] * 2 + \
            [self.normalised] + [self.product] * 4 + [self.selection] * 2 + [self.reshaped] * 4
        for _ in range(200):
            if made == goal:
                break
            before = len(self.nodes), len(self.inputs)
            try:
                self.dice.choice(makers)()
                made += 1
            except (Again, RuntimeError):  # torch: three operands that do not stretch to one shape
                del self.nodes[before[0]:], self.inputs[before[1]:]
        root = self.nodes[-1]
        order = []
        def visit(n):
            for o in n.operands:
                visit(o)
            if n not in order:
                order.append(n)
        visit(root)
        self.order = [n for n in order if n.operands]
        if not 5 <= len(self.order) <= 15 or not root.value.requires_grad:
            raise Again
        reached = {n.code for n in order}
        self.inputs_used = [i for i in self.inputs if i[0] in reached]
        self.root = root
        return self

    def gradients(self):
        """The arguments that have gradients, and these."""
        wanted = [i for i in self.inputs_used if not i[2]]
        cotangent = drawn(self.number, 99, self.root.shape, -1, 1)
        found = torch.autograd.grad((self.root.value * cotangent).sum(), [i[7] for i in wanted], allow_unused=True,
                                    retain_graph=True)
        found = [torch.zeros_like(i[7]) if g is None else g for i, g in zip(wanted, found)]
        if any(not torch.isfinite(g).all() or g.abs().max() > 1e4 for g in found):
            raise Again
        return wanted, found

    def second(self, wanted):
        """Each direction, and the product of the Hessian and all of them."""
        cotangent = drawn(self.number, 99, self.root.shape, -1, 1)
        by = [i[7] for i in wanted]
        first = torch.autograd.grad((self.root.value * cotangent).sum(), by, create_graph=True, allow_unused=True)
        along = [drawn(self.number, 200 + i[1], i[3], -1, 1) for i in wanted]
        moved = sum((g * v).sum() for g, v in zip(first, along) if g is not None and g.requires_grad)
        if not isinstance(moved, torch.Tensor):
            return [torch.zeros_like(x) for x in by]
        found = torch.autograd.grad(moved, by, allow_unused=True)
        found = [torch.zeros_like(x) if g is None else g for x, g in zip(by, found)]
        if any(not torch.isfinite(g).all() or g.abs().max() > 1e5 for g in found):
            raise Again
        return found

    def measured(self, x, place):
        r = drawn(self.number, place, tuple(x.shape), -1, 1)
        return f"{{{(r * x).sum().item():.17g}, {x.square().sum().item():.17g}}}"

    def code(self):
        """The test, as lines of C++."""
        wanted, gradients = self.gradients()
        text = [f'TEST_CASE("composition {self.number}: its value and gradients are what PyTorch computes") {{']
        for name, _, index, _, extents, *_ in self.inputs_used:
            said = ", ".join([f'"{name}"', *extents])
            text.append(f"    constexpr {'index_symbol' if index else 'symbol'}<{said}> {name}{{}};")
        said = ", ".join(['"c"', *("1" if n == 1 else "any" for n in self.root.shape)])
        text.append(f"    constexpr symbol<{said}> c{{}};")
        names = [i[0] for i in self.inputs_used]
        body = [f"auto const {n.code} = {n.line};" for n in self.order]
        if self.formula:
            inside = ", ".join(f"auto {n.upper()}" for n in names)
            last = f"return {self.order[-1].line};"
            lines = body[:-1] + [last]
            text.append(f"    constexpr auto f = formula([]({inside}) {{")
            text += ["        " + re.sub(r"\b[xk]\d\b", lambda m: m[0].upper(), line) for line in lines]
            text.append(f"    }}, {', '.join(names)});")
        else:
            text += ["    " + line for line in body[:-1]] + [f"    auto const f = {self.order[-1].line};"]
        text.append(f"    composed({self.number}, f, wrt({', '.join(i[0] for i in wanted)}), "
                    f"given(c, 99, {self.braced(self.root.shape)}, -1, 1),")
        results = [self.measured(self.root.value.detach(), 100)]
        results += [self.measured(g, 101 + k) for k, g in enumerate(gradients)]
        text += self.wrapped("             {" + ", ".join(results) + "},", 14)
        said = [f"given({i[0]}, {i[1]}, {self.braced(i[3])}, {i[5]:g}, {i[6]:g})" for i in self.inputs_used]
        text += self.wrapped("             " + ", ".join(said) + ");", 13)
        if self.twice:
            curved = self.second(wanted)
            for i in wanted:
                text.append(f'    constexpr symbol<{", ".join([chr(34) + "v" + i[0] + chr(34), *i[4]])}> v{i[0]}{{}};')
            text.append(f"    bent({self.number}, f, wrt({', '.join(i[0] for i in wanted)}), "
                        f"along({', '.join('v' + i[0] for i in wanted)}), "
                        f"given(c, 99, {self.braced(self.root.shape)}, -1, 1),")
            results = ", ".join(self.measured(g, 300 + k) for k, g in enumerate(curved))
            text += self.wrapped("         {" + results + "},", 10)
            said += [f"given(v{i[0]}, {200 + i[1]}, {self.braced(i[3])}, -1, 1)" for i in wanted]
            text += self.wrapped("         " + ", ".join(said) + ");", 9)
        return text + ["}"]

    @staticmethod
    def braced(sizes):
        return "{" + ", ".join(map(str, sizes)) + "}"

    @staticmethod
    def wrapped(line, indent):
        lines = []
        while len(line) > 118:
            cut = line.rindex(", ", 0, 118) + 1
            lines.append(line[:cut])
            line = " " * indent + line[cut + 1:]
        return lines + [line]


def composition(number, twice):
    for attempt in range(1000):
        try:
            made = Composition(number, attempt).build()
            made.twice = twice
            return made.code(), made.kinds
        except Again:
            continue
    raise RuntimeError(f"nothing was drawn for composition {number}")


HEAD = """// SPDX-License-Identifier: Apache-2.0
// Compositions {first} to {last}, written with their results by tests/oracle/compositions.py.
#include <tests/support/composition.hpp>

using namespace graft;
using namespace graft_test;
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--per-file", type=int, default=13)
    parser.add_argument("--second", action="store_true", help="also the Hessian times a vector")
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args()
    kinds = {}
    for first in range(said.first, said.first + said.count, said.per_file):
        last = min(first + said.per_file, said.first + said.count) - 1
        text = [HEAD.format(first=first, last=last)]
        for number in range(first, last + 1):
            lines, met = composition(number, said.second)
            text.append("\n".join(lines) + "\n")
            for kind in met:
                kinds[kind] = kinds.get(kind, 0) + 1
        (said.out / f"compositions_{first // said.per_file + 1}.cpp").write_text("\n".join(text))
    print(f"{said.count} compositions of {len(kinds)} kinds:", ", ".join(f"{k} {n}" for k, n in sorted(kinds.items())))


if __name__ == "__main__":
    main()
