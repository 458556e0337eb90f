// SPDX-License-Identifier: Apache-2.0
// The configurations of well-known models, by name: to plan and to measure without a file.  (layer 12: block)
#pragma once

#include <graft/block/config.hpp>

#include <array>
#include <string_view>

namespace graft {

struct named_shape {
    std::string_view name;
    model_config config;
};

namespace detail {

constexpr model_config shape_of(architecture arch, index_t layers, index_t width, index_t heads, index_t kv_heads,
                                index_t head, index_t hidden, index_t vocabulary, index_t context, double rope_base,
                                double epsilon) {
    model_config c;
    c.arch = arch, c.layers = layers, c.width = width, c.heads = heads, c.kv_heads = kv_heads, c.head = head,
    c.hidden = hidden;
    c.vocabulary = vocabulary, c.context = context, c.rope_base = rope_base, c.norm_epsilon = epsilon;
    c.qkv_bias = arch == architecture::qwen2;
    return c;
}

}  // namespace detail

/// source: the models' published config.json files.
inline constexpr std::array<named_shape, 4> named_shapes{{
    {"smollm2-135m", detail::shape_of(architecture::llama, 30, 576, 9, 3, 64, 1536, 49152, 8192, 1e5, 1e-5)},
    {"qwen2.5-0.5b", detail::shape_of(architecture::qwen2, 24, 896, 14, 2, 64, 4864, 151936, 32768, 1e6, 1e-6)},
    {"qwen2.5-1.5b", detail::shape_of(architecture::qwen2, 28, 1536, 12, 2, 128, 8960, 151936, 32768, 1e6, 1e-6)},
    {"qwen2.5-3b", detail::shape_of(architecture::qwen2, 36, 2048, 16, 2, 128, 11008, 151936, 32768, 1e6, 1e-6)},
}};

/// The shape of that name, or null.
constexpr model_config const* find_shape(std::string_view name) {
    for (auto const& s : named_shapes)
        if (s.name == name) return &s.config;
    return nullptr;
}

}  // namespace graft
