// SPDX-License-Identifier: Apache-2.0
// The passes of a softmax over one row.                                                   (layer 6: kernel)
#pragma once

#include <graft/kernel/rows.hpp>
#include <graft/simd/math.hpp>
#include <graft/simd/stream.hpp>

#include <algorithm>

namespace graft {

/// What the weights of a softmax are made of: attention hides numbers far below its range.
template <class X>
GRAFT_INLINE X softmax_exp(X x) {
    return exp_or_zero(x);
}

/// The largest of `least` and n numbers.
template <class T>
GRAFT_INLINE T row_max(T const* x, index_t n, T least) {
    constexpr index_t width = native_width<T>;
    if (n < width) {
        for (index_t j = 0; j < n; ++j) least = std::max(least, x[j]);
        return least;
    }
    pack<T> most[4] = {max(pack<T>(least), pack<T>::load(x + n - width))};  // the tail, some of it twice
    most[1] = most[2] = most[3] = most[0];
    index_t j = 0;
    for (; j + 4 * width <= n; j += 4 * width) {
#pragma GCC unroll 4
        for (index_t p = 0; p < 4; ++p) most[p] = max(most[p], pack<T>::load(x + j + p * width));
    }
    for (; j + width <= n; j += width) most[0] = max(most[0], pack<T>::load(x + j));
    return reduce_max(max(max(most[0], most[1]), max(most[2], most[3])));
}

/// y[j] = softmax_exp(x[j] - top); returns their sum. y may be x, or null where only the sum is wanted.
template <class T>
GRAFT_INLINE T row_exp(T* y, T const* x, index_t n, T top) {
    return row_sum<T>(n, [=](pack<T> sum, index_t j, auto access) {
        pack<T> e = softmax_exp(access.load(x + j) - pack<T>(top));
        if (y) expect_stores(y + j), access.store(y + j, e);
        return sum + access.kept(e);
    });
}
template <class T>
GRAFT_INLINE T row_exp(T* x, index_t n, T top) {
    return row_exp(x, static_cast<T const*>(x), n, top);
}

}  // namespace graft
