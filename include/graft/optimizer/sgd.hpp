// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent: plain, with momentum, with Nesterov's.                     (layer 11: optimizer)
#pragma once

#include <graft/optimizer/numbers.hpp>

namespace graft {

/// m ← μ m + g     p ← p − η (d + λ p)     with d = g without momentum, m with it, g + μ m as Nesterov has it
///
/// The memory is one number per parameter, none where momentum is 0. Weight decay stands beside the gradient, not in
/// it: with λ = 0 this is PyTorch's SGD without dampening; its weight_decay would enter the momentum.
struct sgd {
    double momentum = 0;
    bool nesterov = false;
    double weight_decay = 0;

    template <class T>
    constexpr index_t state_bytes(piece const& p) const {
        return momentum == 0 ? 0 : detail::bytes_of<T>(p.count());
    }

    template <class T>
    void apply(update<T> const& u) const {
        using P = pack<T>;
        P const shrink = detail::kept(u, weight_decay), rate(static_cast<T>(-u.rate)), mu(static_cast<T>(momentum));
        T *const x = u.parameters, *const state = momentum == 0 ? nullptr : detail::numbers<T>(u.state);
        detail::by_packs<T>(u.of.count(), [&](index_t i, index_t n) __attribute__((always_inline)) {
            P d = detail::gradient(u, i, n);
            if (state) {
                P const m = fma(mu, detail::take(state + i, n), d);
                detail::put(state + i, n, m);
                d = nesterov ? fma(mu, m, d) : m;
            }
            detail::put(x + i, n, fma(rate, d, shrink * detail::take(x + i, n)));
        });
    }
};
static_assert(Optimizer<sgd>);

}  // namespace graft
