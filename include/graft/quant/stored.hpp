// SPDX-License-Identifier: Apache-2.0
// Numbers that rest in 16 bits while nobody computes with them.                          (layer 5: quant)
#pragma once

#include <graft/quant/half.hpp>
#include <graft/simd/philox.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>

namespace graft {

/// How numbers rest: as they are computed with (`same`), or in 16 bits: `half` (f16) has 11 significant bits, up to
/// 65504; `brain` (bf16) has 8 and a float's range.
enum class resting : unsigned char { same, half, brain };

template <class T>
constexpr index_t bytes_of(resting how) { return how == resting::same ? static_cast<index_t>(sizeof(T)) : 2; }

namespace detail {

inline constexpr index_t resting_run = 256;  // numbers converted at a time where T is not float

/// The neighbour of x above or below it, with chances that go with the distances: its mean is x.
inline std::uint16_t round_randomly(float x, resting how, std::uint32_t random) {
    auto const bits = std::bit_cast<std::uint32_t>(x), size = bits & 0x7fffffffu;
    if (how == resting::brain)
        return size >= 0x7f800000u ? float_to_brain(x) : static_cast<std::uint16_t>((bits + (random >> 16)) >> 16);
    if (size >= 0x47000000u) return float_to_half(x);  // 2¹⁵ and more: the next may be infinite
    if (size >= 0x38800000u) return float_to_half(std::bit_cast<float>((bits + (random >> 19)) & ~0x1fffu));
    // Subnormal halves are multiples of 2⁻²⁴.
    float const scaled = std::bit_cast<float>(size) * 0x1p24f, low = static_cast<float>(static_cast<int>(scaled));
    float const up = static_cast<float>(random >> 8) * 0x1p-24f < scaled - low ? 1.0f : 0.0f;
    return static_cast<std::uint16_t>(float_to_half((low + up) * 0x1p-24f) | (bits >> 16 & 0x8000u));
}

}  // namespace detail

/// Lays `count` numbers to rest at `to`, rounded to the nearest.
template <class T>
void lay_down(resting how, T const* from, index_t count, std::byte* to) {
    if (how == resting::same) {
        std::copy_n(from, count, reinterpret_cast<T*>(to));
    } else if constexpr (std::is_same_v<T, float>) {
        if (how == resting::half) floats_to_halves(from, count, to);
        else floats_to_brain(from, count, to);
    } else {
        float run[detail::resting_run];
        for (index_t i = 0; i < count; i += detail::resting_run) {
            index_t const n = std::min(detail::resting_run, count - i);
            for (index_t j = 0; j < n; ++j) run[j] = static_cast<float>(from[i + j]);
            lay_down(how, run, n, to + 2 * i);
        }
    }
}

/// Takes `count` numbers up again; exact.
template <class T>
void take_up(resting how, std::byte const* from, index_t count, T* to) {
    if (how == resting::same) {
        std::copy_n(reinterpret_cast<T const*>(from), count, to);
    } else if constexpr (std::is_same_v<T, float>) {
        if (how == resting::half) halves_to_floats(from, count, to);
        else brain_to_floats(from, count, to);
    } else {
        float run[detail::resting_run];
        for (index_t i = 0; i < count; i += detail::resting_run) {
            index_t const n = std::min(detail::resting_run, count - i);
            take_up(how, from + 2 * i, n, run);
            for (index_t j = 0; j < n; ++j) to[i + j] = static_cast<T>(run[j]);
        }
    }
}

/// As `lay_down`, but rounded up or down at random so that the mean is exact: a parameter that moves by less than half
/// a unit of its last place at every step still moves. Draw i / 4 of (seed, stream, step) decides about number i.
template <class T>
void lay_down_randomly(resting how, T const* from, index_t count, std::byte* to, std::uint64_t seed,
                       std::uint32_t stream, std::uint64_t step) {
    if (how == resting::same) return lay_down(how, from, count, to);
    constexpr index_t run = 4 * philox_draws;
    for (index_t i = 0; i < count; i += run) {
        std::uint32_t word[run];
        philox_words(word, static_cast<std::uint64_t>(i / 4), seed, stream, step);
        for (index_t j = 0; j < std::min(run, count - i); ++j) {
            std::uint16_t const bits = detail::round_randomly(static_cast<float>(from[i + j]), how, word[j]);
            std::memcpy(to + 2 * (i + j), &bits, sizeof bits);
        }
    }
}

}  // namespace graft
