// SPDX-License-Identifier: Apache-2.0
// Inner extents that differ inside a cell.
// expects: the extents of the operands do not fit, or they have too few axes
// expects: matmul
// expects (g++): (4 == 5)
// expects (clang++): expects_in<graft::structure::matmul, 4, 5>
#include <graft/tensor/tensor.hpp>
#include <graft/program/recurrence.hpp>

using namespace graft;

constexpr symbol<"x", any, 4> x;
constexpr symbol<"h", any, 4> h;
#ifdef RIGHT
constexpr symbol<"W", 4, 4> W;
#else
constexpr symbol<"W", 5, 4> W;
#endif
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) { return tanh(now + matmul(was, A)); });
constexpr symbol<"xs", any, any, 4> xs;
constexpr auto hs = scan(leaky, xs, h, W);
