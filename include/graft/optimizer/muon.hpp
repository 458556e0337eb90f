// SPDX-License-Identifier: Apache-2.0
// Muon: A and B step along the orthogonal part of their momentum; AdamW elsewhere.       (layer 11: optimizer)
#pragma once

#include <graft/kernel/symmetric_eigen.hpp>
#include <graft/kernel/tall.hpp>
#include <graft/optimizer/adamw.hpp>

#include <algorithm>
#include <cmath>

namespace graft {

/// m ← μ m + g     M = g + μ m, or m without Nesterov     p ← p − η (√max(1, rows / columns) M (Mᵀ M)^(-1/2) + λ p)
///
/// Every singular value of M becomes 1. The published method comes near that by five steps of a polynomial; M has as
/// few columns (or rows) as the adapter's rank, so that eigenvalues of Mᵀ M (or M Mᵀ) are exact and cheaper. Directions
/// of less than a millionth of the largest are left out: a gradient of lower rank gives a step of that rank. One number
/// of memory per parameter of A and B, AdamW's for the rest.
///
/// source   Jordan and others, Muon: an optimizer for hidden layers in neural networks (2024)
struct muon {
    double momentum = 0.95;
    bool nesterov = true;
    double weight_decay = 0.01;
    adamw rest{};

    static constexpr bool orthogonalises(piece const& p) { return p.is == role::lora_a || p.is == role::lora_b; }

    template <class T>
    constexpr index_t state_bytes(piece const& p) const {
        return orthogonalises(p) ? detail::bytes_of<T>(p.count()) : rest.state_bytes<T>(p);
    }
    /// M, two squares, eigenvalues, panels.
    template <class T>
    constexpr index_t scratch_bytes(piece const& p) const {
        if (!orthogonalises(p)) return 0;
        return round_up(detail::bytes_of<T>(p.count()), buffer_alignment) + small_bytes(rank(p)) +
               tall_scratch(rank(p));
    }

    template <class T>
    void apply(update<T> const& u) const {
        if (!orthogonalises(u.of)) return rest.apply(u);
        using P = pack<T>;
        index_t const count = u.of.count(), r = rank(u.of);
        T *const x = u.parameters, *const m = detail::numbers<T>(u.state), *const d = detail::numbers<T>(u.scratch);
        P const mu(static_cast<T>(momentum));
        detail::by_packs<T>(count, [&](index_t i, index_t n) __attribute__((always_inline)) {
            P const g = detail::gradient(u, i, n), mi = fma(mu, detail::take(m + i, n), g);
            detail::put(m + i, n, mi), detail::put(d + i, n, nesterov ? fma(mu, mi, g) : mi);
        });

        std::byte* const room = u.scratch + round_up(detail::bytes_of<T>(count), buffer_alignment);
        std::byte* const panels = room + small_bytes(r);
        arena space({room, static_cast<std::size_t>(small_bytes(r))});
        small_square const g = small_square::taken(space, r), root = small_square::taken(space, r);
        auto const M = tall<T const>(d, u.of.rows, u.of.columns);
        gram(g, M, panels);
        inverse_root(root, g, space.take_numbers<double>(r), 1e-12);
        tall_sum(tall(d, u.of.rows, u.of.columns), 0, panels, tall_term<T>{M, root});

        double const shape = static_cast<double>(u.of.rows) / static_cast<double>(u.of.columns);
        P const left = detail::kept(u, weight_decay), rate(static_cast<T>(-u.rate * std::sqrt(std::max(1.0, shape))));
        detail::by_packs<T>(count, [&](index_t i, index_t n) __attribute__((always_inline)) {
            detail::put(x + i, n, fma(rate, detail::take(d + i, n), left * detail::take(x + i, n)));
        });
    }

private:
    static constexpr index_t rank(piece const& p) { return std::min(p.rows, p.columns); }
    static constexpr index_t small_bytes(index_t r) {
        return 2 * small_square::bytes(r) + round_up(detail::bytes_of<double>(r), buffer_alignment);
    }
};
static_assert(Optimizer<muon>);

}  // namespace graft
