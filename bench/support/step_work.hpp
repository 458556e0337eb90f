// SPDX-License-Identifier: Apache-2.0
// The multiply-adds of one step of any strategy, as its schedules say.
#pragma once

#include <graft/train/any.hpp>
#include <graft/train/step_work.hpp>

#include <memory>
#include <vector>

namespace bench {

using namespace graft;

/// Step number `step`, counted from 1, blocks and head; a selection that looks at gradients' lengths sees none.
template <class Block>
double work_of_step(model_config const& c, any_training const& s, index_t step) {
    auto const layers = static_cast<std::size_t>(c.layers);
    auto const flags = std::make_unique<bool[]>(layers);
    std::vector<double> const unknown(layers, -1.0);
    choose_layers(s.strategy, {step, c.layers, s.seed, unknown}, {flags.get(), layers});
    return step_counter<Block, any_strategy, any_optimizer>(c, s).of({flags.get(), layers}).total();
}

}  // namespace bench
