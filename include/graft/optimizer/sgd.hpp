// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent, without memory.                                           (layer 11: optimizer)
#pragma once

#include <graft/optimizer/optimizer.hpp>

namespace graft {

/// p ← p − η (g + λ p)
struct sgd {
    static constexpr index_t state_per_parameter = 0;
    double weight_decay = 0;

    template <class T>
    void apply(update<T> const& u, workers const& on) const {
        using p = pack<T>;
        p const shrink = p::broadcast(static_cast<T>(1 - u.rate * weight_decay));
        p const rate = p::broadcast(static_cast<T>(-u.rate * u.scale));
        detail::in_pieces(u.count, on, [&](index_t first, index_t count) {
            T* x = u.parameters + first;
            T const* const g = u.gradients ? u.gradients + first : nullptr;
            for (index_t i = 0; i < count; i += p::width) {
                index_t const n = count - i < p::width ? count - i : p::width;
                fma(rate, g ? p::load_some(g + i, n) : p(T(0)), shrink * p::load_some(x + i, n)).store_some(x + i, n);
            }
        });
    }
};
static_assert(Optimizer<sgd>);

}  // namespace graft
