// SPDX-License-Identifier: Apache-2.0
// f32, f16, bf16: numbers stored one by one, decoded in runs of any length.               (layer 5: quant)
#pragma once

#include <graft/quant/half.hpp>
#include <graft/quant/weight.hpp>

namespace graft {

namespace detail {

inline void decode_f32(std::byte const* row, index_t first, index_t count, float* to) {
    if (count > 0) std::memcpy(to, row + 4 * first, 4 * static_cast<std::size_t>(count));
}
inline void decode_f16(std::byte const* row, index_t first, index_t count, float* to) {
    halves_to_floats(row + 2 * first, count, to);
}
inline void decode_bf16(std::byte const* row, index_t first, index_t count, float* to) {
    brain_to_floats(row + 2 * first, count, to);
}

}  // namespace detail

inline constexpr format f32{weight_type::f32, "f32", 1, 4, detail::decode_f32};
inline constexpr format f16{weight_type::f16, "f16", 1, 2, detail::decode_f16};
inline constexpr format bf16{weight_type::bf16, "bf16", 1, 2, detail::decode_bf16};

}  // namespace graft
