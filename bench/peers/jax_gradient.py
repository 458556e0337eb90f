#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The problems of bench/gradient in JAX: jitted, float64, one thread.

usage: jax_gradient.py [--rounds 15] [--problem mixture_10_5] [--against FOLDER]

Data come from the same generator in the same order as in bench/gradient/problems.hpp, which also states the formulas.
--against compares function and derivative with FOLDER/PROBLEM.f64, which bench_gradient_cost --write left there.
Compilation is not timed. Function and gradient take turns within a round; a turn repeats for at least five
milliseconds and costs the process's CPU time. One JSON line a problem, for bench_gradient_cost --beside.
Needs the packages jax[cpu] and numpy.
"""

import argparse
import ctypes
import json
import math
import os
import pathlib
import statistics
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
if hasattr(os, "sched_setaffinity"):  # whatever threads XLA starts all the same share one processor
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
if sys.platform == "linux":  # keep freed memory: large temporaries whose pages come anew take up to twice the time
    for parameter, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        ctypes.CDLL(None).mallopt(parameter, value)

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


class Generator:
    def __init__(self, seed):
        self.state = seed

    def __call__(self):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return self.state / 2147483648.0 - 1

    def below(self, n):
        return int(self() * 0.5 * n + 0.5 * n)

    def fill(self, n, scale, middle=0.0):
        return [middle + scale * self() for _ in range(n)]


def mixture(points, width, components, gamma=0.8, m=2.0):
    draw = Generator(1)
    below = width * (width - 1) // 2
    parameters = draw.fill(components, 1) + draw.fill(components * width, 0.5)
    for _ in range(components):
        parameters += draw.fill(width, 0.2) + draw.fill(below, 0.5 / math.sqrt(width))
    x = np.array(draw.fill(points * width, 1)).reshape(points, width)
    freedom = width + m + 1
    gammas = 0.25 * width * (width - 1) * math.log(math.pi)
    gammas += sum(math.lgamma(0.5 * (freedom + 1 - j)) for j in range(1, width + 1))
    constant = -0.5 * points * width * math.log(2 * math.pi)
    constant -= components * (freedom * width * (math.log(gamma) - 0.5 * math.log(2)) - gammas)
    columns, rows = np.triu_indices(width, 1)  # the columns below the diagonal, one after the other
    place = np.zeros((width, width), int)      # gathering through it and a mask is faster than scattering
    place[rows, columns] = np.arange(below)
    mask = np.tril(np.ones((width, width)), -1)

    def function(parameters, x):
        alphas = parameters[:components]
        means = parameters[components:components * (1 + width)].reshape(components, width)
        factors = parameters[components * (1 + width):].reshape(components, -1)
        logs, lower = factors[:, :width], factors[:, width:]
        exps = jnp.exp(logs)
        q = lower[:, place] * mask + exps[:, :, None] * np.eye(width)
        y = (q.reshape(-1, width) @ x.T).reshape(components, width, points)
        y = y - jnp.einsum("kji,ki->kj", q, means)[..., None]
        sums = logs.sum(1)
        terms = alphas + sums - 0.5 * (y * y).sum(1).T
        prior = 0.5 * gamma**2 * ((exps * exps).sum() + (lower * lower).sum()) - m * sums.sum()
        return (constant + jax.nn.logsumexp(terms, axis=1).sum() - points * jax.nn.logsumexp(alphas) + prior)

    return function, jax.value_and_grad(function), (np.array(parameters), x)


def network(rows=256, width=32, hidden=64, out=10):
    draw = Generator(2)
    parameters = (draw.fill(hidden * width, 0.25) + draw.fill(hidden, 0.1) + draw.fill(out * hidden, 0.2) +
                  draw.fill(out, 0.1))
    x = np.array(draw.fill(rows * width, 1)).reshape(rows, width)
    labels = np.array([draw.below(out) for _ in range(rows)])
    cuts = np.cumsum([hidden * width, hidden, out * hidden])

    def function(parameters, x, labels):
        w1, b1, w2, b2 = jnp.split(parameters, cuts)
        h = jnp.tanh(x @ w1.reshape(hidden, width).T + b1)
        z = h @ w2.reshape(out, hidden).T + b2
        return (jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, labels[:, None], 1)[:, 0]).mean()

    return function, jax.value_and_grad(function), (np.array(parameters), x, labels)


def bundle(cameras=50, points=2000, observations=10000):
    draw = Generator(3)
    camera_parameters, point_parameters, weights, features, camera_of, point_of = [], [], [], [], [], []
    for _ in range(cameras):
        camera_parameters += (draw.fill(1, 0.15, 0.3) + draw.fill(2, 0.2) + draw.fill(3, 0.5) + draw.fill(1, 100, 500) +
                              draw.fill(2, 10) + draw.fill(1, 0.1) + draw.fill(1, 0.02))
    for _ in range(points):
        point_parameters += draw.fill(2, 1) + draw.fill(1, 1, 6)
    for _ in range(observations):
        weights += draw.fill(1, 0.3, 1)
        features += draw.fill(2, 100)
        camera_of.append(draw.below(cameras))
        point_of.append(draw.below(points))

    # A number of all observations is an array: twice as fast as vmap over observations of 15 numbers.
    def residual(r0, r1, r2, c0, c1, c2, f, u0, u1, k1, k2, x0, x1, x2, weight, feature0, feature1):
        angle = jnp.sqrt(r0 * r0 + r1 * r1 + r2 * r2)
        s, c = jnp.sin(angle), jnp.cos(angle)
        w0, w1, w2, x0, x1, x2 = r0 / angle, r1 / angle, r2 / angle, x0 - c0, x1 - c1, x2 - c2
        along = (w0 * x0 + w1 * x1 + w2 * x2) * (1 - c)
        y0 = x0 * c + (w1 * x2 - w2 * x1) * s + w0 * along
        y1 = x1 * c + (w2 * x0 - w0 * x2) * s + w1 * along
        y2 = x2 * c + (w0 * x1 - w1 * x0) * s + w2 * along
        p0, p1 = y0 / y2, y1 / y2
        square = p0 * p0 + p1 * p1
        scale = f * (1 + square * (k1 + k2 * square))
        return weight * (scale * p0 + u0 - feature0), weight * (scale * p1 + u1 - feature1)

    def gathered(cameras, points, weights, camera_of, point_of):
        return ([cameras[:, i][camera_of] for i in range(11)] + [points[:, i][point_of] for i in range(3)] + [weights])

    def function(cameras, points, weights, features, camera_of, point_of):
        at = gathered(cameras, points, weights, camera_of, point_of)
        value = residual(*at, features[:, 0], features[:, 1])
        return jnp.concatenate([jnp.stack(value, 1).reshape(-1), 1 - weights**2])

    def gradient(cameras, points, weights, features, camera_of, point_of):
        at = gathered(cameras, points, weights, camera_of, point_of)
        value, pull = jax.vjp(lambda *a: residual(*a, features[:, 0], features[:, 1]), *at)
        ones, zeros = jnp.ones_like(weights), jnp.zeros_like(weights)
        weights_value, weights_pull = jax.vjp(lambda w: 1 - w**2, weights)
        rows = jnp.stack(pull((ones, zeros)) + pull((zeros, ones)), 1)
        return (jnp.concatenate([jnp.stack(value, 1).reshape(-1), weights_value]),
                jnp.concatenate([rows.reshape(-1), weights_pull(ones)[0]]))

    return function, gradient, (np.array(camera_parameters).reshape(-1, 11), np.array(point_parameters).reshape(-1, 3),
                                np.array(weights), np.array(features).reshape(-1, 2), np.array(camera_of),
                                np.array(point_of))


PROBLEMS = {
    "bundle": bundle,
    "network": network,
    "mixture_10_5": lambda: mixture(1000, 10, 5),
    "mixture_20_25": lambda: mixture(1000, 20, 25),
    "mixture_64_25": lambda: mixture(1000, 64, 25),
}


def agree(what, got, expected):
    """Whether each number is the expected one to 1e-9 of its own or the mean size; else says where it is not."""
    error = np.abs(got - expected) / np.maximum(np.abs(expected), np.abs(expected).mean())
    if got.shape == expected.shape and error.max() <= 1e-9:
        return True
    print(f"{what}: relative error {error.max():.3g} at {error.argmax()}, at most 1e-9", file=sys.stderr)
    return False


def check(name, results, derivative, folder):
    expected = np.fromfile(folder / f"{name}.f64")
    results, derivative = np.ravel(results), np.ravel(derivative)
    if expected.size != results.size + derivative.size:
        print(f"{folder / name}.f64: {expected.size} numbers, expected {results.size + derivative.size}",
              file=sys.stderr)
        return False
    return (agree(f"{name}, function", results, expected[:results.size]) and
            agree(f"{name}, derivative", derivative, expected[results.size:]))


def repeats(run):
    """How often a turn repeats, so that it takes five milliseconds or more."""
    n = 1
    while True:
        start = time.process_time()
        for _ in range(n):
            run()
        taken = time.process_time() - start
        if taken >= 5e-3:
            return n
        n *= 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--problem", choices=PROBLEMS)
    parser.add_argument("--against", type=pathlib.Path)
    options = parser.parse_args()
    for name, make in PROBLEMS.items():
        if options.problem not in (None, name):
            continue
        function, gradient, data = make()
        data = [jax.device_put(d) for d in data]
        function, gradient = jax.jit(function), jax.jit(gradient)
        if options.against:
            results, derivative = gradient(*data)
            if not (check(name, function(*data), derivative, options.against) and
                    check(name, results, derivative, options.against)):
                return 1
        turns = [lambda: jax.block_until_ready(function(*data)), lambda: jax.block_until_ready(gradient(*data))]
        for run in turns:
            run()
        counts, times = [repeats(run) for run in turns], [[], []]
        for _ in range(max(1, options.rounds)):
            for run, count, list_ in zip(turns, counts, times):
                start = time.process_time()
                for _ in range(count):
                    run()
                list_.append((time.process_time() - start) / count * 1e6)
        best, middle = [min(t) for t in times], [statistics.median(t) for t in times]
        print(json.dumps({"problem": name, "contender": "jax", "version": jax.__version__,
                          "function_us": round(best[0], 2), "gradient_us": round(best[1], 2),
                          "ratio": round(best[1] / best[0], 3),
                          "median": {"function_us": round(middle[0], 2), "gradient_us": round(middle[1], 2)}}),
              flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
