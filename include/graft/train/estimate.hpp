// SPDX-License-Identifier: Apache-2.0
// Random directions in the space of all parameters, drawn again wherever they are needed.  (layer 13: train)
#pragma once

#include <graft/kernel/gaussian.hpp>
#include <graft/memory/workers.hpp>
#include <graft/simd/blocking.hpp>

#include <algorithm>

namespace graft {

/// `by` times the direction number `draw` of a seed.
struct direction {
    std::uint64_t seed = 0, draw = 0;
    double by = 0;
};

/// x += by · z for the parameters of one layer: z is a function of the direction, the layer and the index alone.
template <class T>
void add_direction(T* x, index_t count, direction const& d, index_t layer, workers const& on) {
    constexpr index_t run = (blocking::small ? 1 : 8) * gaussian_run, piece = 64 * run;
    constexpr std::uint32_t stream = 0x7a6f0000;
    on.each((count + piece - 1) / piece, [&](index_t i, index_t) {
        T z[run];
        T const by = static_cast<T>(d.by);
        for (index_t first = i * piece, end = std::min(first + piece, count); first < end; first += run) {
            index_t const n = std::min(run, end - first);
            gaussian(z, n, first, d.seed, stream + static_cast<std::uint32_t>(layer), d.draw);
            for (index_t j = 0; j < n; ++j) x[first + j] += by * z[j];
        }
    });
}

}  // namespace graft
