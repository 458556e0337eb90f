// SPDX-License-Identifier: Apache-2.0
// A loop that was not given all parameters of its cell.
// expects: scan takes the inputs, then each state and each parameter of its cell
#include <graft/program/recurrence.hpp>

using namespace graft;

constexpr symbol<"x", any, 4> x;
constexpr symbol<"h", any, 4> h;
constexpr symbol<"W", 4, 4> W;
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) { return now + matmul(was, A); });

constexpr symbol<"xs", any, any, 4> xs;
#ifdef RIGHT
constexpr auto hs = scan(leaky, xs, h, W);
#else
constexpr auto hs = scan(leaky, xs, h);
#endif
