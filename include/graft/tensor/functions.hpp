// SPDX-License-Identifier: Apache-2.0
// What expressions are written with: operators and element-wise functions.               (layer 4: tensor)
#pragma once

#include <graft/tensor/elementary.hpp>
#include <graft/tensor/lazy.hpp>

namespace graft {

/// At least one operand; numbers may stand beside it.
template <class... X>
concept Arguments = (Argument<X> && ...) && (Operand<X> || ...);

template <Operand X>
constexpr auto operator-(X const& x) {
    return make(neg_{}, x);
}
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator+(A const& a, B const& b) { return make(add_{}, a, b); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator-(A const& a, B const& b) { return make(sub_{}, a, b); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator*(A const& a, B const& b) { return make(mul_{}, a, b); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator/(A const& a, B const& b) { return make(div_{}, a, b); }

/// Comparisons: 1 where they hold, 0 elsewhere.
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator<(A const& a, B const& b) { return make(less_{}, a, b); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator>(A const& a, B const& b) { return make(less_{}, b, a); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator<=(A const& a, B const& b) { return make(less_equal_{}, a, b); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator>=(A const& a, B const& b) { return make(less_equal_{}, b, a); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator==(A const& a, B const& b) { return make(equal_{}, a, b); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto operator!=(A const& a, B const& b) { return make(sub_{}, 1.0, make(equal_{}, a, b)); }
/// a where c is not 0, b elsewhere.
template <class C, class A, class B>
requires Arguments<C, A, B>
constexpr auto where(C const& c, A const& a, B const& b) { return make(where_{}, c, a, b); }

template <Operand X>
constexpr auto exp(X const& x) {
    return make(exp_{}, x);
}
template <Operand X>
constexpr auto expm1(X const& x) {
    return make(expm1_{}, x);
}
template <Operand X>
constexpr auto log(X const& x) {
    return make(log_{}, x);
}
template <Operand X>
constexpr auto log1p(X const& x) {
    return make(log1p_{}, x);
}
template <Operand X>
constexpr auto sqrt(X const& x) {
    return make(sqrt_{}, x);
}
template <Operand X>
constexpr auto sin(X const& x) {
    return make(sin_{}, x);
}
template <Operand X>
constexpr auto cos(X const& x) {
    return make(cos_{}, x);
}
template <Operand X>
constexpr auto tanh(X const& x) {
    return make(tanh_{}, x);
}
/// 1 / (1 + e⁻ˣ).
template <Operand X>
constexpr auto sigmoid(X const& x) {
    return make(sigmoid_{}, x);
}
/// ln(1 + eˣ).
template <Operand X>
constexpr auto softplus(X const& x) {
    return make(softplus_{}, x);
}
template <Operand X>
constexpr auto erf(X const& x) {
    return make(erf_{}, x);
}
template <Operand X>
constexpr auto abs(X const& x) {
    return make(abs_{}, x);
}
/// max(x, 0); the gradient at 0 is 0.
template <Operand X>
constexpr auto relu(X const& x) {
    return make(relu_{}, x);
}
/// x σ(x).
template <Operand X>
constexpr auto silu(X const& x) {
    return make(silu_{}, x);
}
/// x Φ(x) with erf; `gelu_tanh` is its older approximation.
template <Operand X>
constexpr auto gelu(X const& x) {
    return make(gelu_{}, x);
}
template <Operand X>
constexpr auto gelu_tanh(X const& x) {
    return make(gelu_tanh_{}, x);
}
/// aᵇ; where a is negative, b must be whole.
template <class A, class B>
requires Arguments<A, B>
constexpr auto pow(A const& a, B const& b) { return make(pow_{}, a, b); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto max(A const& a, B const& b) { return make(max_{}, a, b); }
template <class A, class B>
requires Arguments<A, B>
constexpr auto min(A const& a, B const& b) { return make(min_{}, a, b); }
/// x², the square of one operand.
template <Operand X>
constexpr auto square(X const& x) {
    return make(square_{}, x);
}

}  // namespace graft
