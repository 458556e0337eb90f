// SPDX-License-Identifier: Apache-2.0
// A model: a block's equations, a configuration, and views of the weights.               (layer 13: train)
#pragma once

#include <graft/block/config.hpp>
#include <graft/program/machine.hpp>
#include <graft/rule/rules.hpp>

#include <span>

namespace graft {

/// Owns nothing: every weight is a view of memory that outlives it (a mapped file, flash, a test's vector).
template <class Block, class T = float>
struct model {
    using block = Block;
    using number = T;

    model_config config;
    weight embedding;             // vocabulary × width
    weight head;                  // vocabulary × width: the embedding again where they are tied
    float const* norm = nullptr;  // of the last stream
    std::span<layer_weights<Block, T>> layers;
};

/// Calls matrix_of(name) and vector_of(name, is_bias) for what each operation of a layer holds: ("self_attn.q_proj") as
/// a matrix, ("self_attn.q_proj", true) and ("input_layernorm", false) as vectors.
template <class Block, class T>
void bind_layer(layer_weights<Block, T>& layer, auto&& matrix_of, auto&& vector_of) {
    layer.visit([&](auto op, auto& w) {
        using Op = decltype(op);
        if constexpr (requires { w.W; }) {
            w.W = matrix_of(Op::text);
            if constexpr (Op::has_bias) w.b = vector_of(Op::text, true);
        } else if constexpr (requires { w.w; }) {
            w.w = vector_of(Op::text, false);
        }
    });
}

}  // namespace graft
