// SPDX-License-Identifier: Apache-2.0
// Triangular factors and linear equations of a few unknowns, in double.                   (layer 6: kernel)
#pragma once

#include <graft/kernel/small_square.hpp>

#include <cmath>
#include <utility>

namespace graft {

/// c becomes R, upper triangular with a positive diagonal and zeros below it, where c = Rᵀ R. False, c spoilt, where
/// some pivot is not above `least` times the number that stood on its place: c is not positive definite then.
///
/// cost     n³ / 3 multiply-adds
inline bool cholesky(small_square c, double least = 1e-14) {
    index_t const n = c.order, stride = c.stride();
    for (index_t k = 0; k < n; ++k) {
        double const pivot = c(k, k);
        double before = pivot;
        for (index_t l = 0; l < k; ++l) before += c(l, k) * c(l, k);
        if (!(pivot > least * before) || !(pivot < std::numeric_limits<double>::infinity())) return false;
        double* const top = c.row(k);
        scale_row(top, 1 / std::sqrt(pivot), stride);
        for (index_t i = k + 1; i < n; ++i) {
            index_t const from = i / native_width<double> * native_width<double>;
            add_row(c.row(i) + from, -top[i], top + from, stride - from);
        }
    }
    for (index_t i = 0; i < n; ++i) std::fill_n(c.row(i), i, 0.0);
    return true;
}

/// x = R⁻¹ of an upper triangular R; x is another matrix.
inline void upper_inverse(small_square x, small_square r) {
    index_t const stride = r.stride();
    x.clear();
    for (index_t i = r.order - 1; i >= 0; --i) {
        x(i, i) = 1;
        for (index_t j = i + 1; j < r.order; ++j) add_row(x.row(i), -r(i, j), x.row(j), stride);
        scale_row(x.row(i), 1 / r(i, i), stride);
    }
}

/// b (a.order rows of `width` numbers, a multiple of the pack's width) becomes a⁻¹ b by elimination with row pivots; a
/// is spoilt. False where a pivot is 0 or not a number.
///
/// cost     n³ / 3 + n² width multiply-adds
inline bool solve(small_square a, double* b, index_t width) {
    index_t const n = a.order, stride = a.stride();
    for (index_t k = 0; k < n; ++k) {
        index_t best = k;
        for (index_t i = k + 1; i < n; ++i)
            if (std::abs(a(i, k)) > std::abs(a(best, k))) best = i;
        if (!(std::abs(a(best, k)) > 0)) return false;
        if (best != k) {
            std::swap_ranges(a.row(k), a.row(k) + stride, a.row(best));
            std::swap_ranges(b + k * width, b + (k + 1) * width, b + best * width);
        }
        index_t const from = k / native_width<double> * native_width<double>;
        for (index_t i = k + 1; i < n; ++i) {
            double const factor = -a(i, k) / a(k, k);
            add_row(a.row(i) + from, factor, a.row(k) + from, stride - from);
            add_row(b + i * width, factor, b + k * width, width);
        }
    }
    for (index_t i = n - 1; i >= 0; --i) {
        for (index_t j = i + 1; j < n; ++j) add_row(b + i * width, -a(i, j), b + j * width, width);
        scale_row(b + i * width, 1 / a(i, i), width);
    }
    return true;
}

}  // namespace graft
