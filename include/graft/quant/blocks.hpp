// SPDX-License-Identifier: Apache-2.0
// q4_0, q4_1, q5_0, q5_1, q8_0: blocks of 32 numbers with one scale.                      (layer 5: quant)
#pragma once

#include <graft/quant/half.hpp>
#include <graft/quant/weight.hpp>

// Layouts are GGUF's, little-endian; d and m are half precision:
//   q4_0  d, 16 bytes: number j in the low half of byte j, j + 16 in the high half      (q - 8) d
//   q4_1  d, m, 16 bytes                                                                q d + m
//   q5_0  d, 32 fifth bits (bit j for number j), 16 bytes                               (q - 16) d
//   q5_1  d, m, 32 fifth bits, 16 bytes                                                 q d + m
//   q8_0  d, 32 signed bytes                                                            q d
// A half has 11 significant bits and q at most 8, so q d is exact in float: with or without fma, one rounding remains.

namespace graft {

namespace detail {

GRAFT_INLINE float half_at(std::byte const* p) {
    std::uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return half_to_float(bits);
}
GRAFT_INLINE signed16 fifth_bits(std::byte const* p) {
    std::uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return std::bit_cast<signed16>(spread_bits(bits) & 16);
}

/// block(bytes of one block, 32 numbers out) over a run.
template <index_t Bytes, class F>
GRAFT_INLINE void for_blocks(std::byte const* row, index_t first, index_t count, float* to, F block) {
    std::byte const* b = row + first / 32 * Bytes;
    for (index_t done = 0; done < count; done += 32, b += Bytes) block(b, to + done);
}

inline void decode_q4_0(std::byte const* row, index_t first, index_t count, float* to) {
    for_blocks<18>(row, first, count, to, [](std::byte const* b, float* out) {
        store_nibbles<false, 8>(load_bytes16(b + 2), half_at(b), 0, out);
    });
}
inline void decode_q4_1(std::byte const* row, index_t first, index_t count, float* to) {
    for_blocks<20>(row, first, count, to, [](std::byte const* b, float* out) {
        store_nibbles<true, 0>(load_bytes16(b + 4), half_at(b), half_at(b + 2), out);
    });
}
inline void decode_q5_0(std::byte const* row, index_t first, index_t count, float* to) {
    for_blocks<22>(row, first, count, to, [](std::byte const* b, float* out) {
        bytes16 const q = load_bytes16(b + 6);
        float const d = half_at(b);
        store_scaled((low_nibbles(q) | fifth_bits(b + 2)) - 16, d, out);
        store_scaled((high_nibbles(q) | fifth_bits(b + 4)) - 16, d, out + 16);
    });
}
inline void decode_q5_1(std::byte const* row, index_t first, index_t count, float* to) {
    for_blocks<24>(row, first, count, to, [](std::byte const* b, float* out) {
        bytes16 const q = load_bytes16(b + 8);
        float const d = half_at(b), m = half_at(b + 2);
        store_affine(low_nibbles(q) | fifth_bits(b + 4), d, m, out);
        store_affine(high_nibbles(q) | fifth_bits(b + 6), d, m, out + 16);
    });
}
inline void decode_q8_0(std::byte const* row, index_t first, index_t count, float* to) {
    for_blocks<34>(row, first, count, to, [](std::byte const* b, float* out) {
        float const d = half_at(b);
        store_scaled(std::bit_cast<signed16>(load_bytes16(b + 2)), d, out);
        store_scaled(std::bit_cast<signed16>(load_bytes16(b + 18)), d, out + 16);
    });
}

}  // namespace detail

inline constexpr format q4_0{weight_type::q4_0, "q4_0", 32, 18, detail::decode_q4_0};
inline constexpr format q4_1{weight_type::q4_1, "q4_1", 32, 20, detail::decode_q4_1};
inline constexpr format q5_0{weight_type::q5_0, "q5_0", 32, 22, detail::decode_q5_0};
inline constexpr format q5_1{weight_type::q5_1, "q5_1", 32, 24, detail::decode_q5_1};
inline constexpr format q8_0{weight_type::q8_0, "q8_0", 32, 34, detail::decode_q8_0};

}  // namespace graft
