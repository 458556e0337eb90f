// SPDX-License-Identifier: Apache-2.0
// What a training run's memory and arithmetic depend on.                                 (layer 13: train)
#pragma once

#include <graft/block/adapter_settings.hpp>
#include <graft/block/adapter_start.hpp>
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

/// What the learning rate of each role is multiplied by.
struct role_rates {
    double lora_a = 1, lora_b = 1, magnitude = 1;
    constexpr double of(role r) const {
        return r == role::lora_a ? lora_a : r == role::lora_b ? lora_b : r == role::magnitude ? magnitude : 1;
    }
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
    std::uint64_t seed = 0;               // of what the strategy and dropout draw
    adapter_norm norm = adapter_norm::none;  // DoRA: of blocks whose maps carry magnitudes
    adapter_start start = adapter_start::kaiming;
    double dropout = 0;  // of what enters the adapters
    role_rates rates{};
    std::span<adapter_exception const> exceptions{};  // must outlive the trainer
    bool embeds_again = false;  // the first stream is not kept: the batch is embedded again for the lowest pull

    /// The same under another strategy.
    template <GradientStrategy Other>
    constexpr training<Other, Rule> with(Other other) const {
        return {tokens,    rank,  alpha,   rank_stabilised, targets,  max_grad_norm,     lanes, other, optimizer,
                updates,   checkpoints, adapters, checkpoints_apart, seed, norm, start, dropout, rates, exceptions,
                embeds_again};
    }
    constexpr adapter_settings adapter() const { return {rank, alpha, rank_stabilised, targets, norm, exceptions}; }
};

}  // namespace graft
