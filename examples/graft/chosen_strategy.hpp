// SPDX-License-Identifier: Apache-2.0
// A gradient strategy that is chosen when the program runs: schedules are data, so this is a value like any other.
#pragma once

#include <graft/strategy/full.hpp>
#include <graft/strategy/mesp.hpp>

namespace tool {
using namespace graft;

struct chosen_strategy {
    bool keeps_all = false;  // full, else mesp
    index_t tile = 0;
    phases pulled = phases::one;

    constexpr void forward(auto& c) const {
        if (keeps_all)
            full{}.forward(c);
        else
            mesp{tile, pulled}.forward(c);
    }
    constexpr void backward(auto& c) const {
        if (keeps_all)
            full{}.backward(c);
        else
            mesp{tile, pulled}.backward(c);
    }
};
static_assert(GradientStrategy<chosen_strategy>);

}  // namespace tool
