// SPDX-License-Identifier: Apache-2.0
// The first numbers of an adapter.                                                       (layer 12: block)
#pragma once

#include <graft/base/random.hpp>
#include <graft/kernel/gaussian.hpp>
#include <graft/simd/blocking.hpp>
#include <graft/tensor/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace graft {

/// How adapters start. All but `pissa` change nothing yet: B = 0.
enum class adapter_start : unsigned char {
    kaiming,     // A ~ U(±1/√in): PEFT's default
    gaussian,    // A ~ N(0, 1/rank²): PEFT's "gaussian"
    orthogonal,  // rows of A orthonormal, of a random subspace
    pissa        // the largest singular values of W, which an offset takes away again (`pissa_start`)
};

namespace detail {

inline constexpr std::uint32_t start_stream = 0x73740000;  // and which map

/// Rows of a become orthonormal, in order; twice, as one pass leaves what rounding made of nearly parallel rows.
template <class T>
void orthonormalise_rows(matrix<T> a) {
    for (int pass = 0; pass < 2; ++pass)
        for (index_t i = 0; i < a.rows; ++i) {
            auto const dot = [&](index_t j) {
                double sum = 0;
                for (index_t k = 0; k < a.columns; ++k)
                    sum += static_cast<double>(a(i, k)) * static_cast<double>(a(j, k));
                return sum;
            };
            for (index_t j = 0; j < i; ++j) {
                double const along = dot(j);
                for (index_t k = 0; k < a.columns; ++k)
                    a(i, k) = static_cast<T>(static_cast<double>(a(i, k)) - along * static_cast<double>(a(j, k)));
            }
            double const length = std::sqrt(dot(i));
            for (index_t k = 0; k < a.columns; ++k) a(i, k) = static_cast<T>(static_cast<double>(a(i, k)) / length);
        }
}

}  // namespace detail

/// A (rank × in) and B (out × rank) of map number `place` of a model: a pure function of seed and place.
template <class T>
void start_pair(adapter_start how, matrix<T> A, matrix<T> B, std::uint64_t seed, std::uint32_t place) {
    index_t const count = A.rows * A.columns;
    std::fill_n(B.data, B.rows * B.columns, T{});
    if (!GRAFT_EXTRAS || how == adapter_start::kaiming) {
        double const bound = 1 / refined_sqrt(static_cast<double>(A.columns));
        for (index_t i = 0; i < count; ++i)
            A.data[i] = static_cast<T>(bound * (2 * uniform(seed, place, 0, static_cast<std::uint64_t>(i)) - 1));
        return;
    }
    gaussian(A.data, count, 0, seed, detail::start_stream + place, 0);
    if (how == adapter_start::orthogonal && A.rows <= A.columns) return detail::orthonormalise_rows(A);
    for (index_t i = 0; i < count; ++i) A.data[i] /= static_cast<T>(A.rows);
}

}  // namespace graft
