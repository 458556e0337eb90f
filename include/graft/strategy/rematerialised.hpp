// SPDX-License-Identifier: Apache-2.0
// Two ways to keep and to compute again, one for the lower blocks and one for the upper.  (layer 10: strategy)
#pragma once

#include <graft/strategy/mesp.hpp>

namespace graft {

/// A point between keeping nothing and keeping everything: what `train/budget.hpp` finds for a number of bytes. `mesp`
/// with nothing kept and `full` with everything kept are its ends. All gradients are exact.
struct rematerialised {
    mesp low{}, high{};
    index_t from = 0;   // layers from this one on are `high`
    index_t every = 1;  // blocks from one kept stream to the next
    index_t tile = 0;   // of `low`
    static constexpr index_t variants = 2;

    constexpr void forward(auto& c) const { of(c.variant).forward(c); }
    constexpr void backward(auto& c) const { of(c.variant).backward(c); }
    constexpr index_t variant_of(index_t layer, index_t) const { return layer >= from ? 1 : 0; }
    constexpr index_t tile_of(index_t variant) const { return of(variant).tile; }

private:
    constexpr mesp const& of(index_t variant) const { return variant == 1 ? high : low; }
};
static_assert(GradientStrategy<rematerialised>);

}  // namespace graft
