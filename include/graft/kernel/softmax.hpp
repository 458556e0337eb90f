// SPDX-License-Identifier: Apache-2.0
// The two passes of a softmax over one row.                                               (layer 6: kernel)
#pragma once

#include <graft/kernel/rows.hpp>
#include <graft/simd/math.hpp>

#include <algorithm>

namespace graft {

/// The largest of `least` and n numbers.
template <class T>
GRAFT_INLINE T row_max(T const* x, index_t n, T least) {
    constexpr index_t width = native_width<T>;
    if (n < width) {
        for (index_t j = 0; j < n; ++j) least = std::max(least, x[j]);
        return least;
    }
    pack<T> most = max(pack<T>(least), pack<T>::load(x + n - width));  // the tail, some of it twice
    for (index_t j = 0; j + width <= n; j += width) most = max(most, pack<T>::load(x + j));
    return reduce_max(most);
}

/// x[j] = exp(x[j] - top); returns their sum.
template <class T>
GRAFT_INLINE T row_exp(T* x, index_t n, T top) {
    return row_sum<T>(n, [=](pack<T> sum, index_t j, auto access) {
        access.store(x + j, exp(access.load(x + j) - pack<T>(top)));
        return sum + access.load(x + j);  // from memory again: beyond the tail that gives 0
    });
}

}  // namespace graft
