// SPDX-License-Identifier: Apache-2.0
// How an adapter's directions lie to each other: orthogonality, effective rank, cosines. (layer 11: optimizer)
#pragma once

#include <graft/kernel/symmetric_eigen.hpp>
#include <graft/kernel/tall.hpp>

#include <cmath>

namespace graft {

/// Bytes of scratch, aligned to 64, for each of the functions below on a rows × columns matrix.
constexpr index_t geometry_scratch(index_t rows, index_t columns) {
    index_t const r = rows < columns ? rows : columns;
    return small_square::bytes(r) + round_up(r * static_cast<index_t>(sizeof(double)), buffer_alignment) +
           tall_scratch(r);
}

namespace detail {

/// The Gram matrix of the shorter side of x (rows of A, columns of B), and room for a number of each.
template <class T>
struct measured {
    small_square gram;
    double* numbers;

    measured(T const* x, index_t rows, index_t columns, std::byte* scratch)
        : measured(tall<T const>(x, rows, columns), scratch,
                   geometry_scratch(rows, columns) - tall_scratch(rows < columns ? rows : columns)) {}

private:
    measured(tall_matrix<T const> x, std::byte* scratch, index_t bytes) {
        arena space({scratch, static_cast<std::size_t>(bytes)});
        gram = small_square::taken(space, x.columns);
        numbers = space.take_numbers<double>(x.columns);
        graft::gram(gram, x, scratch + bytes);
    }
};

}  // namespace detail

/// ‖BᵀB − I‖_F of B (rows ≥ columns), ‖BBᵀ − I‖_F of one that is wider than tall.
template <class T>
double orthogonality_error(T const* b, index_t rows, index_t columns, std::byte* scratch) {
    detail::measured<T> const of(b, rows, columns, scratch);
    double sum = 0;
    for (index_t i = 0; i < of.gram.order; ++i)
        for (index_t j = 0; j < of.gram.order; ++j) {
            double const off = of.gram(i, j) - (i == j);
            sum += off * off;
        }
    return std::sqrt(sum);
}

/// exp(−Σ q ln q) with q = σ / Σ σ over the singular values: from 1 (one direction) to the number of columns (all
/// alike); 0 of a zero matrix. Even i.i.d. Gaussian numbers have less than that where rows are few: 15.99 of 2048 × 16,
/// 12.4 of 16 × 16.
///
/// source   Roy and Vetterli, The effective rank (2007)
template <class T>
double effective_rank(T const* x, index_t rows, index_t columns, std::byte* scratch) {
    detail::measured<T> const of(x, rows, columns, scratch);
    eigen(of.gram, of.numbers);
    double sum = 0, entropy = 0;
    for (index_t i = 0; i < of.gram.order; ++i) sum += of.numbers[i] = std::sqrt(of.numbers[i]);
    if (!(sum > 0)) return 0;
    for (index_t i = 0; i < of.gram.order; ++i) {
        double const q = of.numbers[i] / sum;
        if (q > 0) entropy -= q * std::log(q);
    }
    return std::exp(entropy);
}

/// Of the cosines between two different columns (rows, of a matrix wider than tall): their mean, the standard deviation
/// of them all, and the mean of their sizes.
struct cosines {
    double mean = 0, deviation = 0, mean_size = 0;
};
/// A column of zeros has cosine 0 with every other; one column alone has none.
template <class T>
cosines column_cosines(T const* x, index_t rows, index_t columns, std::byte* scratch) {
    detail::measured<T> const of(x, rows, columns, scratch);
    index_t const r = of.gram.order;
    double sum = 0, squares = 0, sizes = 0;
    for (index_t i = 0; i < r; ++i)
        for (index_t j = 0; j < i; ++j) {
            double const lengths = std::sqrt(of.gram(i, i)) * std::sqrt(of.gram(j, j));
            double const cosine = lengths > 0 ? of.gram(i, j) / lengths : 0;
            sum += cosine, squares += cosine * cosine, sizes += std::abs(cosine);
        }
    if (r < 2) return {};
    double const pairs = static_cast<double>(r * (r - 1) / 2), mean = sum / pairs;
    return {mean, std::sqrt(std::fmax(squares / pairs - mean * mean, 0)), sizes / pairs};
}

}  // namespace graft
