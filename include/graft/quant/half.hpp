// SPDX-License-Identifier: Apache-2.0
// Half precision and bfloat16: floats to bits, to the nearest even; back is exact.       (layer 5: quant)
#pragma once

#include <graft/simd/widen.hpp>

namespace graft {

/// The half-precision number nearest to x, ties to even; too large becomes infinity, not a number stays one.
constexpr std::uint16_t float_to_half(float x) {
    auto const bits = std::bit_cast<std::uint32_t>(x);
    std::uint32_t const sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65520 and more
    if (magnitude < 0x38800000u) {
        // Subnormal: adding ½ puts the bits of 2^-24 last, and the addition itself rounds to even.
        float const moved = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(moved) - 0x3f000000u));
    }
    std::uint32_t const odd = magnitude >> 13 & 1u;
    return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

/// The bfloat16 nearest to x, ties to even; not a number stays one.
constexpr std::uint16_t float_to_brain(float x) {
    auto const bits = std::bit_cast<std::uint32_t>(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
    return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/// The float of bfloat16 bits; exact.
constexpr float brain_to_float(std::uint16_t upper) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16);
}

}  // namespace graft
