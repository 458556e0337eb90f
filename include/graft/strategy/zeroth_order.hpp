// SPDX-License-Identifier: Apache-2.0
// No backward at all: gradients estimated from losses along random directions.           (layer 10: strategy)
#pragma once

#include <graft/strategy/strategy.hpp>

namespace graft {

/// MeZO: with z ~ N(0, 1) for every parameter p,
///
///     two points   g = (L(p + ε z) − L(p − ε z)) / 2ε
///     one point    g = (L(p + ε z) − L₀) / ε          L₀: the perturbed loss of the step before
///
/// and g z stands for the gradient; several samples are averaged. z is drawn again from its seed wherever it is needed,
/// and p + ε z is made in a copy of one block's parameters while that block runs, so p itself never drifts. Memory: a
/// forward pass, one block's parameters twice. The cosine with the true gradient of d parameters is √(2 / (π d)).
///
/// source   MeZO, arXiv 2305.17333, algorithm 1; one point: its definition 7, after arXiv 2006.07859.
struct zeroth_order {
    index_t samples = 1;
    double epsilon = 1e-3;
    bool one_point = false;
    index_t tile = 0;

    constexpr void forward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(tile > 0), c.run(s, {.value = true});
    }
    constexpr void backward(auto&) const {}
    constexpr strategy_answers answer() const {
        strategy_answers a;
        a.estimate = {samples, epsilon, one_point};
        return a;
    }
};
static_assert(GradientStrategy<zeroth_order>);

}  // namespace graft
