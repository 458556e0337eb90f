// SPDX-License-Identifier: Apache-2.0
// What an optimizer is: how much it remembers of a matrix of parameters, and how it moves it.  (layer 11: optimizer)
#pragma once

#include <graft/base/index.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>

namespace graft {

/// What a matrix of trained numbers is to its map.
enum class role : unsigned char {
    lora_a,     // rank × in
    lora_b,     // out × rank
    magnitude,  // out × 1: DoRA's lengths of rows
    dense,      // a whole weight, out × in
    norm        // a vector of scales or biases
};
/// Whether weight decay means anything there: lengths and scales do not decay.
constexpr bool decays(role r) { return r != role::magnitude && r != role::norm; }

/// One matrix of trained numbers: rows × columns, row after row.
struct piece {
    role is = role::dense;
    index_t rows = 0, columns = 0;
    constexpr index_t count() const { return rows * columns; }
};

/// A piece, its gradient and an optimizer's memory of it. `scale` multiplies every gradient (clipping); `step` counts
/// updates from 1.
template <class T>
struct update {
    piece of;
    T* parameters;
    T const* gradients;  // null: all zero
    std::byte* state;    // state_bytes<T>(of), aligned to 64 bytes; all zero before the first step
    std::byte* scratch;  // scratch_bytes<T>(of), aligned to 64 bytes; of this call alone
    double rate, scale;
    index_t step;
};

/// A value with numbers of its own. One call runs on one lane; a piece's result depends on that piece alone.
template <class O>
concept Optimizer = requires(O const o, piece const& p, update<float> const& u) {
    { o.template state_bytes<float>(p) } -> std::convertible_to<index_t>;
    o.apply(u);
};

namespace detail {

template <class T>
bool all_finite(std::byte const* numbers, index_t bytes) {
    auto const* const first = reinterpret_cast<T const*>(numbers);
    return std::all_of(first, first + bytes / static_cast<index_t>(sizeof(T)), [](T x) { return std::isfinite(x); });
}

}  // namespace detail

/// What an optimizer may say besides, by a member of that name.
template <class T, Optimizer O>
constexpr index_t scratch_bytes(O const& o, piece const& p) {
    if constexpr (requires { o.template scratch_bytes<T>(p); }) return o.template scratch_bytes<T>(p);
    else return 0;
}
/// Is every number of a state finite? Without the member, states are numbers of T and nothing else.
template <class T, Optimizer O>
bool sound(O const& o, std::byte const* state, piece const& p) {
    if constexpr (requires { o.template sound<T>(state, p); }) return o.template sound<T>(state, p);
    else return detail::all_finite<T>(state, o.template state_bytes<T>(p));
}
/// Must the columns of such a piece stay orthonormal?
template <Optimizer O>
constexpr bool constrains(O const& o, piece const& p) {
    if constexpr (requires { o.constrains(p); }) return o.constrains(p);
    else return false;
}

}  // namespace graft
