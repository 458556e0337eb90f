// SPDX-License-Identifier: Apache-2.0
// A type given as gradient strategy that says how to go forward and not how to go back.
// expects: GradientStrategy
// expects: half_a_strategy
// expects: backward
#include <graft/optimizer/adamw.hpp>
#include <graft/strategy/mesp.hpp>
#include <graft/train/trainer.hpp>

using namespace graft;

struct half_a_strategy {
    static constexpr index_t tile = 0;
    constexpr void forward(auto& c) const { c.scene(); }
};

#ifdef RIGHT
training<mesp, adamw> settings;
#else
training<half_a_strategy, adamw> settings;
#endif
