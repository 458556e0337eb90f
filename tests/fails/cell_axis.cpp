// SPDX-License-Identifier: Apache-2.0
// A sum inside a cell over an axis that the state does not have: it has two axes, three would be needed.
// expects: the extents of the operands do not fit, or they have too few axes
// expects: sum
// expects (g++): (2 == 3)
// expects (clang++): expects_in<graft::structure::sum, 2, 3>
#include <graft/tensor/tensor.hpp>
#include <graft/program/recurrence.hpp>

using namespace graft;

constexpr symbol<"x", any, 4> x;
constexpr symbol<"h", any, 4> h;
constexpr symbol<"W", 4, 4> W;
#ifdef RIGHT
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) {
        return now / (1 + sum<1>(was, keep)) + matmul(was, A);
    });
#else
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) {
        return now / (1 + sum<2>(was, keep)) + matmul(was, A);
    });
#endif
constexpr symbol<"xs", any, any, 4> xs;
constexpr auto hs = scan(leaky, xs, h, W);
