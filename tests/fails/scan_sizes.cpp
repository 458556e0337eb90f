// SPDX-License-Identifier: Apache-2.0
// A loop over inputs that are wider than its cell takes.
// expects: 5
// expects: 4
#include <graft/tensor/tensor.hpp>
#include <graft/program/recurrence.hpp>

using namespace graft;

constexpr symbol<"x", any, 4> x;
constexpr symbol<"h", any, 4> h;
constexpr symbol<"W", 4, 4> W;
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) { return now + matmul(was, A); });

#ifdef RIGHT
constexpr symbol<"xs", any, any, 4> xs;
#else
constexpr symbol<"xs", any, any, 5> xs;
#endif
constexpr auto hs = scan(leaky, xs, h, W);
