// SPDX-License-Identifier: Apache-2.0
// Small integers and half-precision numbers to floats, a register at a time.             (layer 3: simd)
#pragma once

#include <graft/simd/pack.hpp>

#include <array>
#include <cstring>
#include <utility>

namespace graft {

/// Sixteen bytes: half of a quantised block, computed with as one register.
using bytes16 = detail::vector_t<std::uint8_t, 16>;
using signed16 = detail::vector_t<std::int8_t, 16>;

GRAFT_INLINE bytes16 load_bytes16(void const* from) {
    bytes16 v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

/// Byte l of the result is 255 where bit l of `bits` is set, else 0.
GRAFT_INLINE bytes16 spread_bits(unsigned bits) {
    using pair = detail::vector_t<std::uint64_t, 2>;
    constexpr std::uint64_t ones = 0x0101010101010101u;
    constexpr bytes16 each = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    auto const copies = std::bit_cast<bytes16>(pair{(bits & 255) * ones, (bits >> 8 & 255) * ones});
    return std::bit_cast<bytes16>((copies & each) == each);
}

namespace detail {

/// Numbers `Part * W` and following of sixteen signed bytes. (g++ 12 takes a vector conversion of bytes apart.)
template <index_t Part, index_t W = native_width<float>>
GRAFT_INLINE pack<float, W> part_of(signed16 q) {
#if GRAFT_SIMD && defined(__AVX512F__)
    auto const words = _mm512_maskz_cvtepi8_epi32(0xffff, std::bit_cast<__m128i>(q));
    return pack<float>(pack<float>::batch(_mm512_maskz_cvtepi32_ps(0xffff, words)));
#elif GRAFT_SIMD && defined(__AVX2__)
    auto const eight = Part == 0 ? std::bit_cast<__m128i>(q)
                                 : _mm_unpackhi_epi64(std::bit_cast<__m128i>(q), std::bit_cast<__m128i>(q));
    return pack<float>(pack<float>::batch(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight))));
#else
    if constexpr (W == 4) {
        // Unpacked behind zeros twice, each byte is the top of a word; a shift brings it down with its sign.
        using halves16 = vector_t<std::int16_t, 8>;
        constexpr int h = Part < 2 ? 0 : 8, w = Part % 2 ? 4 : 0;
        auto const halves = std::bit_cast<halves16>(
            __builtin_shufflevector(signed16{}, q, h, h + 16, h + 1, h + 17, h + 2, h + 18, h + 3, h + 19, h + 4,
                                    h + 20, h + 5, h + 21, h + 6, h + 22, h + 7, h + 23));
        auto const words = std::bit_cast<vector_t<std::int32_t, 4>>(__builtin_shufflevector(
                               halves16{}, halves, w, w + 8, w + 1, w + 9, w + 2, w + 10, w + 3, w + 11)) >>
                           24;
        return std::bit_cast<pack<float, W>>(__builtin_convertvector(words, vector_t<float, W>));
    } else {
        vector_t<float, W> p;
        for (index_t i = 0; i < W; ++i) p[i] = static_cast<float>(q[Part * W + i]);
        return std::bit_cast<pack<float, W>>(p);
    }
#endif
}

template <class F, index_t... Part>
GRAFT_INLINE void for_parts(F f, std::integer_sequence<index_t, Part...>) {
    (f(std::integral_constant<index_t, Part>{}), ...);
}

}  // namespace detail

/// to[l] = q[l] · scale for sixteen numbers.
GRAFT_INLINE void store_scaled(signed16 q, float scale, float* to) {
    using P = pack<float>;
    detail::for_parts(
        [&](auto part) __attribute__((always_inline)) {
            (detail::part_of<part.value>(q) * P(scale)).store(to + part.value * P::width);
        },
        std::make_integer_sequence<index_t, 16 / P::width>{});
}

/// to[l] = q[l] · scale + offset for sixteen numbers, rounded once where q[l] · scale is exact.
GRAFT_INLINE void store_affine(signed16 q, float scale, float offset, float* to) {
    using P = pack<float>;
    detail::for_parts(
        [&](auto part) __attribute__((always_inline)) {
            fma(detail::part_of<part.value>(q), P(scale), P(offset)).store(to + part.value * P::width);
        },
        std::make_integer_sequence<index_t, 16 / P::width>{});
}

namespace detail {

GRAFT_INLINE signed16 low_nibbles(bytes16 q) { return std::bit_cast<signed16>(q & 15); }
GRAFT_INLINE signed16 high_nibbles(bytes16 q) { return std::bit_cast<signed16>(q >> 4); }

#if GRAFT_SIMD && defined(__AVX512F__)
/// The floats of the lowest four bits of sixteen words, less Half: looked up instead of converted.
template <int Half>
GRAFT_INLINE pack<float> nibbles_of(__m512i words) {
    static constexpr auto numbers = [] {
        std::array<float, 16> all{};
        for (int i = 0; i < 16; ++i) all[static_cast<std::size_t>(i)] = static_cast<float>(i - Half);
        return all;
    }();
    return pack<float>(
        pack<float>::batch(_mm512_maskz_permutexvar_ps(0xffff, words, _mm512_loadu_ps(numbers.data()))));
}
#endif

}  // namespace detail

/// Sixteen bytes of two numbers each: to[l] = (low half of byte l - Half) · scale, to[16 + l] the high half's; with
/// Affine plus offset, rounded once where the product is exact.
template <bool Affine, int Half>
GRAFT_INLINE void store_nibbles(bytes16 q, float scale, [[maybe_unused]] float offset, float* to) {
#if GRAFT_SIMD && defined(__AVX512F__)
    auto const words = _mm512_maskz_cvtepu8_epi32(0xffff, std::bit_cast<__m128i>(q));
    using P = pack<float>;
    P const low = detail::nibbles_of<Half>(words),
            high = detail::nibbles_of<Half>(_mm512_maskz_srli_epi32(0xffff, words, 4));
    if constexpr (Affine) {
        fma(low, P(scale), P(offset)).store(to), fma(high, P(scale), P(offset)).store(to + 16);
    } else {
        (low * P(scale)).store(to), (high * P(scale)).store(to + 16);
    }
#else
    if constexpr (native_width<float> == 1) {  // no vector of bytes: one number after the other
        for (index_t l = 0; l < 16; ++l) {
            float const low = static_cast<float>((q[l] & 15) - Half), high = static_cast<float>((q[l] >> 4) - Half);
            to[l] = Affine ? fma(low, scale, offset) : low * scale;
            to[16 + l] = Affine ? fma(high, scale, offset) : high * scale;
        }
        return;
    }
    constexpr auto half = static_cast<std::int8_t>(Half);
    auto const low = detail::low_nibbles(q) - half, high = detail::high_nibbles(q) - half;
    if constexpr (Affine) {
        store_affine(low, scale, offset, to), store_affine(high, scale, offset, to + 16);
    } else {
        store_scaled(low, scale, to), store_scaled(high, scale, to + 16);
    }
#endif
}

/// The float of half-precision bits; exact.
GRAFT_INLINE float half_to_float(std::uint16_t half) {
#if defined(__F16C__)
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half)));
#elif defined(__ARM_FP16_FORMAT_IEEE)
    return static_cast<float>(std::bit_cast<__fp16>(half));
#else
    // In a float's place a half is 2^112 times too small, subnormals included; infinities are set apart.
    std::uint32_t const sign = static_cast<std::uint32_t>(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u)
        return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13 |
                                    (magnitude > 0x7c00u ? 0x400000u : 0u));
    float const scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
#endif
}

/// to[l] = the float of the l-th half-precision number at `from` (any alignment).
inline void halves_to_floats(std::byte const* from, index_t count, float* to) {
    index_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= count; i += 16)
        _mm512_storeu_ps(
            to + i, _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<__m256i const*>(from + 2 * i))));
#elif defined(__F16C__)
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<__m128i const*>(from + 2 * i))));
#endif
    for (; i < count; ++i) {
        std::uint16_t half;
        std::memcpy(&half, from + 2 * i, sizeof half);
        to[i] = half_to_float(half);
    }
}

/// to[l] = the float whose upper half is the l-th 16-bit word at `from` (any alignment).
inline void brain_to_floats(std::byte const* from, index_t count, float* to) {
    for (index_t i = 0; i < count; ++i) {
        std::uint16_t upper;
        std::memcpy(&upper, from + 2 * i, sizeof upper);
        to[i] = std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16);
    }
}

}  // namespace graft
