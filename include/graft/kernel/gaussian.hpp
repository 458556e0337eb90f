// SPDX-License-Identifier: Apache-2.0
// Normally distributed numbers that are a pure function of where they are used.           (layer 6: kernel)
#pragma once

#include <graft/simd/logarithm.hpp>
#include <graft/simd/philox.hpp>
#include <graft/simd/trigonometric.hpp>

#include <algorithm>
#include <cstring>
#include <numbers>

namespace graft {

/// z[j] ~ N(0, 1): number `first` + j of (seed, stream, step), whatever run it is drawn in. `first` and the length of a
/// run that is not the last must be multiples of `gaussian_run`.
///
/// Numbers come by pairs from two words of a draw: √(−2 ln u) cos 2πv and √(−2 ln u) sin 2πv, u in (0, 1); no |z|
/// exceeds 5.9.
///
/// source   Box and Muller, A note on the generation of random normal deviates (1958).
inline constexpr index_t gaussian_run = 32;

namespace detail {

/// (w + ½) 2⁻²⁴ of the upper 24 bits: in (0, 1), and never 0 or 1.
template <class T>
GRAFT_INLINE T open_unit(std::uint32_t word) {
    return (static_cast<T>(word >> 8) + T(0.5)) * T(0x1p-24);
}

/// 32 numbers from 8 draws, four of each: the same bits whatever the width of a pack, also without packs;
/// targets without a fused multiply-add differ in the last place.
template <class T>
void gaussian_32(T* z, std::uint64_t draw, std::uint64_t seed, std::uint32_t stream, std::uint64_t step) {
    constexpr index_t width = native_width<T>, half = gaussian_run / 2;
    static_assert(half % width == 0);
    std::uint32_t word[gaussian_run];
    for (index_t i = 0; i < gaussian_run; i += 4 * philox_draws)
        philox_words(word + i, draw + static_cast<std::uint64_t>(i / 4), seed, stream, step);
    T u[half], v[half];
    for (index_t i = 0; i < half; ++i)
        u[i] = open_unit<T>(word[i]), v[i] = T(2 * std::numbers::pi) * open_unit<T>(word[half + i]);
    for (index_t i = 0; i < half; i += width) {
        auto const length = sqrt(pack<T>(T(-2)) * log(pack<T>::load(u + i))), angle = pack<T>::load(v + i);
        (length * cos(angle)).store(z + i);
        (length * sin(angle)).store(z + half + i);
    }
}

}  // namespace detail

template <class T>
void gaussian(T* z, index_t count, index_t first, std::uint64_t seed, std::uint32_t stream, std::uint64_t step) {
    for (index_t i = 0; i < count; i += gaussian_run) {
        auto const draw = static_cast<std::uint64_t>((first + i) / 4);
        if (count - i >= gaussian_run) {
            detail::gaussian_32(z + i, draw, seed, stream, step);
        } else {
            T last[gaussian_run];
            detail::gaussian_32(last, draw, seed, stream, step);
            std::copy_n(last, count - i, z + i);
        }
    }
}

}  // namespace graft
