// SPDX-License-Identifier: Apache-2.0
// An adapter that starts as the principal part of its weight.                            (layer 12: block)
#pragma once

#include <graft/block/adapter_start.hpp>
#include <graft/kernel/product.hpp>
#include <graft/kernel/symmetric_eigen.hpp>
#include <graft/kernel/tall.hpp>
#include <graft/rule/rule.hpp>

namespace graft {

namespace detail {

inline constexpr index_t pissa_more = 8;    // directions beyond the rank, so that the last of these is found too
inline constexpr index_t pissa_sweeps = 4;  // through W and back
constexpr index_t pissa_directions(index_t in, index_t out, index_t rank) {
    return std::min(rank + pissa_more, std::min(in, out));
}
/// Bytes of the small matrices.
constexpr index_t pissa_bytes(index_t directions) {
    return 2 * small_square::bytes(directions) + tall_scratch(directions) +
           round_up(directions * static_cast<index_t>(sizeof(double)), buffer_alignment);
}

/// x = (x xᵀ)^(-1/2) x: rows become orthonormal; where they depend on each other, as many as there are directions.
template <class T>
void orthonormal_rows(matrix<T> x, std::byte* small) {
    index_t const q = x.rows;
    arena place({small, static_cast<std::size_t>(pissa_bytes(q))});
    small_square const c = small_square::taken(place, q), m = small_square::taken(place, q);
    auto* const values = place.take_numbers<double>(q);
    std::byte* const panels = small + place.taken();
    for (int pass = 0; pass < 2; ++pass) {
        gram(c, tall_matrix<T const>{x.data, x.columns, q, 1, x.columns}, panels);
        inverse_root(m, c, values, 1e-12);
        tall_sum(tall_matrix<T>{x.data, x.columns, q, 1, x.columns}, 0, panels,
                 tall_term<T>{{x.data, x.columns, q, 1, x.columns}, m});
    }
}

}  // namespace detail

/// Numbers of the workspace that `pissa_start` of one map takes.
template <class T>
constexpr index_t pissa_scratch(index_t in, index_t out, index_t rank) {
    index_t const q = detail::pissa_directions(in, out, rank);
    return workspace<T>::numbers(q, in) + workspace<T>::numbers(q, out) +
           workspace<T>::numbers(1, detail::pissa_bytes(q) / static_cast<index_t>(sizeof(T)));
}

/// s B A = U S Vᵀ, the `rank` largest singular values of W and their directions: A = √(S/s) Vᵀ, B = U √(S/s). Columns
/// of B and rows of A whose singular value is 0 are 0.
///
/// By subspace iteration from a random start, W only in products: the more the next singular values are smaller, the
/// nearer. What stands for W while this adapter trains is W − s B₀ A₀ (the map's offset).
///
/// source   PiSSA, arXiv 2404.02948, eq. 2 to 4; Halko, Martinsson, Tropp, Finding structure with randomness (2011),
///          algorithm 4.4
template <class Weights, class T>
void pissa_start(Weights const& w, std::uint64_t seed, workspace<T> space, workers const& on) {
    index_t const r = w.A.rows, in = w.A.columns, out = w.B.rows, q = detail::pissa_directions(in, out, r);
    auto const z = space.take(q, in).by(&on), y = space.take(q, out).by(&on);  // rows: directions of inputs, of outputs
    auto* const small = reinterpret_cast<std::byte*>(space.next);
    gaussian(z.data, q * in, 0, seed, detail::start_stream + w.place, 1);
    for (index_t i = 0; i < detail::pissa_sweeps; ++i) {
        y = z * t(w.W);
        detail::orthonormal_rows(y, small);
        z = y * w.W;
        detail::orthonormal_rows(z, small);
    }
    y = z * t(w.W);

    // y yᵀ = V' S² V'ᵀ: W ≈ (yᵀ) z, its right directions V'ᵀ z, its left ones yᵀ V' / S.
    arena place({small, static_cast<std::size_t>(detail::pissa_bytes(q))});
    small_square const g = small_square::taken(place, q);
    auto* const values = place.take_numbers<double>(q);
    gram(g, tall_matrix<T const>{y.data, out, q, 1, out}, small + place.taken());
    eigen(g, values);
    for (index_t i = 0; i < r; ++i) {
        index_t const largest = static_cast<index_t>(std::max_element(values, values + q) - values);
        double const square_of = values[largest],
                     length = std::sqrt(dot_row(g.row(largest), g.row(largest), g.stride()));
        values[largest] = -1;
        bool const there = i < q && square_of > 0 && length > 0;
        double const s = static_cast<double>(w.s), S = there ? std::sqrt(square_of) : 0;
        double const of_a = there ? std::sqrt(S / s) / length : 0, of_b = there ? 1 / std::sqrt(S * s) / length : 0;
        for (index_t k = 0; k < in; ++k) {
            double sum = 0;
            for (index_t j = 0; there && j < q; ++j) sum += g(largest, j) * static_cast<double>(z(j, k));
            w.A(i, k) = static_cast<T>(of_a * sum);
        }
        for (index_t o = 0; o < out; ++o) {
            double sum = 0;
            for (index_t j = 0; there && j < q; ++j) sum += g(largest, j) * static_cast<double>(y(j, o));
            w.B(o, i) = static_cast<T>(of_b * sum);
        }
    }
}

}  // namespace graft
