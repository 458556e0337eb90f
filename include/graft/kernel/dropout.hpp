// SPDX-License-Identifier: Apache-2.0
// Dropout whose mask is a pure function of seed, step and place.                          (layer 6: kernel)
#pragma once

#include <graft/base/error.hpp>
#include <graft/kernel/rows.hpp>
#include <graft/simd/philox.hpp>

#include <algorithm>

namespace graft {

/// Keeps the draws of dropout apart from all other uses of a seed.
inline constexpr std::uint32_t dropout_stream = 0x64726f70;

namespace detail {

/// y = x mask / (1 - rate), or y += that; number 4k + j by word j of draw `first` + k.
template <bool Add, class T>
void dropout_run(T* y, T const* x, index_t n, double rate, std::uint64_t seed, std::uint64_t step,
                 std::uint64_t first) {
    require(rate >= 0 && rate <= 1, fault::numeric, "dropout: rate in percent",
            static_cast<index_t>(rate > 1 && rate < 1e6 ? 100 * rate : -1), 100);
    if (rate == 1) {
        if constexpr (!Add) std::fill_n(y, n, T(0));
        return;
    }
    constexpr index_t width = native_width<T>, run = 4 * philox_draws;
    static_assert(run % width == 0);
    using numbers = pack<T>;
    using mask = vector_t<bits_t<T>, width>;
    auto const limit = static_cast<std::uint32_t>(rate * 0x1p32);
    numbers const scale = static_cast<T>(1 / (1 - rate));
    for (index_t i = 0; i < n; i += run) {
        std::uint32_t word[run];
        philox_words(word, first + static_cast<std::uint64_t>(i / 4), seed, dropout_stream, step);
        for (index_t j = 0; j < run && i + j < n; j += width) {
            vector_t<std::uint32_t, width> w;
            std::memcpy(&w, word + j, sizeof w);
            mask const kept = __builtin_convertvector(w >= limit, mask);
            index_t const here = std::min(width, n - i - j);
            auto const load = [=](T const* p) {
                return here == width ? numbers::load(p) : numbers::load_some(p, here);
            };
            auto to = std::bit_cast<numbers>(std::bit_cast<mask>(load(x + i + j) * scale) & kept);
            if constexpr (Add) to = load(y + i + j) + to;
            if (here == width) to.store(y + i + j);
            else to.store_some(y + i + j, here);
        }
    }
}

}  // namespace detail

/// y = x mask / (1 - rate); y may be x. Number 4k + j is kept where word j of draw k of (seed, step) is not below
/// rate · 2^32: the same call on a gradient is the pull.
///
/// needs    0 ≤ rate ≤ 1 (fault::numeric)
template <class T>
void dropout(T* y, T const* x, index_t n, double rate, std::uint64_t seed, std::uint64_t step) {
    detail::dropout_run<false>(y, x, n, rate, seed, step, 0);
}

/// A mask over rows: row t of a view is row `first` + t of what the mask covers.
struct dropout_mask {
    double rate = 0;
    std::uint64_t seed = 0, step = 0;
    index_t first = 0;

    /// The draw of a row's first four numbers. Rows begin at whole draws, so a row's mask does not depend on others.
    constexpr std::uint64_t draw_of(index_t row, index_t columns) const {
        return static_cast<std::uint64_t>(first + row) * static_cast<std::uint64_t>((columns + 3) / 4);
    }
};

/// y = x mask / (1 - rate), rows at a time; y may be x.
template <class T>
void dropout(matrix<T> y, matrix<T> x, dropout_mask const& m) {
    each_row(y.on, y.rows, y.columns, [=](index_t i) {
        detail::dropout_run<false>(y.row(i), static_cast<T const*>(x.row(i)), y.columns, m.rate, m.seed, m.step,
                                   m.draw_of(i, y.columns));
    });
}

/// dx += dy mask / (1 - rate), or dx = that where dx is fresh.
template <class T>
void dropout_pull(matrix<T> dx, matrix<T> dy, dropout_mask const& m) {
    if (dx.fresh) return dropout(dx, dy, m);
    each_row(dx.on, dx.rows, dx.columns, [=](index_t i) {
        detail::dropout_run<true>(dx.row(i), static_cast<T const*>(dy.row(i)), dx.columns, m.rate, m.seed, m.step,
                                  m.draw_of(i, dx.columns));
    });
}

}  // namespace graft
