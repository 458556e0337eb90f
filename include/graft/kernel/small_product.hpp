// SPDX-License-Identifier: Apache-2.0
// Products of small tiles that lie in the cache, without packing.                         (layer 6: kernel)
#pragma once

#include <graft/simd/blocking.hpp>
#include <graft/simd/pack.hpp>

#include <algorithm>

namespace graft {

/// Element (i, l) of a left factor lies at data[i * row + l * column]: its transpose needs no copy.
template <class T>
struct small_factor {
    T const* data;
    index_t row, column;
};

/// How many rows of the result are held in registers at once; callers that skip parts of a tile skip in these steps.
inline constexpr index_t small_rows = blocking::rows;

namespace detail {

/// How many packs of a row of the result are held at once: AVX2 has registers for 6 × 2, targets with 32 for 6 × 4.
template <class T>
inline constexpr index_t small_packs = native_width<T>* static_cast<index_t>(sizeof(T)) == 32 ? 2 : 4;

/// Rows × Packs of the result.
template <class T, int Rows, int Packs>
void small_block(T* c, index_t c_stride, small_factor<T> a, T const* b, index_t b_stride, index_t depth,
                 bool accumulate) {
    constexpr index_t width = native_width<T>;
    pack<T> s[Rows][Packs];
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
        for (int p = 0; p < Packs; ++p)
            s[i][p] = accumulate ? pack<T>::load(c + i * c_stride + p * width) : pack<T>(T(0));
    T const* left = a.data;
    for (index_t l = 0; l < depth; ++l, left += a.column, b += b_stride) {
        pack<T> right[Packs];
#pragma GCC unroll 4
        for (int p = 0; p < Packs; ++p) right[p] = pack<T>::load(b + p * width);
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i) {
            pack<T> const x = left[i * a.row];
#pragma GCC unroll 4
            for (int p = 0; p < Packs; ++p) s[i][p] = fma(x, right[p], s[i][p]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
        for (int p = 0; p < Packs; ++p) s[i][p].store(c + i * c_stride + p * width);
}

/// All columns of Rows rows of the result.
template <class T, int Rows>
void small_stripe(T* c, index_t c_stride, small_factor<T> a, T const* b, index_t b_stride, index_t n, index_t depth,
                  bool accumulate) {
    constexpr index_t width = native_width<T>;
    index_t j = 0;
    if constexpr (small_packs<T> == 4)
        for (; j + 4 * width <= n; j += 4 * width)
            small_block<T, Rows, 4>(c + j, c_stride, a, b + j, b_stride, depth, accumulate);
    if constexpr (width > 1)
        for (; j + 2 * width <= n; j += 2 * width)
            small_block<T, Rows, 2>(c + j, c_stride, a, b + j, b_stride, depth, accumulate);
    for (; j < n; j += width) small_block<T, Rows, 1>(c + j, c_stride, a, b + j, b_stride, depth, accumulate);
}

}  // namespace detail

/// c (m × n) = a b, or c += a b; b is depth × n. n is a multiple of the pack's width, to which tiles are padded.
/// Each element is one chain of fused additions in the order of the depth, whatever the width.
template <class T>
void small_product(T* c, index_t c_stride, small_factor<T> a, T const* b, index_t b_stride, index_t m, index_t n,
                   index_t depth, bool accumulate) {
    index_t i = 0;
    auto const take = [&](auto stripe, index_t count) {
        small_factor<T> const rows{a.data + i * a.row, a.row, a.column};
        stripe(c + i * c_stride, c_stride, rows, b, b_stride, n, depth, accumulate);
        i += count;
    };
    while (m - i >= small_rows) take(detail::small_stripe<T, small_rows>, small_rows);
    if (small_rows > 4 && m - i >= 4) take(detail::small_stripe<T, 4>, 4);
    if constexpr (native_width<T> > 1)
        if (m - i >= 2) take(detail::small_stripe<T, 2>, 2);
    while (m - i >= 1) take(detail::small_stripe<T, 1>, 1);
}

}  // namespace graft
