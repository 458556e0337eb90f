// SPDX-License-Identifier: Apache-2.0
// A transformer's numbers: what a model file or a named shape says about itself.        (layer 12: block)
#pragma once

#include <graft/block/adapter_settings.hpp>
#include <graft/base/rope_pairing.hpp>
#include <graft/shape/transformer.hpp>

#include <array>

namespace graft {

enum class architecture : unsigned char { llama, qwen2 };

/// Everything a decoder-only transformer's equations need to know besides its weights. No memory, no names.
struct model_config {
    architecture arch = architecture::llama;
    index_t layers = 0, width = 0, heads = 0, kv_heads = 0, head = 0, hidden = 0, vocabulary = 0, context = 0;
    double norm_epsilon = 1e-5;
    double rope_base = 10000;
    rope_pairing pairing = rope_pairing::half_split;
    /// Divisors of the rotation frequencies (Llama 3's scaling), head/2 of them; `rope_factor_count` 0: all are 1.
    std::array<float, 128> rope_factors{};
    index_t rope_factor_count = 0;
    bool tied_head = true;   // the output head is the embedding
    bool qkv_bias = false;   // q, k and v have a bias (Qwen2)
};

/// The sizes of a model's block for batches of at most `tokens` rows and such adapters.
constexpr transformer_sizes sizes_of(model_config const& c, index_t tokens, adapter_settings const& a,
                                     index_t cached = 0, bool stored_weights = false) {
    return {tokens,  c.width,       c.heads,   c.kv_heads, c.head,         c.hidden,
            a.most_rank(), a.targets, cached,     stored_weights, a.norm};
}
constexpr transformer_sizes sizes_of(model_config const& c, index_t tokens, index_t rank = 0,
                                     unsigned targets = all_targets) {
    return sizes_of(c, tokens, adapter_settings{.rank = rank, .targets = targets});
}

}  // namespace graft
