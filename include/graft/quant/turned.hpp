// SPDX-License-Identifier: Apache-2.0
// Sixteen rows of a stored weight decoded side by side: what x * t(W) reads.              (layer 5: quant)
#pragma once

#include <graft/quant/blocks.hpp>

#include <utility>

namespace graft {

/// to[k * width + j] = number first + k of row j, 0 ≤ j < 16, 0 ≤ k < count; row j lies at `rows` + j · row_bytes.
/// The bits are those of `format::decode`; but bytes are turned here instead of floats.
using turned_decoder = void (*)(std::byte const* rows, index_t row_bytes, index_t first, index_t count, float* to,
                                index_t width);

namespace detail {

template <bool High, int... I>
GRAFT_INLINE bytes16 zipped(bytes16 a, bytes16 b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I / 2 + (High ? 8 : 0) + (I % 2 ? 16 : 0))...);
}

/// Byte j of r[i] and byte i of r[j] change places: four rounds of a perfect shuffle of the 16 registers.
GRAFT_INLINE void transpose_bytes(bytes16 (&r)[16]) {
    constexpr auto all = std::make_integer_sequence<int, 16>{};
    for (int round = 0; round < 4; ++round) {
        bytes16 s[16];
        for (int i = 0; i < 8; ++i) {
            s[2 * i] = zipped<false>(r[i], r[i + 8], all);
            s[2 * i + 1] = zipped<true>(r[i], r[i + 8], all);
        }
        for (int i = 0; i < 16; ++i) r[i] = s[i];
    }
}

/// One number of each of the sixteen rows, q, becomes q · scale (+ offset): a step of the panel.
template <bool Affine>
GRAFT_INLINE void store_turned(signed16 q, float const* scale, float const* offset, float* to) {
    using P = pack<float>;
    for_parts(
        [&](auto part) __attribute__((always_inline)) {
            constexpr index_t at = part.value * P::width;
            P const d = P::load(scale + at);
            if constexpr (Affine)
                fma(part_of<part.value>(q), d, P::load(offset + at)).store(to + at);
            else
                (part_of<part.value>(q) * d).store(to + at);
        },
        std::make_integer_sequence<index_t, 16 / P::width>{});
}

#if GRAFT_SIMD && defined(__AVX512F__)
/// Sixteen rows' blocks of halves at `rows`: words of four bytes are turned, and number j is looked up where the
/// word's lowest bits are its own.
template <bool Affine, int Half>
GRAFT_INLINE void store_turned_nibbles(std::byte const* rows, index_t row_bytes, float const* scale,
                                       [[maybe_unused]] float const* offset, float* to, index_t width) {
    using P = pack<float>;
    auto const load = [=](index_t j) __attribute__((always_inline)) {
        return _mm_loadu_si128(reinterpret_cast<__m128i const*>(rows + j * row_bytes));
    };
    __m512i r[4];  // rows i, 4 + i, 8 + i, 12 + i
    for (index_t i = 0; i < 4; ++i) {
        auto const low = _mm256_inserti128_si256(_mm256_castsi128_si256(load(i)), load(4 + i), 1),
                   high = _mm256_inserti128_si256(_mm256_castsi128_si256(load(8 + i)), load(12 + i), 1);
        r[i] = _mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(low), high, 1);
    }
    auto const a = _mm512_maskz_unpacklo_epi32(0xffff, r[0], r[1]), b = _mm512_maskz_unpackhi_epi32(0xffff, r[0], r[1]),
               c = _mm512_maskz_unpacklo_epi32(0xffff, r[2], r[3]), d = _mm512_maskz_unpackhi_epi32(0xffff, r[2], r[3]);
    __m512i const words[4] = {_mm512_maskz_unpacklo_epi64(0xff, a, c), _mm512_maskz_unpackhi_epi64(0xff, a, c),
                              _mm512_maskz_unpacklo_epi64(0xff, b, d), _mm512_maskz_unpackhi_epi64(0xff, b, d)};
    P const s = P::load(scale), o = Affine ? P::load(offset) : P(0.0f);
    for_parts(
        [&](auto nibble) __attribute__((always_inline)) {
            constexpr index_t word = nibble.value / 8, byte = nibble.value % 8 / 2, high = nibble.value % 2;
            P const q = nibbles_of<Half>(
                _mm512_maskz_srli_epi32(0xffff, words[word], static_cast<unsigned>(8 * byte + 4 * high)));
            (Affine ? fma(q, s, o) : q * s).store(to + (16 * high + 4 * word + byte) * width);
        },
        std::make_integer_sequence<index_t, 32>{});
}
#endif

/// Blocks of `Bytes` bytes: d, with Affine m, then 16 bytes of halves (Half is taken off), or 32 whole signed bytes.
template <index_t Bytes, bool Affine, bool Whole, std::int8_t Half>
void decode_turned(std::byte const* rows, index_t row_bytes, index_t first, index_t count, float* to, index_t width) {
    std::byte const* block = rows + first / 32 * Bytes;
    for (index_t done = 0; done < count; done += 32, block += Bytes, to += 32 * width) {
        std::uint16_t halves[2][16];
        for (index_t j = 0; j < 16; ++j) {
            std::memcpy(&halves[0][j], block + j * row_bytes, 2);
            if constexpr (Affine) std::memcpy(&halves[1][j], block + j * row_bytes + 2, 2);
        }
        float scale[16], offset[16];
        halves_to_floats(reinterpret_cast<std::byte const*>(halves[0]), 16, scale);
        if constexpr (Affine) halves_to_floats(reinterpret_cast<std::byte const*>(halves[1]), 16, offset);
#if GRAFT_SIMD && defined(__AVX512F__)
        if constexpr (!Whole) {
            store_turned_nibbles<Affine, Half>(block + (Affine ? 4 : 2), row_bytes, scale, offset, to, width);
            continue;
        }
#endif
        for (index_t part = 0; part < (Whole ? 2 : 1); ++part) {
            bytes16 r[16];
            for (index_t j = 0; j < 16; ++j) r[j] = load_bytes16(block + j * row_bytes + (Affine ? 4 : 2) + 16 * part);
            transpose_bytes(r);
            for (index_t i = 0; i < 16; ++i) {
                if constexpr (Whole) {
                    store_turned<Affine>(std::bit_cast<signed16>(r[i]), scale, offset, to + (16 * part + i) * width);
                } else {
                    store_turned<Affine>(low_nibbles(r[i]) - Half, scale, offset, to + i * width);
                    store_turned<Affine>(high_nibbles(r[i]) - Half, scale, offset, to + (16 + i) * width);
                }
            }
        }
    }
}

}  // namespace detail

/// The decoder of sixteen rows for the formats that have one; null for the others.
inline turned_decoder turned(format const& how) {
    switch (how.type) {
        case weight_type::q4_0:
            return detail::decode_turned<18, false, false, 8>;
        case weight_type::q4_1:
            return detail::decode_turned<20, true, false, 0>;
        case weight_type::q8_0:
            return detail::decode_turned<34, false, true, 0>;
        default:
            return nullptr;
    }
}

}  // namespace graft
