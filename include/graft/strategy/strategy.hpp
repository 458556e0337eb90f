// SPDX-License-Identifier: Apache-2.0
// What a gradient strategy is: a value that writes the schedule of a block.              (layer 10: strategy)
#pragma once

#include <graft/program/schedule.hpp>

#include <concepts>

namespace graft {

/// Writes the events of one block's forward and backward into a `composer`; `tile` rows at a time where it says so.
/// What it does not keep from the forward to the backward it computes again: exact gradients either way.
template <class S>
concept GradientStrategy = requires(S const s, composer<int, 4, 2>& c) {
    { s.tile } -> std::convertible_to<index_t>;
    s.forward(c);
    s.backward(c);
};

/// No backward: what evaluation and generation run.
struct inference {
    static constexpr index_t tile = 0;
    constexpr void forward(auto& c) const {
        for (index_t s = 0; s < c.stages; ++s) c.scene(), c.run(s, {.value = true});
    }
    constexpr void backward(auto&) const {}
};
static_assert(GradientStrategy<inference>);

}  // namespace graft
