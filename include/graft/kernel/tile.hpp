// SPDX-License-Identifier: Apache-2.0
// A few rows times a packed panel, in registers: where the product spends its time.      (layer 6: kernel)
#pragma once

#include <graft/simd/blocking.hpp>
#include <graft/simd/pack.hpp>

#include <utility>

namespace graft {

/// Sizes of the product's blocks for one number type on this target.
template <class T>
struct product_tiling {
    static constexpr index_t width = native_width<T>;
    /// Rows of a tile by registers of a panel, whose sums fill the register file; the panel's columns as numbers.
#if defined(__AVX512F__) || defined(__aarch64__)
    static constexpr index_t rows = width == 1 ? 4 : 8, registers = width == 1 ? 4 : 3;
#else
    static constexpr index_t rows = width == 1 ? 4 : 6, registers = width == 1 ? 4 : 2;
#endif
    static constexpr index_t panel = registers * width;
    /// Columns of a panel are whole ones of these: registers, or of single numbers a whole panel, for less code.
    static constexpr index_t unit = width == 1 ? panel : width;
    /// Columns packed at a time, at most: whole stored blocks of 32, a small part of the second-level cache.
    static constexpr index_t group = blocking::columns;
};

/// What all tiles of a panel share: `depth` steps of B (the panel's numbers of one step lie together), `columns` of C.
/// Number (i, k) of A is a[i * row_step + k * depth_step], so that a transposed A is only other steps.
template <class T>
struct panel_job {
    index_t depth, row_step, depth_step;
    T const* b;
    index_t c_step, columns;
    T scale;
    bool add;  // c += scale · sum, else c = scale · sum
};

namespace detail {

template <index_t N, class F>
GRAFT_INLINE constexpr void unrolled(F f) {
    [&]<index_t... I>(std::integer_sequence<index_t, I...>) __attribute__((always_inline)) {
        (f(std::integral_constant<index_t, I>{}), ...);
    }
    (std::make_integer_sequence<index_t, N>{});
}

/// R rows by V registers: every sum is one chain of fma over the depth, then one fma (or product) into C. That chain is
/// the same for each R and V, so a result does not depend on how rows and columns fall into tiles.
template <class T, index_t R, index_t V>
GRAFT_INLINE void tile(panel_job<T> const& job, T const* a, T* c) {
    using P = pack<T>;
    constexpr index_t W = P::width;
    P sums[R][V];
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
        __builtin_prefetch(c + r.value * job.c_step, 1);
        unrolled<V>([&](auto v) __attribute__((always_inline)) { sums[r.value][v.value] = P(T(0)); });
    });
    index_t const row_step = job.row_step, depth_step = job.depth_step;
    T const* b = job.b;
    for (index_t k = job.depth; k > 0; --k, a += depth_step, b += V * W) {
        P right[V];
        unrolled<V>([&](auto v) __attribute__((always_inline)) { right[v.value] = P::load(b + v.value * W); });
        unrolled<R>([&](auto r) __attribute__((always_inline)) {
            P const left(a[r.value * row_step]);
            unrolled<V>([&](auto v) __attribute__((always_inline)) {
                sums[r.value][v.value] = fma(left, right[v.value], sums[r.value][v.value]);
            });
        });
    }
    P const scale(job.scale);
    bool const whole = job.columns == V * W, add = job.add;
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
        unrolled<V>([&](auto v) __attribute__((always_inline)) {
            T* const to = c + r.value * job.c_step + v.value * W;
            P const s = sums[r.value][v.value];
            index_t const left = job.columns - v.value * W;
            if (whole || left >= W)
                (add ? fma(scale, s, P::load(to)) : scale * s).store(to);
            else if (left > 0)
                (add ? fma(scale, s, P::load_some(to, left)) : scale * s).store_some(to, left);
        });
    });
}

/// `rows` rows in tiles of R, the rest in ever smaller ones.
template <class T, index_t R, index_t V>
void sweep_rows(panel_job<T> const& job, index_t rows, T const* a, T* c) {
    for (; rows >= R; rows -= R, a += R * job.row_step, c += R * job.c_step) tile<T, R, V>(job, a, c);
    if constexpr (R > 1) {
        if (rows > 0) sweep_rows<T, (native_width<T> == 1 ? 1 : R > 4 ? 4 : R > 2 ? 2 : 1), V>(job, rows, a, c);
    }
}

/// The same for a panel of few columns, which has fewer registers.
template <class T, index_t V = product_tiling<T>::registers>
void sweep(panel_job<T> const& job, index_t rows, T const* a, T* c) {
    if constexpr (V > 1 && native_width<T> > 1) {
        if (job.columns <= (V - 1) * native_width<T>) return sweep<T, V - 1>(job, rows, a, c);
    }
    sweep_rows<T, product_tiling<T>::rows, V>(job, rows, a, c);
}

}  // namespace detail

}  // namespace graft
