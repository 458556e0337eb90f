// SPDX-License-Identifier: Apache-2.0
// q4_k, q5_k, q6_k: blocks of 256 numbers in groups with their own small scales.          (layer 5: quant)
#pragma once

#include <graft/quant/blocks.hpp>

// Layouts are GGUF's, little-endian (reference for bits: ggml):
//   q4_k  d, dmin, 12 bytes of 6-bit scales and minima for 8 groups of 32, 128 bytes: group 2k in the low halves of
//         bytes 32k … 32k + 31, group 2k + 1 in the high halves                         d sc q - dmin m
//   q5_k  as q4_k with 32 bytes before the 128, whose bit g of byte l is number l of group g's fifth bit
//   q6_k  128 bytes of low halves, 64 of upper two bits, 16 signed scales for groups of 16, d    d sc (q - 32)
// d · sc (11 + 8 bits) is exact in float, and so is its product with q in q4_k and q5_k: one rounding remains.

namespace graft {

namespace detail {

/// A group's 6-bit scale and minimum out of the twelve bytes at `s`.
struct scale_pair {
    int scale, minimum;
};
GRAFT_INLINE scale_pair scale_of(std::byte const* s, index_t group) {
    auto const byte = [&](index_t i) { return static_cast<int>(s[i]); };
    if (group < 4) return {byte(group) & 63, byte(group + 4) & 63};
    return {(byte(group + 4) & 15) | byte(group - 4) >> 6 << 4, byte(group + 4) >> 4 | byte(group) >> 6 << 4};
}

/// group(bytes of the block, number of the group of 32, 32 numbers out) over a run.
template <index_t Bytes, class F>
GRAFT_INLINE void for_groups(std::byte const* row, index_t first, index_t count, float* to, F group) {
    for (index_t done = 0; done < count; done += 32) {
        index_t const at = first + done;
        group(row + at / 256 * Bytes, at % 256 / 32, to + done);
    }
}

inline void decode_q4_k(std::byte const* row, index_t first, index_t count, float* to) {
    for_groups<144>(row, first, count, to, [](std::byte const* b, index_t group, float* out) {
        auto const s = scale_of(b + 4, group);
        float const scale = half_at(b) * static_cast<float>(s.scale),
                    offset = -(half_at(b + 2) * static_cast<float>(s.minimum));
        std::byte const* q = b + 16 + group / 2 * 32;
        for (index_t l = 0; l < 32; l += 16) {
            bytes16 const both = load_bytes16(q + l);
            store_affine(group % 2 ? high_nibbles(both) : low_nibbles(both), scale, offset, out + l);
        }
    });
}

inline void decode_q5_k(std::byte const* row, index_t first, index_t count, float* to) {
    for_groups<176>(row, first, count, to, [](std::byte const* b, index_t group, float* out) {
        auto const s = scale_of(b + 4, group);
        float const scale = half_at(b) * static_cast<float>(s.scale),
                    offset = -(half_at(b + 2) * static_cast<float>(s.minimum));
        std::byte const* q = b + 48 + group / 2 * 32;
        std::uint8_t const one = static_cast<std::uint8_t>(1 << group);
        auto const bit = bytes16{} + one;
        for (index_t l = 0; l < 32; l += 16) {
            bytes16 const both = load_bytes16(q + l);
            auto const fifth = std::bit_cast<signed16>((load_bytes16(b + 16 + l) & bit) == bit) & 16;
            store_affine((group % 2 ? high_nibbles(both) : low_nibbles(both)) | fifth, scale, offset, out + l);
        }
    });
}

inline void decode_q6_k(std::byte const* row, index_t first, index_t count, float* to) {
    for_groups<210>(row, first, count, to, [](std::byte const* b, index_t group, float* out) {
        index_t const half = group / 4, quad = group % 4;
        float const d = half_at(b + 208);
        for (index_t l = 0; l < 32; l += 16) {
            bytes16 const both = load_bytes16(b + 64 * half + 32 * (quad & 1) + l);
            bytes16 const upper = (load_bytes16(b + 128 + 32 * half + l) >> static_cast<int>(2 * quad)) & 3;
            auto const q = (quad < 2 ? low_nibbles(both) : high_nibbles(both)) | std::bit_cast<signed16>(upper << 4);
            auto const scale = static_cast<std::int8_t>(b[192 + 2 * group + l / 16]);
            store_scaled(q - 32, d * static_cast<float>(scale), out + l);
        }
    });
}

}  // namespace detail

inline constexpr format q4_k{weight_type::q4_k, "q4_k", 256, 144, detail::decode_q4_k};
inline constexpr format q5_k{weight_type::q5_k, "q5_k", 256, 176, detail::decode_q5_k};
inline constexpr format q6_k{weight_type::q6_k, "q6_k", 256, 210, detail::decode_q6_k};

}  // namespace graft
