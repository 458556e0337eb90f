#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what programs of bench wrote.

    python3 bench/support/plot.py race.csv --time time.svg --memory memory.svg
        bench/strategy/race: held-out loss against time, and what was reached against memory
    python3 bench/support/plot.py compare.csv --steps steps.svg [--task smollm2/gsm8k] [--count 200]
        bench/adapter/compare: held-out loss against steps, means of seeds and from the least to the largest
"""
import argparse
import csv
import html
import math

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 440, 70, 56, 380
COLOURS = ("#1f6f9f", "#2b8a3e", "#d1602d", "#8a4fbf", "#7a7a7a", "#b8860b")


def distance(spread, lines):
    """1, 2 or 5 times a power of ten: the distance of about `lines` grid lines."""
    power = 10 ** math.floor(math.log10(spread / lines))
    return next((m * power for m in (1, 2, 5) if spread / lines <= m * power), 10 * power)


def text(x, y, words, **more):
    extra = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{html.escape(words)}</text>\n'


class Picture:
    """Axes with round numbers on them, and what is drawn between them."""

    def __init__(self, title, x_label, y_label, xs, ys, x_from=None, right=740):
        self.right = right
        self.x0, self.x1 = (min(xs) if x_from is None else x_from), max(xs)
        pad = 0.06 * (max(ys) - min(ys) or 1)
        self.y0, self.y1 = min(ys) - pad, max(ys) + pad
        self.out = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                    f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="12" '
                    f'fill="#333">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n')
        self.out += text(LEFT, 30, title, font_size=15, font_weight="bold")
        for v in self.round_numbers(self.y0, self.y1, 6):
            self.out += f'<path d="M{LEFT} {self.y(v):.1f}H{right}" stroke="#e4e4e4"/>\n'
            self.out += text(LEFT - 8, self.y(v) + 4, f"{v:.10g}", text_anchor="end")
        for v in self.round_numbers(self.x0, self.x1, 8):
            self.out += f'<path d="M{self.x(v):.1f} {BOTTOM}v5" stroke="#333"/>\n'
            self.out += text(self.x(v), BOTTOM + 20, f"{v:.10g}", text_anchor="middle")
        self.out += f'<path d="M{LEFT} {TOP}V{BOTTOM}H{right}" fill="none" stroke="#333"/>\n'
        self.out += text((LEFT + right) / 2, BOTTOM + 42, x_label, text_anchor="middle")
        self.out += (f'<text transform="translate(18 {(TOP + BOTTOM) / 2}) rotate(-90)" '
                     f'text-anchor="middle">{html.escape(y_label)}</text>\n')

    @staticmethod
    def round_numbers(low, high, lines):
        step = distance(high - low or 1, lines)
        first = math.ceil(low / step - 1e-9)
        return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]

    def x(self, v):
        return LEFT + (self.right - LEFT) * (v - self.x0) / (self.x1 - self.x0 or 1)

    def y(self, v):
        return BOTTOM - (BOTTOM - TOP) * (v - self.y0) / (self.y1 - self.y0)

    def line(self, points, colour):
        path = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in points)
        self.out += f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>\n'
        for a, b in points:
            self.dot(a, b, colour, 2.5)

    def band(self, lower, upper, colour):
        path = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in lower + upper[::-1])
        self.out += f'<polygon points="{path}" fill="{colour}" fill-opacity="0.13"/>\n'

    def dot(self, a, b, colour, radius):
        self.out += f'<circle cx="{self.x(a):.1f}" cy="{self.y(b):.1f}" r="{radius}" fill="{colour}"/>\n'

    def names(self, ends):
        """Labels at the lines' ends, from the bottom up, none over another: (value, name, colour) each."""
        lowest = math.inf
        for value, name, colour in sorted(ends):
            lowest = min(lowest - 16, self.y(value) + 4)
            self.out += text(self.right + 10, lowest, name, fill=colour)

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.out + "</svg>\n")


def colour_of(names, name):
    return COLOURS[names.index(name) % len(COLOURS)]


def race(rows, asked):
    clock = "seconds" if "seconds" in rows[0] else "gmac"
    unit = {"seconds": "seconds of updates", "gmac": "10^9 multiply-adds of updates"}[clock]
    names = list(dict.fromkeys(row["strategy"] for row in rows))
    lines = {name: [(float(r[clock]), float(r["loss"])) for r in rows if r["strategy"] == name] for name in names}
    bytes_of = {row["strategy"]: int(row["planned_bytes"]) / 1e6 for row in rows}
    losses = [loss for line in lines.values() for _, loss in line]

    if asked.time:
        p = Picture("Held-out loss against time", unit, "held-out loss per token",
                    [t for line in lines.values() for t, _ in line], losses, right=590)
        for name in sorted(names, key=lambda name: lines[name][-1][1]):
            p.line(lines[name], colour_of(names, name))
        p.names((lines[name][-1][1], name, colour_of(names, name)) for name in names)
        p.save(asked.time)
    if asked.memory:
        last = {name: lines[name][-1][1] for name in names}
        spread = list(last.values()) + [lines[names[0]][0][1]]
        p = Picture("Held-out loss at equal time against memory", "planned MB beside the mapped weights",
                    "held-out loss per token", [m * 1.25 for m in bytes_of.values()], spread, x_from=0)
        start = lines[names[0]][0][1]
        p.out += (f'<path d="M{LEFT} {p.y(start):.1f}H{p.right}" stroke="#999" stroke-dasharray="4 4"/>'
                  + text(p.right, p.y(start) + 16, "before training", text_anchor="end", fill="#777"))
        placed = []
        for name in sorted(names, key=lambda name: last[name]):
            colour = colour_of(names, name)
            p.dot(bytes_of[name], last[name], colour, 5)
            x, y = p.x(bytes_of[name]) + 10, p.y(last[name]) + 4
            y += 14 if abs(p.y(last[name]) - p.y(start)) < 8 else 0  # not on the dashed line
            while any(abs(x - a) < 260 and abs(y - b) < 15 for a, b in placed):
                y -= 15  # labels of neighbours stand above each other
            placed.append((x, y))
            p.out += text(x, y, f"{name}: {last[name]:.3f}, {bytes_of[name]:.0f} MB", fill=colour,
                          stroke="#fff", stroke_width=4, paint_order="stroke")
        p.save(asked.memory)


def compare(rows, asked):
    """Lines of means over seeds; a method that ran at several rates has a line for each."""
    runs = [row for row in rows if row["part"] == "runs"]
    tasks = list(dict.fromkeys(row["task"] for row in runs))
    task = asked.task or (tasks[0] if len(tasks) == 1 else None)
    if task not in tasks:
        raise SystemExit(f"--task: one of {', '.join(tasks)}")
    runs = [row for row in runs if row["task"] == task]
    count = asked.count or max(int(row["steps"]) for row in runs)
    runs = [row for row in runs if int(row["steps"]) == count]
    if not runs:
        raise SystemExit(f"--count: {task} has no run of {count} steps")
    settings = list(dict.fromkeys((row["method"], row["rate"], row["factor"]) for row in runs))
    losses = {}  # of a name: of a step: of a seed
    for row in runs:
        method, rate, factor = row["method"], row["rate"], row["factor"]
        name = method if sum(s[0] == method for s in settings) == 1 else f"{method} {rate} x {factor}"
        losses.setdefault(name, {}).setdefault(int(row["step"]), {})[row["seed"]] = float(row["loss"])
    names = list(losses)
    seen = [v for steps in losses.values() for seeds in steps.values() for v in seeds.values() if math.isfinite(v)]
    seeds = max(len(of) for steps in losses.values() for of in steps.values())
    p = Picture(f"{task}: held-out loss, mean and range of {seeds} seeds", "steps", "held-out loss per learnt token",
                [step for steps in losses.values() for step in steps], seen, right=560)
    ends = []
    for name in names:
        steps = [(step, [v for v in of.values() if math.isfinite(v)]) for step, of in sorted(losses[name].items())]
        steps = [(step, of) for step, of in steps if of]
        colour = colour_of(names, name)
        p.band([(step, min(of)) for step, of in steps], [(step, max(of)) for step, of in steps], colour)
        p.line([(step, sum(of) / len(of)) for step, of in steps], colour)
        ends.append((sum(steps[-1][1]) / len(steps[-1][1]), name, colour))
    p.names(ends)
    p.save(asked.steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv")
    parser.add_argument("--time", help="race: SVG to write: loss against time")
    parser.add_argument("--memory", help="race: SVG to write: loss at the end against memory")
    parser.add_argument("--steps", help="compare: SVG to write: loss against steps")
    parser.add_argument("--task", help="compare: whose runs, where there are several")
    parser.add_argument("--count", type=int, help="compare: runs of so many steps (the most there are)")
    asked = parser.parse_args()
    with open(asked.csv, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    if not rows:
        parser.error(f"{asked.csv}: no rows")
    of_race = "strategy" in rows[0]
    if not (asked.time or asked.memory if of_race else asked.steps):
        parser.error("nothing to draw: " + ("--time, --memory" if of_race else "--steps"))
    (race if of_race else compare)(rows, asked)


if __name__ == "__main__":
    main()
