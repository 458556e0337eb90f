// SPDX-License-Identifier: Apache-2.0
// Products of matrices of many rows and few columns, summed in double.                    (layer 6: kernel)
#pragma once

#include <graft/kernel/small_product.hpp>
#include <graft/kernel/small_square.hpp>

#include <cmath>
#include <cstring>

namespace graft {

/// Element (i, j) lies at data[i * row + j * column]; rows ≥ columns.
template <class T>
struct tall_matrix {
    T* data;
    index_t rows, columns, row, column;
};
/// rows × columns numbers, row after row: the matrix, or its transpose where that is the taller one.
template <class T>
tall_matrix<T> tall(T* data, index_t rows, index_t columns) {
    if (rows >= columns) return {data, rows, columns, columns, 1};
    return {data, columns, rows, 1, columns};
}

namespace detail {

/// Rows that are turned to doubles and multiplied at once.
inline constexpr index_t tall_rows = 6 * small_rows;

template <class To, class From>
GRAFT_INLINE void convert(To* to, From const* from, index_t n) {
    constexpr index_t W = native_width<double>;
    index_t i = 0;
    if constexpr (W > 1)
        for (; i + W <= n; i += W) {
            vector_t<From, W> x;
            std::memcpy(&x, from + i, sizeof x);
            auto const y = __builtin_convertvector(x, vector_t<To, W>);
            std::memcpy(to + i, &y, sizeof y);
        }
    for (; i < n; ++i) to[i] = static_cast<To>(from[i]);
}

/// `count` rows of x from `first` on, as doubles in rows of `stride`.
template <class T>
void tall_read(double* to, tall_matrix<T const> x, index_t first, index_t count, index_t stride) {
    T const* const from = x.data + first * x.row;
    if (x.column == 1 && x.row == x.columns && stride == x.columns) return convert(to, from, count * stride);
    if (stride != x.columns) std::fill_n(to, count * stride, 0.0);
    if (x.column == 1)
        for (index_t i = 0; i < count; ++i) convert(to + i * stride, from + i * x.row, x.columns);
    else
        for (index_t j = 0; j < x.columns; ++j)
            for (index_t i = 0; i < count; ++i)
                to[i * stride + j] = static_cast<double>(from[i * x.row + j * x.column]);
}
template <class T>
void tall_write(tall_matrix<T> x, double const* from, index_t first, index_t count, index_t stride) {
    T* const to = x.data + first * x.row;
    if (x.column == 1 && x.row == x.columns && stride == x.columns) return convert(to, from, count * stride);
    if (x.column == 1)
        for (index_t i = 0; i < count; ++i) convert(to + i * x.row, from + i * stride, x.columns);
    else
        for (index_t j = 0; j < x.columns; ++j)
            for (index_t i = 0; i < count; ++i)
                to[i * x.row + j * x.column] = static_cast<T>(from[i * stride + j]);
}

/// What the functions below work in: two panels of doubles.
struct tall_panels {
    double *x, *y;
    index_t stride;
};
inline tall_panels panels_of(std::byte* scratch, index_t columns) {
    index_t const stride = small_square::stride_of(columns);
    auto* const x = reinterpret_cast<double*>(scratch);
    return {x, x + tall_rows * stride, stride};
}

}  // namespace detail

/// Bytes of scratch for all functions on tall matrices of that many columns.
constexpr index_t tall_scratch(index_t columns) {
    return 2 * detail::tall_rows * small_square::stride_of(columns) * static_cast<index_t>(sizeof(double));
}

/// c = xᵀ y.
template <class T>
void gram(small_square c, tall_matrix<T const> x, tall_matrix<T const> y, std::byte* scratch) {
    auto const p = detail::panels_of(scratch, x.columns);
    c.clear();
    for (index_t at = 0; at < x.rows; at += detail::tall_rows) {
        index_t const count = std::min(detail::tall_rows, x.rows - at);
        detail::tall_read(p.x, x, at, count, p.stride);
        detail::tall_read(p.y, y, at, count, p.stride);
        small_product<double>(c.data, p.stride, {p.x, 1, p.stride}, p.y, p.stride, c.order, p.stride, count, true);
    }
}
/// c = xᵀ x: symmetric to the bit, and with little more than half of the arithmetic.
template <class T>
void gram(small_square c, tall_matrix<T const> x, std::byte* scratch) {
    auto const p = detail::panels_of(scratch, x.columns);
    c.clear();
    for (index_t at = 0; at < x.rows; at += detail::tall_rows) {
        index_t const count = std::min(detail::tall_rows, x.rows - at);
        detail::tall_read(p.x, x, at, count, p.stride);
        for (index_t i = 0; i < c.order; i += small_rows) {
            index_t const from = i / native_width<double> * native_width<double>;
            small_product<double>(c.row(i) + from, p.stride, {p.x + i, 1, p.stride}, p.x + from, p.stride,
                                  std::min(small_rows, c.order - i), p.stride - from, count, true);
        }
    }
    for (index_t i = 0; i < c.order; ++i)
        for (index_t j = 0; j < i; ++j) c(i, j) = c(j, i);
}

/// Σ x² of n numbers.
template <class T>
double squares(T const* x, index_t n) {
    using P = pack<double>;
    constexpr index_t lanes = 4, run = lanes * P::width;
    P sums[lanes] = {P(0.0), P(0.0), P(0.0), P(0.0)};
    alignas(64) double block[run];
    for (index_t i = 0; i < n; i += run) {
        index_t const count = std::min(run, n - i);
        detail::convert(block, x + i, count);
        std::fill(block + count, block + run, 0.0);
        for (index_t l = 0; l < lanes; ++l) {
            P const y = P::load(block + l * P::width);
            sums[l] = fma(y, y, sums[l]);
        }
    }
    return reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/// A term x m of a sum: rows × columns times columns × columns.
template <class T>
struct tall_term {
    tall_matrix<T const> x;
    small_square m;
};
/// y = of_y · y + Σ x m, each element rounded once to T. y may be any of the x.
template <class T, class... Terms>
void tall_sum(tall_matrix<T> y, double of_y, std::byte* scratch, Terms const&... terms) {
    auto const p = detail::panels_of(scratch, y.columns);
    for (index_t at = 0; at < y.rows; at += detail::tall_rows) {
        index_t const count = std::min(detail::tall_rows, y.rows - at);
        bool add = of_y != 0;
        if (add) {
            detail::tall_read<T>(p.y, {y.data, y.rows, y.columns, y.row, y.column}, at, count, p.stride);
            if (of_y != 1) scale_row(p.y, of_y, count * p.stride);
        }
        auto const take = [&](tall_term<T> const& term) {
            detail::tall_read(p.x, term.x, at, count, p.stride);
            small_product<double>(p.y, p.stride, {p.x, p.stride, 1}, term.m.data, p.stride, count, p.stride, y.columns,
                                  add);
            add = true;
        };
        (take(terms), ...);
        detail::tall_write(y, p.y, at, count, p.stride);
    }
}

}  // namespace graft
