// SPDX-License-Identifier: Apache-2.0
// What a training run's memory and arithmetic depend on.                                 (layer 13: train)
#pragma once

#include <graft/optimizer/optimizer.hpp>
#include <graft/quant/stored.hpp>
#include <graft/shape/transformer.hpp>
#include <graft/strategy/strategy.hpp>

#include <cstdint>

namespace graft {

/// When parameters move. Both give the same bits where both can be had.
enum class updating : unsigned char {
    deferred,  // after the whole backward: every trained block's gradients exist; clips, accumulates batches
    fused      // each block's right after its pull: one block's gradients exist; no clipping, one batch an update
};

/// The numbers of a training run that its memory and arithmetic depend on.
template <GradientStrategy Strategy, Optimizer Rule>
struct training {
    index_t tokens = 512;  // the most rows of one pass
    index_t rank = 8;
    double alpha = 16;
    bool rank_stabilised = false;
    unsigned targets = all_targets;
    double max_grad_norm = 1;  // of the whole gradient; 0: no clipping
    index_t lanes = 1;
    Strategy strategy{};
    Rule optimizer{};
    updating updates = updating::deferred;
    resting checkpoints = resting::same;  // how the streams between blocks rest
    resting adapters = resting::same;     // how parameters rest; 16 bits are rounded at random, so that they still move
    bool checkpoints_apart = false;       // the streams between blocks lie in memory of their own
    std::uint64_t seed = 0;               // of what the strategy draws
};

}  // namespace graft
