// SPDX-License-Identifier: Apache-2.0
// The two passes of a softmax over one row.                                               (layer 6: kernel)
#pragma once

#include <graft/kernel/rows.hpp>
#include <graft/simd/math.hpp>

#include <algorithm>
#include <type_traits>

namespace graft {

/// e^x, or 0 where that is below the smallest normal number: x86 takes a hundred times longer over subnormal results,
/// and what attention hides is far below.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> softmax_exp(pack<T, W> x) {
    using P = pack<T, W>;
    P const least = std::is_same_v<T, float> ? T(-87) : T(-708);
    return select(x < least, P(T(0)), exp(max(least, x)));
}
template <class T>
GRAFT_INLINE T softmax_exp(T x) {
    return softmax_exp(pack<T, 1>(x)).v[0];
}

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

/// x[j] = softmax_exp(x[j] - top); returns their sum.
template <class T>
GRAFT_INLINE T row_exp(T* x, index_t n, T top) {
    return row_sum<T>(n, [=](pack<T> sum, index_t j, auto access) {
        access.store(x + j, softmax_exp(access.load(x + j) - pack<T>(top)));
        return sum + access.load(x + j);  // from memory again: beyond the tail that gives 0
    });
}

}  // namespace graft
