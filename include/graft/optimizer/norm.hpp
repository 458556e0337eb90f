// SPDX-License-Identifier: Apache-2.0
// The length of the whole gradient, and how much of it clipping leaves.                  (layer 11: optimizer)
#pragma once

#include <graft/memory/workers.hpp>
#include <graft/simd/blocking.hpp>

#include <array>

namespace graft {

/// √Σ g², summed in double in a fixed order: the same whoever computes it. Not finite if any g is not.
template <class T>
double global_norm(T const* g, index_t count, workers const& on) {
    constexpr index_t parts = blocking::small ? 1 : 64, lanes = 8;
    std::array<double, parts> partial{};
    index_t const length = (count + parts - 1) / parts;
    on.each(parts, [&](index_t part, index_t) {
        index_t const first = part * length, end = first + length < count ? first + length : count;
        std::array<double, lanes> s{};
        index_t i = first;
        for (; i + lanes <= end; i += lanes)
            for (index_t l = 0; l < lanes; ++l) {
                double const x = static_cast<double>(g[i + l]);
                s[static_cast<std::size_t>(l)] += x * x;
            }
        for (; i < end; ++i) s[0] += static_cast<double>(g[i]) * static_cast<double>(g[i]);
        for (double x : s) partial[static_cast<std::size_t>(part)] += x;
    });
    double sum = 0;
    for (double x : partial) sum += x;
    return refined_sqrt(sum);
}

/// What to multiply the gradient with so that its norm is at most `most`; 0 for `most` means no clipping.
inline double clip_scale(double norm, double most) { return most > 0 && norm > most ? most / norm : 1; }

}  // namespace graft
