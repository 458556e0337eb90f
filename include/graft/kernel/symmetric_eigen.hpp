// SPDX-License-Identifier: Apache-2.0
// Eigenvalues of a small positive semi-definite matrix, and its inverse small_square root.      (layer 6: kernel)
#pragma once

#include <graft/kernel/small_square.hpp>

#include <cmath>

namespace graft {

/// Of a symmetric g without negative eigenvalues: row i of g becomes λ_i v_iᵀ, `values[i]` λ_i ≥ 0; in no order.
///
/// Rotations of pairs of rows until all are orthogonal. J g = D Q with D diagonal and J, Q orthogonal is a singular
/// value decomposition; of such a g its right vectors are eigenvectors. So nothing but g is rotated, and rows lie in a
/// row. An eigenvalue is right to 1e-15 of the largest.
///
/// cost     5 n³ / 2 multiply-adds a sweep, of which 4 to 10 are needed (at most 30)
/// source   Hestenes, Inversion of matrices by biorthogonalization (1958); rotations of Rutishauser (1966)
inline void eigen(small_square g, double* values) {
    index_t const n = g.order, stride = g.stride();
    double const tolerance = 0x1p-52 * static_cast<double>(n);
    bool turned = true;
    for (int sweep = 0; sweep < 30 && turned; ++sweep) {
        turned = false;
        for (index_t i = 0; i < n; ++i) values[i] = dot_row(g.row(i), g.row(i), stride);
        for (index_t i = 0; i < n; ++i)
            for (index_t j = i + 1; j < n; ++j) {
                double *const x = g.row(i), *const y = g.row(j);
                double const xy = dot_row(x, y, stride), xx = values[i], yy = values[j];
                if (!(std::abs(xy) > tolerance * std::sqrt(xx) * std::sqrt(yy))) continue;
                double const half = (yy - xx) / (2 * xy);
                double const t = (half < 0 ? -1 : 1) / (std::abs(half) + std::sqrt(1 + half * half));
                double const cosine = 1 / std::sqrt(1 + t * t), sine = t * cosine;
                using P = pack<double>;
                for (index_t k = 0; k < stride; k += P::width) {
                    P const a = P::load(x + k), b = P::load(y + k);
                    (P(cosine) * a - P(sine) * b).store(x + k);
                    (P(sine) * a + P(cosine) * b).store(y + k);
                }
                values[i] = xx - t * xy, values[j] = yy + t * xy;
                turned = true;
            }
    }
    for (index_t i = 0; i < n; ++i) values[i] = std::sqrt(dot_row(g.row(i), g.row(i), stride));
}

/// to = g^(-1/2), g as `eigen` takes it; g and `values` (n numbers) are spoilt. Directions whose eigenvalue is not
/// above `least` times the largest are left out: there the result is 0.
inline void inverse_root(small_square to, small_square g, double* values, double least) {
    index_t const n = g.order, stride = g.stride();
    eigen(g, values);
    double const largest = *std::max_element(values, values + n);
    to.clear();
    for (index_t i = 0; i < n; ++i) {
        if (!(values[i] > least * largest)) continue;
        double* const v = g.row(i);
        scale_row(v, 1 / values[i], stride);
        double const root = 1 / std::sqrt(values[i]);
        for (index_t k = 0; k < n; ++k) add_row(to.row(k), root * v[k], v, stride);
    }
}

}  // namespace graft
