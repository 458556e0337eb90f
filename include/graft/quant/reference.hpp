// SPDX-License-Identifier: Apache-2.0
// One number of a stored row, in plain words: what every decoder is tested against.       (layer 5: quant)
#pragma once

#include <graft/quant/half.hpp>
#include <graft/quant/weight.hpp>

namespace graft {

/// Number i of a row as the format defines it, one at a time, without SIMD.
inline float decode_one(format const& how, std::byte const* row, index_t i) {
    std::byte const* const b = row + i / how.block * how.bytes;
    index_t const l = i % how.block, j = l % 16;
    auto const byte = [&](index_t at) { return static_cast<unsigned>(b[at]); };
    auto const half = [&](index_t at) {
        return half_to_float(static_cast<std::uint16_t>(byte(at) | byte(at + 1) << 8));
    };
    auto const bit = [&](index_t at, index_t n) { return byte(at + n / 8) >> (n % 8) & 1u; };
    auto const nibble = [&](index_t at, bool high) { return high ? byte(at) >> 4 : byte(at) & 15u; };
    auto const number = [](auto q) { return static_cast<float>(q); };
    // The 6-bit scale (0) or minimum (4) of a group of a K block.
    auto const six = [&](index_t group, index_t which) {
        return group < 4 ? byte(4 + group + which) & 63u
                         : nibble(8 + group, which == 4) | byte(group + which) >> 6 << 4;
    };
    index_t const g = l / 32, in_half = l % 128;
    switch (how.type) {
        case weight_type::f32:
            return std::bit_cast<float>(byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24);
        case weight_type::f16:
            return half(0);
        case weight_type::bf16:
            return brain_to_float(static_cast<std::uint16_t>(byte(0) | byte(1) << 8));
        case weight_type::q4_0:
            return number(static_cast<int>(nibble(2 + j, l >= 16)) - 8) * half(0);
        case weight_type::q4_1:
            return fma(number(nibble(4 + j, l >= 16)), half(0), half(2));
        case weight_type::q5_0:
            return number(static_cast<int>(nibble(6 + j, l >= 16) | bit(2, l) << 4) - 16) * half(0);
        case weight_type::q5_1:
            return fma(number(nibble(8 + j, l >= 16) | bit(4, l) << 4), half(0), half(2));
        case weight_type::q8_0:
            return number(static_cast<std::int8_t>(b[2 + l])) * half(0);
        case weight_type::q4_k:
            return fma(number(nibble(16 + g / 2 * 32 + l % 32, g % 2)), half(0) * number(six(g, 0)),
                       -(half(2) * number(six(g, 4))));
        case weight_type::q5_k:
            return fma(number(nibble(48 + g / 2 * 32 + l % 32, g % 2) | (byte(16 + l % 32) >> g & 1u) << 4),
                       half(0) * number(six(g, 0)), -(half(2) * number(six(g, 4))));
        case weight_type::q6_k: {
            unsigned const low = nibble(64 * (l / 128) + in_half % 64, in_half >= 64);
            unsigned const upper = byte(128 + 32 * (l / 128) + l % 32) >> (2 * (in_half / 32)) & 3u;
            float const scale = half(208) * number(static_cast<std::int8_t>(b[192 + l / 16]));
            return scale * number(static_cast<int>(low | upper << 4) - 32);
        }
    }
    return 0;
}

}  // namespace graft
