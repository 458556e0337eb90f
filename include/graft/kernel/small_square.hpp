// SPDX-License-Identifier: Apache-2.0
// A small square matrix of doubles, whose rows fill registers.                            (layer 6: kernel)
#pragma once

#include <graft/memory/arena.hpp>
#include <graft/simd/pack.hpp>

#include <algorithm>

namespace graft {

/// order × order doubles. Rows are `stride` apart, a multiple of the pack's width; the numbers that pad a row are 0.
struct small_square {
    double* data;
    index_t order;

    static constexpr index_t stride_of(index_t order) { return round_up(order, native_width<double>); }
    /// What `taken` takes of an arena.
    static constexpr index_t bytes(index_t order) {
        return round_up(order * stride_of(order) * static_cast<index_t>(sizeof(double)), buffer_alignment);
    }
    static small_square taken(arena& from, index_t order) {
        small_square const all{from.take_numbers<double>(order * stride_of(order)), order};
        all.clear();
        return all;
    }

    index_t stride() const { return stride_of(order); }
    double* row(index_t i) const { return data + i * stride(); }
    double& operator()(index_t i, index_t j) const { return data[i * stride() + j]; }
    void clear() const { std::fill_n(data, order * stride(), 0.0); }
};

/// y += a x of n numbers, n a multiple of the pack's width.
GRAFT_INLINE void add_row(double* y, double a, double const* x, index_t n) {
    using P = pack<double>;
    P const all(a);
    for (index_t i = 0; i < n; i += P::width) fma(all, P::load(x + i), P::load(y + i)).store(y + i);
}
/// x *= a, likewise.
GRAFT_INLINE void scale_row(double* x, double a, index_t n) {
    using P = pack<double>;
    for (index_t i = 0; i < n; i += P::width) (P(a) * P::load(x + i)).store(x + i);
}
/// Σ x y, likewise.
GRAFT_INLINE double dot_row(double const* x, double const* y, index_t n) {
    using P = pack<double>;
    P sum(0.0);
    for (index_t i = 0; i < n; i += P::width) sum = fma(P::load(x + i), P::load(y + i), sum);
    return reduce_add(sum);
}

/// c = a b, or aᵀ b. c is neither of them.
inline void small_square_product(small_square c, small_square a, small_square b, bool transposed = false) {
    index_t const n = c.stride();
    c.clear();
    for (index_t i = 0; i < c.order; ++i)
        for (index_t l = 0; l < c.order; ++l) add_row(c.row(i), transposed ? a(l, i) : a(i, l), b.row(l), n);
}
/// c = (c + cᵀ) / 2.
inline void symmetrise(small_square c) {
    for (index_t i = 0; i < c.order; ++i)
        for (index_t j = 0; j < i; ++j) c(i, j) = c(j, i) = 0.5 * (c(i, j) + c(j, i));
}

}  // namespace graft
