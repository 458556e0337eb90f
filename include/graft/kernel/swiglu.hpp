// SPDX-License-Identifier: Apache-2.0
// y = silu(g) u and its gradient in one pass each.                                        (layer 6: kernel)
#pragma once

#include <graft/kernel/rows.hpp>
#include <graft/simd/math.hpp>

namespace graft {

/// y = g σ(g) u; y may be g or u.
template <class T>
void swiglu(matrix<T> y, matrix<T> g, matrix<T> u) {
    each_row(y.on, y.rows, y.columns, [=](index_t i) {
        T* const to = y.row(i);
        T const *const gate = g.row(i), *const up = u.row(i);
        along<T>(y.columns, [=](index_t j, auto access) {
            auto const a = access.load(gate + j);
            access.store(to + j, a * sigmoid(a) * access.load(up + j));
        });
    });
}

/// With σ = σ(g): dg += dy u σ (1 + g (1 - σ)), du += dy g σ. A view without data is not wanted. Fresh, dg may be g's
/// buffer and du u's, or one of the two dy's.
template <class T>
void swiglu_pull(matrix<T> dg, matrix<T> du, matrix<T> dy, matrix<T> g, matrix<T> u) {
    each_row(dy.on, dy.rows, dy.columns, [=](index_t i) {
        T const *const d = dy.row(i), *const gate = g.row(i), *const up = u.row(i);
        T *const dgate = dg ? dg.row(i) : nullptr, *const dup = du ? du.row(i) : nullptr;
        along<T>(dy.columns, [=](index_t j, auto access) {
            pack<T> const a = access.load(gate + j), b = access.load(up + j), s = sigmoid(a), one = T(1);
            pack<T> const ds = access.load(d + j) * s;
            if (dgate) detail::put(access, dgate + j, ds * b * fma(a, one - s, one), dg.fresh);
            if (dup) detail::put(access, dup + j, ds * a, du.fresh);
        });
    });
}

}  // namespace graft
