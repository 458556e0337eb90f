// SPDX-License-Identifier: Apache-2.0
// A new state that is narrower than the state.
// expects: a new state of a cell has another shape than the state
// expects (g++): (4 == 5)
// expects (clang++): expects_state<4, 5>
#include <graft/tensor/tensor.hpp>
#include <graft/program/recurrence.hpp>

using namespace graft;

constexpr symbol<"x", any, 4> x;
#ifdef RIGHT
constexpr symbol<"h", any, 4> h;
constexpr symbol<"W", 4, 4> W;
#else
constexpr symbol<"h", any, 5> h;
constexpr symbol<"W", 5, 4> W;
#endif
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) { return now + matmul(was, A); });
constexpr symbol<"xs", any, any, 4> xs;
constexpr auto hs = scan(leaky, xs, h, W);
