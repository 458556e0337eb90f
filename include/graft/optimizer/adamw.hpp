// SPDX-License-Identifier: Apache-2.0
// Adam with weight decay beside the gradient, not in it.                                 (layer 11: optimizer)
#pragma once

#include <graft/optimizer/optimizer.hpp>

#include <cmath>

namespace graft {

/// m ← β₁ m + (1 − β₁) g     v ← β₂ v + (1 − β₂) g²
/// p ← p − η (m̂ / (√v̂ + ε) + λ p)     with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)
///
/// source   Adam, arXiv 1412.6980, algorithm 1; decoupled decay, arXiv 1711.05101.
struct adamw {
    static constexpr index_t state_per_parameter = 2;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;

    template <class T>
    void apply(update<T> const& u, workers const& on) const {
        using p = pack<T>;
        auto const all = [](double x) { return p::broadcast(static_cast<T>(x)); };
        double const t = static_cast<double>(u.step);
        double const correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
        p const b1 = all(beta1), a1 = all(1 - beta1), b2 = all(beta2), a2 = all(1 - beta2), scale = all(u.scale);
        p const shrink = all(1 - u.rate * weight_decay), rate = all(u.rate / correction1);
        p const root = all(1 / std::sqrt(correction2)), eps = all(epsilon);

        detail::in_pieces(u.count, on, [&](index_t first, index_t count) {
            T *x = u.parameters + first, *m = u.state + first, *v = u.state + u.count + first;
            T const* const g = u.gradients ? u.gradients + first : nullptr;
            for (index_t i = 0; i < count; i += p::width) {
                index_t const n = count - i < p::width ? count - i : p::width;
                p const gi = g ? p::load_some(g + i, n) * scale : all(0);
                p const mi = fma(b1, p::load_some(m + i, n), a1 * gi);
                p const vi = fma(b2, p::load_some(v + i, n), a2 * gi * gi);
                p const xi = shrink * p::load_some(x + i, n) - rate * mi / (sqrt(vi) * root + eps);
                mi.store_some(m + i, n), vi.store_some(v + i, n), xi.store_some(x + i, n);
            }
        });
    }
};
static_assert(Optimizer<adamw>);

}  // namespace graft
