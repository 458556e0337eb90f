// SPDX-License-Identifier: Apache-2.0
// A step that gives a number.
// expects: a step gives the new state, or next(states...), or next(states...).emits(output)
#include <graft/tensor/tensor.hpp>
#include <graft/program/recurrence.hpp>

using namespace graft;

constexpr symbol<"x", any, 4> x;
constexpr symbol<"h", any, 4> h;
constexpr symbol<"W", 4, 4> W;
#ifdef RIGHT
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) { return now + matmul(was, A); });
#else
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto, auto, auto) { return 0.0; });
#endif
constexpr symbol<"xs", any, any, 4> xs;
constexpr auto hs = scan(leaky, xs, h, W);
