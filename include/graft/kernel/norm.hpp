// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalisation of rows with a frozen weight.                            (layer 6: kernel)
#pragma once

#include <graft/kernel/rows.hpp>
#include <graft/simd/stream.hpp>

namespace graft {

namespace detail {

/// The weights of columns j …, or ones where there are none.
template <class T, class W, class Access>
GRAFT_INLINE pack<T> norm_weight(W const* w, index_t j, Access access) {
    return w ? access.load(w + j) : pack<T>(T(1));
}

/// 1 / √(mean x² + ε) of one row.
template <class T>
GRAFT_INLINE T inverse_rms(T const* x, index_t n, double epsilon) {
    return T(1) / sqrt(row_dot(x, x, n) / static_cast<T>(n) + static_cast<T>(epsilon));
}

}  // namespace detail

/// y = x r w with r = 1 / √(mean x² + ε) of each row; w one number per column, or null for ones. y may be x.
template <class T, class W>
void rms_norm(matrix<T> y, matrix<T> x, W const* w, double epsilon) {
    index_t const n = x.columns;
    each_row(y.on, x.rows, n, [=](index_t i) {
        T* const to = y.row(i);
        T const* const from = x.row(i);
        pack<T> const r = detail::inverse_rms(from, n, epsilon);
        along<T>(n, [=](index_t j, auto access) {
            expect_stores(to + j);
            access.store(to + j, access.load(from + j) * r * detail::norm_weight<T>(w, j, access));
        });
    });
}

/// With g = dy w: dx += r g - x r³ mean(g x). A fresh dx may be the buffer of dy or x.
template <class T, class W>
void rms_norm_pull(matrix<T> dx, matrix<T> dy, matrix<T> x, W const* w, double epsilon) {
    index_t const n = x.columns;
    each_row(dx.on, x.rows, n, [=](index_t i) {
        T* const to = dx.row(i);
        T const *const d = dy.row(i), *const from = x.row(i);
        T const r = detail::inverse_rms(from, n, epsilon);
        T const gx = row_sum<T>(n, [=](pack<T> s, index_t j, auto access) {
            return fma(access.load(d + j) * detail::norm_weight<T>(w, j, access), access.load(from + j), s);
        });
        pack<T> const scale = r, slope = -(r * r * r * (gx / static_cast<T>(n)));
        along<T>(n, [=](index_t j, auto access) {
            auto const g = access.load(d + j) * detail::norm_weight<T>(w, j, access);
            detail::put(access, to + j, fma(access.load(from + j), slope, g * scale), dx.fresh);
        });
    });
}

}  // namespace graft
