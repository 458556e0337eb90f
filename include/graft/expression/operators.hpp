// SPDX-License-Identifier: Apache-2.0
// The operations an equation is written with, and the patterns that fuse them.           (layer 7: expression)
//
// Axis checks are bare static_asserts in the operator's own body: the compiler prints the two axes in the operator's
// template arguments, and the result fits everything afterwards.
#pragma once

#include <graft/expression/label.hpp>
#include <graft/expression/node.hpp>
#include <graft/tensor/elementary.hpp>

#include <type_traits>

namespace graft {

// Every operation names its kind: what a rule is written for. Names and axes stop here. add_, mul_ and silu_ are those
// of `tensor/elementary.hpp`.
struct swiglu_ { using kind = swiglu_; };
struct rope_ { using kind = rope_; };
struct attend_ { using kind = attend_; };
struct rms_norm_map;
template <label N>
struct rms_norm_ {
    using kind = rms_norm_map;
    static constexpr std::string_view text = N.view();
};

/// a + b, element by element.
template <Expression A, Expression B>
consteval auto operator+(A a, B b) {
    static_assert(fits<axis_of<A>, axis_of<B>>, "the two sides of + have different columns");
    return apply<agreed<axis_of<A>, axis_of<B>>>(add_{}, a, b);
}
/// a b, element by element.
template <Expression A, Expression B>
consteval auto operator*(A a, B b) {
    static_assert(fits<axis_of<A>, axis_of<B>>, "the two sides of * have different columns");
    return apply<agreed<axis_of<A>, axis_of<B>>>(mul_{}, a, b);
}
/// x σ(x).
template <Expression X> consteval auto silu(X x) { return apply<axis_of<X>>(silu_{}, x); }
/// Rotates pairs of columns of each head by an angle that grows with the row's position.
template <Expression X> consteval auto rope(X x) { return apply<axis_of<X>>(rope_{}, x); }
/// x / √(mean(x²) + ε) · w, row by row; N names the weight.
template <label N, Expression X> consteval auto rms_norm(X x) { return apply<axis_of<X>>(rms_norm_<N>{}, x); }
/// Causal grouped-query attention: softmax(q kᵀ / √head) v within each sequence and head.
template <Expression Q, Expression K, Expression V>
consteval auto attend(Q q, K k, V v) {
    static_assert(fits<axis_of<K>, axis_of<V>>, "attend: keys and values have different columns");
    static_assert(!std::is_same_v<Q, K> && !std::is_same_v<Q, V>, "attend: the queries are also keys or values");
    return apply<axis_of<Q>>(attend_{}, q, k, v);
}

/// silu(g) * u is the gate of a SwiGLU: one operation, silu(g) is never stored.
template <Expression G, Expression U, Axis C>
struct simplified<node<mul_, C, node<silu_, C, G>, U>> {
    using type = node<swiglu_, C, G, U>;
};

}  // namespace graft
