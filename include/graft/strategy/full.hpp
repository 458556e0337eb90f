// SPDX-License-Identifier: Apache-2.0
// Keep everything a pull reads, from the forward to the backward.                        (layer 10: strategy)
#pragma once

#include <graft/strategy/strategy.hpp>

namespace graft {

/// The fastest and the largest: every block's values wait for its pull; nothing runs twice.
struct full {
    static constexpr index_t tile = 0;

    constexpr void forward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true, .pull = true});
    }
    constexpr void backward(auto& c) const {
        for (index_t s = c.stages; s-- > 0;) c.scene(), c.pull(s);
    }
};
static_assert(GradientStrategy<full>);

}  // namespace graft
