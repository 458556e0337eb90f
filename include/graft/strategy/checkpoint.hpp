// SPDX-License-Identifier: Apache-2.0
// Keep block inputs only; reverse a block as any program is reversed.                    (layer 10: strategy)
#pragma once

#include <graft/strategy/strategy.hpp>

namespace graft {

/// Gradient checkpointing by blocks: what MeBP does, and frameworks. One block's values exist at a time, all of them,
/// and gradients beside them.
///
/// source   MeBP, arXiv 2510.03425.
struct checkpoint {
    static constexpr index_t tile = 0;
    static constexpr bool in_place = false;
    bool stored_weights = false;  // of attention, as a reverse by operations keeps them

    constexpr void forward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true});
    }
    constexpr void backward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true, .pull = true});
        for (index_t s = c.stages; s-- > 0;) c.scene(), c.pull(s);
    }
};
static_assert(GradientStrategy<checkpoint>);

}  // namespace graft
