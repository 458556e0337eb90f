// SPDX-License-Identifier: Apache-2.0
// Functions of whole rows: softmax, log-sum-exp, normalisation, the place of the largest.  (layer 6: kernel)
#pragma once

#include <graft/kernel/norm.hpp>
#include <graft/kernel/softmax.hpp>

#include <cstdint>
#include <limits>

// Each row is read into the first cache once and stays there for all passes over it. y may be x.

namespace graft {

namespace detail {

/// The largest number of a row; -infinity where it has none.
template <class T>
GRAFT_INLINE T row_top(T const* x, index_t n) {
    return row_max(x, n, -std::numeric_limits<T>::infinity());
}

/// log Σ e^(x[j] - top).
template <class T>
GRAFT_INLINE T row_log_sum(T const* x, index_t n, T top) {
    return log(row_exp(static_cast<T*>(nullptr), x, n, top));
}

/// The place of the first number that is none, else of the first of the largest.
template <class T>
index_t row_argmax(T const* x, index_t n) {
    constexpr index_t width = native_width<T>, block = 8 * width;
    T const strange = row_sum<T>(
        n, [=](pack<T> s, index_t j, auto access) { return fma(access.load(x + j), pack<T>(T(0)), s); });
    if (strange != T(0)) [[unlikely]]  // some are infinite or none
        for (index_t j = 0; j < n; ++j)
            if (x[j] != x[j]) return j;
    T const top = row_top(x, n);
    index_t j = 0;
    for (; j + block <= n; j += block) {
        pack<T> found = T(0);
#pragma GCC unroll 8
        for (index_t p = 0; p < block; p += width)
            found = select(pack<T>::load(x + j + p) == pack<T>(top), pack<T>(T(1)), found);
        if (reduce_max(found) > T(0)) break;
    }
    while (j < n - 1 && x[j] != top) ++j;
    return j;
}

/// y = (x - mean) / √(variance + ε) w + b of one row, the variance around the mean.
template <class T, class W>
GRAFT_INLINE void normalise_row(T* y, T const* x, index_t n, W const* w, W const* b, double epsilon) {
    T const count = static_cast<T>(n);
    pack<T> const mean =
        row_sum<T>(n, [=](pack<T> s, index_t j, auto access) { return s + access.load(x + j); }) / count;
    T const squares = row_sum<T>(n, [=](pack<T> s, index_t j, auto access) {
        pack<T> const d = access.kept(access.load(x + j) - mean);
        return fma(d, d, s);
    });
    pack<T> const r = T(1) / sqrt(squares / count + static_cast<T>(epsilon));
    along<T>(n, [=](index_t j, auto access) {
        pack<T> const d = (access.load(x + j) - mean) * r;
        pack<T> const scaled = d * norm_weight<T>(w, j, access);
        expect_stores(y + j);
        access.store(y + j, b ? scaled + access.load(b + j) : scaled);
    });
}

}  // namespace detail

/// y = e^x / Σ e^x of each row.
template <class T>
void softmax(matrix<T> y, matrix<T> x) {
    index_t const n = x.columns;
    each_row(y.on, x.rows, n, [=](index_t i) {
        T* const to = y.row(i);
        T const* const from = x.row(i);
        pack<T> const scale = T(1) / row_exp(to, from, n, detail::row_top(from, n));
        along<T>(n, [=](index_t j, auto access) { access.store(to + j, access.load(to + j) * scale); });
    });
}

/// y = x - log Σ e^x of each row.
template <class T>
void log_softmax(matrix<T> y, matrix<T> x) {
    index_t const n = x.columns;
    each_row(y.on, x.rows, n, [=](index_t i) {
        T* const to = y.row(i);
        T const* const from = x.row(i);
        T const top = detail::row_top(from, n), rest = detail::row_log_sum(from, n, top);
        along<T>(n, [=](index_t j, auto access) {
            expect_stores(to + j);
            access.store(to + j, (access.load(from + j) - pack<T>(top)) - pack<T>(rest));
        });
    });
}

/// y = log Σ e^x of each row, -infinity where all numbers are.
///
/// shapes   y: rows × 1
template <class T>
void log_sum_exp(matrix<T> y, matrix<T> x) {
    each_row(y.on, x.rows, x.columns, [=](index_t i) {
        T const* const from = x.row(i);
        T const top = detail::row_top(from, x.columns);
        *y.row(i) = top == -std::numeric_limits<T>::infinity() ? top : top + detail::row_log_sum(from, x.columns, top);
    });
}

/// y = (x - mean) / √(variance + ε) w + b of each row; w and b one number per column, or null for ones and zeros.
///
/// source   arXiv 1607.06450, eq. 4
template <class T, class W>
void layer_norm(matrix<T> y, matrix<T> x, W const* w, W const* b, double epsilon) {
    each_row(y.on, x.rows, x.columns,
             [=](index_t i) { detail::normalise_row(y.row(i), x.row(i), x.columns, w, b, epsilon); });
}

/// y = (x - mean) / √(variance + ε) of each row.
template <class T>
void normalise(matrix<T> y, matrix<T> x, double epsilon) {
    layer_norm(y, x, static_cast<T const*>(nullptr), static_cast<T const*>(nullptr), epsilon);
}

/// y[i] = the place of the largest number of row i, the first of equals; what is not a number counts as the largest.
///
/// needs    at least one column (fault::shape)
template <class T>
void argmax(std::int32_t* y, matrix<T> x) {
    index_t const n = x.columns;
    require(n > 0 || x.rows == 0, fault::shape, "argmax: columns", n, 1);
    each_row(x.on, x.rows, n, [=](index_t i) { y[i] = static_cast<std::int32_t>(detail::row_argmax(x.row(i), n)); });
}

}  // namespace graft
