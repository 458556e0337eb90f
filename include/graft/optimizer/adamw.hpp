// SPDX-License-Identifier: Apache-2.0
// Adam with weight decay beside the gradient, not in it.                                 (layer 11: optimizer)
#pragma once

#include <graft/optimizer/numbers.hpp>
#include <graft/simd/blocking.hpp>

#include <cmath>

namespace graft {

namespace detail {

/// The numbers of a step of Adam that all its parameters share: p ← p − rate · m / (√v · root + ε).
struct adam_step {
    double rate, root;
    adam_step(double beta1, double beta2, double eta, index_t step)
        : rate(eta / (1 - power(beta1, step))), root(1 / refined_sqrt(1 - power(beta2, step))) {}

    /// b^n; on a microcontroller by squaring, which takes no logarithm.
    static double power(double b, index_t n) {
        if constexpr (!blocking::small) return std::pow(b, static_cast<double>(n));
        double p = 1;
        for (; n > 0; n /= 2, b *= b)
            if (n % 2 != 0) p *= b;
        return p;
    }
};

}  // namespace detail

/// m ← β₁ m + (1 − β₁) g     v ← β₂ v + (1 − β₂) g²
/// p ← p − η (m̂ / (√v̂ + ε) + λ p)     with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)
///
/// source   Adam, arXiv 1412.6980, algorithm 1; decoupled decay, arXiv 1711.05101.
struct adamw {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;

    /// All m, then all v.
    template <class T>
    constexpr index_t state_bytes(piece const& p) const { return detail::bytes_of<T>(2 * p.count()); }

    template <class T>
    void apply(update<T> const& u) const {
        using P = pack<T>;
        auto const all = [](double x) { return P::broadcast(static_cast<T>(x)); };
        detail::adam_step const step(beta1, beta2, u.rate, u.step);
        P const b1 = all(beta1), a1 = all(1 - beta1), b2 = all(beta2), a2 = all(1 - beta2), rate = all(step.rate);
        P const shrink = detail::kept(u, weight_decay), root = all(step.root), eps = all(epsilon);
        T *const x = u.parameters, *const m = detail::numbers<T>(u.state), *const v = m + u.of.count();
        detail::by_packs<T>(u.of.count(), [&](index_t i, index_t n) __attribute__((always_inline)) {
            P const g = detail::gradient(u, i, n);
            P const mi = fma(b1, detail::take(m + i, n), a1 * g), vi = fma(b2, detail::take(v + i, n), a2 * g * g);
            detail::put(m + i, n, mi), detail::put(v + i, n, vi);
            detail::put(x + i, n, shrink * detail::take(x + i, n) - rate * mi / (sqrt(vi) * root + eps));
        });
    }
};
static_assert(Optimizer<adamw>);

}  // namespace graft
