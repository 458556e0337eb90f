// SPDX-License-Identifier: Apache-2.0
// Products with the lower triangle of a matrix: half the work, and what lies above is never read. (layer 6: kernel)
#pragma once

#include <graft/kernel/rearrange.hpp>
#include <graft/kernel/tile.hpp>

// Matrices are contiguous and row-major. Each element of a result is one chain of fma from 0 (or from what is added
// to), in the order of the depth, whatever the tiles and the target's width.

namespace graft {

namespace detail {

/// Where the coefficients of a triangular product lie, and what it multiplies: `order` rows of `columns` numbers.
template <class T>
struct triangular_job {
    T const *q, *x;
    T* y;
    index_t order, columns;
    bool add;
};

/// R rows from `row`, V registers from `column` of y = L x, or of y = Lᵀ x (Transposed). Some: the last of a row.
template <class T, bool Transposed, bool Some, index_t R, index_t V>
GRAFT_INLINE void triangular_tile(triangular_job<T> const& p, index_t row, index_t column) {
    using P = pack<T>;
    constexpr index_t W = P::width;
    index_t const left = p.columns - column, row_step = Transposed ? 1 : p.order, depth_step = Transposed ? p.order : 1;
    P sums[R][V];
    T* const to = p.y + row * p.columns + column;
#pragma GCC unroll 8
    for (index_t r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (index_t v = 0; v < V; ++v) {
            T const* const from = to + r * p.columns + v * W;
            sums[r][v] = !p.add ? P(T(0)) : Some ? P::load_some(from, left) : P::load(from);
        }
    T const* q = p.q + row * row_step + (Transposed ? row * depth_step : 0);
    T const* x = p.x + column + (Transposed ? row * p.columns : 0);
    auto const step = [&](index_t from, index_t to_row) __attribute__((always_inline)) {
        P right[V];
#pragma GCC unroll 4
        for (index_t v = 0; v < V; ++v) right[v] = Some ? P::load_some(x, left) : P::load(x + v * W);
#pragma GCC unroll 8
        for (index_t r = 0; r < R; ++r) {
            if (r < from || r >= to_row) continue;
            P const a(q[r * row_step]);
#pragma GCC unroll 4
            for (index_t v = 0; v < V; ++v) sums[r][v] = fma(a, right[v], sums[r][v]);
        }
        x += p.columns, q += depth_step;
    };
    if constexpr (!Transposed)
        for (index_t depth = row; depth > 0; --depth) step(0, R);
#pragma GCC unroll 8
    for (index_t l = 0; l < R; ++l) step(Transposed ? 0 : l, Transposed ? l + 1 : R);
    if constexpr (Transposed)
        for (index_t depth = p.order - row - R; depth > 0; --depth) step(0, R);
#pragma GCC unroll 8
    for (index_t r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (index_t v = 0; v < V; ++v) {
            T* const at = to + r * p.columns + v * W;
            if constexpr (Some) sums[r][v].store_some(at, left);
            else sums[r][v].store(at);
        }
}

/// All rows of some columns, in tiles of R rows, then of fewer.
template <class T, bool Transposed, bool Some, index_t V, index_t R = product_tiling<T>::rows>
void triangular_rows(triangular_job<T> const& p, index_t row, index_t column) {
    for (; p.order - row >= R; row += R) triangular_tile<T, Transposed, Some, R, V>(p, row, column);
    if constexpr (R > 1) {
        if (row < p.order) triangular_rows<T, Transposed, Some, V, (R > 4 ? 4 : R / 2)>(p, row, column);
    }
}

/// The registers of a row in panels of V or, as evenly as can be, fewer.
template <class T, bool Transposed, index_t V = product_tiling<T>::registers>
void triangular_panel(triangular_job<T> const& p, index_t registers, index_t column) {
    if constexpr (V > 1) {
        if (registers < V) return triangular_panel<T, Transposed, V - 1>(p, registers, column);
    }
    triangular_rows<T, Transposed, false, V>(p, 0, column);
}

template <bool Transposed, class T>
void triangular(triangular_job<T> const& p) {
    constexpr index_t W = native_width<T>, most = product_tiling<T>::registers;
    index_t registers = p.columns / W, column = 0;
    for (index_t panels = (registers + most - 1) / most; panels > 0; --panels) {
        index_t const now = (registers + panels - 1) / panels;
        triangular_panel<T, Transposed>(p, now, column);
        registers -= now, column += now * W;
    }
    if constexpr (W > 1) {
        if (column < p.columns) triangular_rows<T, Transposed, true, 1>(p, 0, column);
    }
}

/// R rows from `row`, V registers from `column` of dq = dy xᵀ; `x`: rows of `step` numbers, one for each of the depth.
template <class T, index_t R, index_t V>
GRAFT_INLINE void outer_tile(T* dq, T const* dy, T const* x, index_t order, index_t depth, index_t step, index_t row,
                             index_t column) {
    using P = pack<T>;
    constexpr index_t W = P::width;
    P sums[R][V];
    for (auto& all : sums)
        for (P& s : all) s = P(T(0));
    dy += row * depth, x += column;
    for (index_t l = 0; l < depth; ++l, x += step) {
        P right[V];
        unrolled<V>([&](auto v) __attribute__((always_inline)) { right[v.value] = P::load(x + v.value * W); });
        unrolled<R>([&](auto r) __attribute__((always_inline)) {
            P const left(dy[r.value * depth + l]);
            unrolled<V>([&](auto v) __attribute__((always_inline)) {
                sums[r.value][v.value] = fma(left, right[v.value], sums[r.value][v.value]);
            });
        });
    }
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
        unrolled<V>([&](auto v) __attribute__((always_inline)) {
            index_t const at = column + v.value * W, left = std::min(order - at, W);
            if (left > 0) sums[r.value][v.value].store_some(dq + (row + r.value) * order + at, left);
        });
    });
}

/// The registers that rows up to `end` have, from `column` on.
template <class T, index_t R, index_t V = product_tiling<T>::registers>
void outer_rows(T* dq, T const* dy, T const* x, index_t order, index_t depth, index_t step, index_t row,
                index_t column) {
    constexpr index_t W = native_width<T>;
    for (; row + R - column > (V - 1) * W; column += V * W)
        outer_tile<T, R, V>(dq, dy, x, order, depth, step, row, column);
    if constexpr (V > 1) {
        if (row + R > column) outer_rows<T, R, V - 1>(dq, dy, x, order, depth, step, row, column);
    }
}

template <class T, index_t R = product_tiling<T>::rows>
void outer_all(T* dq, T const* dy, T const* x, index_t order, index_t depth, index_t step, index_t row) {
    for (; order - row >= R; row += R) outer_rows<T, R>(dq, dy, x, order, depth, step, row, 0);
    if constexpr (R > 1) {
        if (row < order) outer_all<T, (R > 4 ? 4 : R / 2)>(dq, dy, x, order, depth, step, row);
    }
}

}  // namespace detail

/// y = L x, or y += L x: L is the lower triangle of q (order × order), x and y are order × columns.
template <class T>
void lower_product(T* y, T const* q, T const* x, index_t order, index_t columns, bool add = false) {
    detail::triangular<false>(detail::triangular_job<T>{q, x, y, order, columns, add});
}

/// y = Lᵀ x, or y += Lᵀ x.
template <class T>
void lower_transposed_product(T* y, T const* q, T const* x, index_t order, index_t columns, bool add = false) {
    detail::triangular<true>(detail::triangular_job<T>{q, x, y, order, columns, add});
}

/// Numbers of a row in `lower_outer`'s x.
template <class T>
constexpr index_t outer_step(index_t order) { return round_up(order, native_width<T>); }

/// The transpose of x (order × columns), as `lower_outer` reads it: columns rows of outer_step<T>(order) numbers.
template <class T>
void outer_columns(T* to, T const* x, index_t order, index_t columns) {
    constexpr index_t W = native_width<T>;
    index_t const step = outer_step<T>(order), whole = W == 1 ? 0 : columns / W * W;
    for (index_t i = 0; i < step; i += W)
        for (index_t j = 0; j < whole; j += W) {
            detail::vector_t<T, W> square[W];
#pragma GCC unroll 16
            for (index_t r = 0; r < W; ++r) {
                if (i + r < order) square[r] = detail::load_vector(x + (i + r) * columns + j);
                else square[r] = detail::vector_t<T, W>{};
            }
            transpose<T>(square);
#pragma GCC unroll 16
            for (index_t r = 0; r < W; ++r) detail::store_vector(to + (j + r) * step + i, square[r]);
        }
    for (index_t j = whole; j < columns; ++j)
        for (index_t i = 0; i < step; ++i) to[j * step + i] = i < order ? x[i * columns + j] : T(0);
}

/// dq = dy xᵀ on and below the diagonal, 0 above it; dy and x are order × columns, x as `outer_columns` turned it.
template <class T>
void lower_outer(T* dq, T const* dy, T const* turned, index_t order, index_t columns) {
    detail::outer_all<T>(dq, dy, turned, order, columns, outer_step<T>(order), 0);
    for (index_t i = 0; i < order; ++i) std::fill_n(dq + i * order + i + 1, order - i - 1, T(0));
}

}  // namespace graft
