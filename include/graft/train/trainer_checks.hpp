// SPDX-License-Identifier: Apache-2.0
// What a trainer refuses.                                                                (layer 13: train)
#pragma once

#include <graft/train/memory_plan.hpp>
#include <graft/train/model.hpp>

namespace graft {

/// Do a model, settings, an executor and the bytes given for kept streams fit each other?
template <class Block, class T, GradientStrategy Strategy, Optimizer Rule>
void check_training(model<Block, T> const& net, training<Strategy, Rule> const& how, workers const& executor,
                    index_t apart, index_t checkpoints) {
    auto const& c = net.config;
    require(executor.count == how.lanes, fault::bounds, "trainer: lanes of the executor", executor.count, how.lanes);
    require(how.tokens > 0, fault::bounds, "trainer: tokens", how.tokens, 1);
    require(how.rank >= 0, fault::bounds, "trainer: rank", how.rank, 0);
    require(static_cast<index_t>(net.layers.size()) == c.layers, fault::shape, "trainer: layers",
            static_cast<index_t>(net.layers.size()), c.layers);
    require(how.updates == updating::deferred || how.max_grad_norm == 0, fault::bounds,
            "trainer: fused updates, which see no whole gradient to clip (max_grad_norm)", 1, 0);
    require(GRAFT_EXTRAS || (how.dropout == 0 && how.start == adapter_start::kaiming &&
                             !answers_of(how.strategy).stored_weights),
            fault::bounds, "trainer: dropout, a start but kaiming, attention's weights kept, without GRAFT_EXTRAS", 1,
            0);
    require(!how.embeds_again || step_layout<Block, Strategy, Rule, T>{c, how}.embeds_again(), fault::bounds,
            "trainer: embeds_again where not every block's input of several is kept as it is", 1, 0);
    require(how.dropout >= 0 && how.dropout < 1, fault::numeric, "trainer: dropout in percent",
            static_cast<index_t>(100 * how.dropout), 99);
    require(how.norm == adapter_norm::none || carries_magnitudes<Block, T>(), fault::bounds,
            "trainer: magnitudes in a block whose maps have none (use dora)", 1, 0);
    auto const like = how.adapter();
    for (index_t l = 0; l < c.layers; ++l)
        each_piece<Block>(like, sizes_of(c, how.tokens, like), l, [&](auto, piece const& p) {
            if (p.is == role::lora_b && constrains(how.optimizer, {role::lora_b, p.columns, p.columns})) {
                require(how.adapters == resting::same, fault::bounds,
                        "trainer: 16-bit adapters under an optimizer that keeps columns orthonormal", 1, 0);
                require(p.columns <= p.rows, fault::shape,
                        "trainer: rank of a map whose columns the optimizer keeps orthonormal", p.columns, p.rows);
            }
        });
    require(!how.checkpoints_apart || apart >= checkpoints, fault::memory, "trainer: bytes for kept streams", apart,
            checkpoints);
}

/// Is a model the one that a plan was made for when compiling?
inline void check_constants(model_config const& of, model_config const& planned) {
    auto const same = [](char const* what, index_t given, index_t wanted) {
        require(given == wanted, fault::shape, what, given, wanted);
    };
    same("trainer: layers of the constant plan", of.layers, planned.layers);
    same("trainer: width of the constant plan", of.width, planned.width);
    same("trainer: heads of the constant plan", of.heads, planned.heads);
    same("trainer: key heads of the constant plan", of.kv_heads, planned.kv_heads);
    same("trainer: head of the constant plan", of.head, planned.head);
    same("trainer: hidden width of the constant plan", of.hidden, planned.hidden);
    same("trainer: vocabulary of the constant plan", of.vocabulary, planned.vocabulary);
}

}  // namespace graft
