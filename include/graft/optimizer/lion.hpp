// SPDX-License-Identifier: Apache-2.0
// Lion: steps of one size, in the direction of a momentum's sign.                        (layer 11: optimizer)
#pragma once

#include <graft/optimizer/numbers.hpp>

namespace graft {

/// p ← p − η (sign(β₁ m + (1 − β₁) g) + λ p)     then m ← β₂ m + (1 − β₂) g     sign(0) = 0
///
/// source   Symbolic discovery of optimization algorithms, arXiv 2302.06675, algorithm 2.
struct lion {
    double beta1 = 0.9, beta2 = 0.99, weight_decay = 0.01;

    template <class T>
    constexpr index_t state_bytes(piece const& p) const { return detail::bytes_of<T>(p.count()); }

    template <class T>
    void apply(update<T> const& u) const {
        using P = pack<T>;
        auto const all = [](double x) { return P::broadcast(static_cast<T>(x)); };
        P const b1 = all(beta1), a1 = all(1 - beta1), b2 = all(beta2), a2 = all(1 - beta2);
        P const shrink = detail::kept(u, weight_decay), zero = all(0), up = all(u.rate), down = all(-u.rate);
        T *const x = u.parameters, *const m = detail::numbers<T>(u.state);
        detail::by_packs<T>(u.of.count(), [&](index_t i, index_t n) __attribute__((always_inline)) {
            P const g = detail::gradient(u, i, n), before = detail::take(m + i, n), c = fma(b1, before, a1 * g);
            P const step = select(zero < c, down, select(c < zero, up, zero));
            detail::put(x + i, n, fma(shrink, detail::take(x + i, n), step));
            detail::put(m + i, n, fma(b2, before, a2 * g));
        });
    }
};
static_assert(Optimizer<lion>);

}  // namespace graft
