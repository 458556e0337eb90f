// SPDX-License-Identifier: Apache-2.0
// What an optimizer is: how many numbers it remembers, and how it moves parameters.       (layer 11: optimizer)
#pragma once

#include <graft/memory/workers.hpp>
#include <graft/simd/pack.hpp>

#include <concepts>

namespace graft {

/// `count` parameters, their gradients and an optimizer's memory of them. `scale` multiplies every gradient
/// (clipping); `step` counts updates from 1.
template <class T>
struct update {
    T* parameters;
    T const* gradients;  // null: all zero
    T* state;  // state_per_parameter arrays of `count` numbers, one after another
    index_t count;
    double rate, scale;
    index_t step;
};

template <class O>
concept Optimizer = requires(O const o, update<float> const& u, workers const& on) {
    { O::state_per_parameter } -> std::convertible_to<index_t>;
    o.apply(u, on);
};

namespace detail {

/// body(first, count) on pieces of `count` parameters; a piece is the same whoever runs it.
inline void in_pieces(index_t count, workers const& on, auto&& body) {
    constexpr index_t piece = 1 << 14;
    on.each((count + piece - 1) / piece, [&](index_t i, index_t) {
        index_t const first = i * piece;
        body(first, count - first < piece ? count - first : piece);
    });
}

}  // namespace detail
}  // namespace graft
