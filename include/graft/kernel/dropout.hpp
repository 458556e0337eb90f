// SPDX-License-Identifier: Apache-2.0
// Dropout whose mask is a pure function of seed, step and place.                          (layer 6: kernel)
#pragma once

#include <graft/base/error.hpp>
#include <graft/simd/philox.hpp>

#include <algorithm>

namespace graft {

/// Keeps the draws of dropout apart from all other uses of a seed.
inline constexpr std::uint32_t dropout_stream = 0x64726f70;

/// y = x mask / (1 - rate); y may be x. Number 4k + j is kept where word j of draw k of (seed, step) is not below
/// rate · 2^32: the same call on a gradient is the pull.
///
/// needs    0 ≤ rate ≤ 1 (fault::numeric)
template <class T>
void dropout(T* y, T const* x, index_t n, double rate, std::uint64_t seed, std::uint64_t step) {
    require(rate >= 0 && rate <= 1, fault::numeric, "dropout: rate in percent",
            static_cast<index_t>(rate > 1 && rate < 1e6 ? 100 * rate : -1), 100);
    if (rate == 1) return void(std::fill_n(y, n, T(0)));
    constexpr index_t width = native_width<T>, run = 4 * philox_draws;
    static_assert(run % width == 0);
    using numbers = pack<T>;
    using mask = detail::vector_t<detail::bits_t<T>, width>;
    auto const limit = static_cast<std::uint32_t>(rate * 0x1p32);
    numbers const scale = static_cast<T>(1 / (1 - rate));
    for (index_t i = 0; i < n; i += run) {
        std::uint32_t word[run];
        philox_words(word, static_cast<std::uint64_t>(i / 4), seed, dropout_stream, step);
        for (index_t j = 0; j < run && i + j < n; j += width) {
            detail::vector_t<std::uint32_t, width> w;
            std::memcpy(&w, word + j, sizeof w);
            mask const kept = __builtin_convertvector(w >= limit, mask);
            index_t const here = std::min(width, n - i - j);
            numbers const from = here == width ? numbers::load(x + i + j) : numbers::load_some(x + i + j, here);
            auto const to = std::bit_cast<numbers>(std::bit_cast<mask>(from * scale) & kept);
            if (here == width) to.store(y + i + j);
            else to.store_some(y + i + j, here);
        }
    }
}

}  // namespace graft
