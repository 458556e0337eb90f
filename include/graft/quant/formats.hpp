// SPDX-License-Identifier: Apache-2.0
// Every storage format, found by GGUF's type number or by name.                           (layer 5: quant)
#pragma once

#include <graft/quant/blocks.hpp>
#include <graft/quant/plain.hpp>
#include <graft/quant/super_blocks.hpp>

#include <array>
#include <string_view>

namespace graft {

/// A format and the number that GGUF's tensor table calls it by.
struct numbered_format {
    unsigned ggml_type;
    format const* how;
};

/// The formats in the order of `weight_type`.
inline constexpr std::array<numbered_format, 11> formats{{
    {0, &f32},
    {1, &f16},
    {30, &bf16},
    {2, &q4_0},
    {3, &q4_1},
    {6, &q5_0},
    {7, &q5_1},
    {8, &q8_0},
    {12, &q4_k},
    {13, &q5_k},
    {14, &q6_k},
}};

/// Null when there is no such format here.
constexpr format const* find_format(unsigned ggml_type) {
    for (auto const& f : formats)
        if (f.ggml_type == ggml_type) return f.how;
    return nullptr;
}
/// By name in small or capital letters: "q4_k", "Q4_K", "BF16".
constexpr format const* find_format(std::string_view name) {
    constexpr auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (auto const& f : formats) {
        std::string_view const own = f.how->name;
        bool same = own.size() == name.size();
        for (std::size_t i = 0; same && i < own.size(); ++i) same = own[i] == small(name[i]);
        if (same) return f.how;
    }
    return nullptr;
}
constexpr format const& format_of(weight_type type) { return *formats[static_cast<std::size_t>(type)].how; }
/// GGUF's number of a format.
constexpr unsigned ggml_type_of(format const& how) { return formats[static_cast<std::size_t>(how.type)].ggml_type; }

}  // namespace graft
