// SPDX-License-Identifier: Apache-2.0
// Floats to half precision and to bfloat16.                                              (layer 3: simd)
#pragma once

#include <graft/simd/pack.hpp>

#include <bit>
#include <cstdint>
#include <cstring>

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

/// to[l] = the half-precision number nearest to from[l], at `to` (any alignment).
inline void floats_to_halves(float const* from, index_t count, std::byte* to) {
    index_t i = 0;
#if GRAFT_SIMD && defined(__AVX512F__)
    for (; i + 16 <= count; i += 16)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * i),
                            _mm512_maskz_cvtps_ph(0xffff, _mm512_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
#elif GRAFT_SIMD && defined(__F16C__)
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 2 * i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
#endif
    for (; i < count; ++i) {
        std::uint16_t const half = float_to_half(from[i]);
        std::memcpy(to + 2 * i, &half, sizeof half);
    }
}

/// to[l] = the bfloat16 nearest to from[l], at `to` (any alignment).
inline void floats_to_brain(float const* from, index_t count, std::byte* to) {
    for (index_t i = 0; i < count; ++i) {
        std::uint16_t const upper = float_to_brain(from[i]);
        std::memcpy(to + 2 * i, &upper, sizeof upper);
    }
}

}  // namespace graft
