// SPDX-License-Identifier: Apache-2.0
// The Llama family's block (Llama 2 and 3, SmolLM2, Mistral) as its equations.           (layer 12: block)
#pragma once

#include <graft/expression/chain.hpp>
#include <graft/expression/linear.hpp>
#include <graft/expression/operators.hpp>
#include <graft/shape/transformer.hpp>

namespace graft {

/// A pre-norm block.      tokens × width → tokens × width
/// `Map` says what every linear map is: `lora`, `frozen`. Names are those of model files.
template <template <label, class, class, bias> class Map>
struct llama {
    using sizes = transformer_sizes;

    // clang-format off
    static constexpr Map<"self_attn.q_proj", q_width,  width, bias::absent> Q{};
    static constexpr Map<"self_attn.k_proj", kv_width, width, bias::absent> K{};
    static constexpr Map<"self_attn.v_proj", kv_width, width, bias::absent> V{};
    static constexpr Map<"self_attn.o_proj", width,  q_width, bias::absent> O{};
    static constexpr Map<"mlp.gate_proj",    hidden,   width, bias::absent> G{};
    static constexpr Map<"mlp.up_proj",      hidden,   width, bias::absent> U{};
    static constexpr Map<"mlp.down_proj",    width,   hidden, bias::absent> D{};

    static constexpr stream<width> x{};

    static constexpr auto n            = rms_norm<"input_layernorm">(x);
    static constexpr auto attention    = O(attend(rope(Q(n)), rope(K(n)), V(n)));
    static constexpr auto m            = rms_norm<"post_attention_layernorm">(x);
    static constexpr auto feed_forward = D(silu(G(m)) * U(m));
    static constexpr auto equations    = residual(attention) >> residual(feed_forward);
    // clang-format on
};

}  // namespace graft
