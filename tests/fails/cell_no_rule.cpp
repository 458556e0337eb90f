// SPDX-License-Identifier: Apache-2.0
// An operation without a rule inside a cell.
// expects: no rule is written for this operation: specialise graft::rule<kind>
// expects: running_sum
#include <graft/tensor/tensor.hpp>
#include <graft/program/recurrence.hpp>

using namespace graft;

struct running_sum { using kind = running_sum; };

constexpr symbol<"x", any, 4> x;
constexpr symbol<"h", any, 4> h;
constexpr symbol<"W", 4, 4> W;
#ifdef RIGHT
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) { return now + matmul(was, A); });
#else
constexpr auto leaky =
    cell(x, states(h), parameters(W), [](auto now, auto was, auto A) {
        return now + apply<running_sum>(matmul(was, A));
    });
#endif
constexpr symbol<"xs", any, any, 4> xs;
constexpr auto hs = scan(leaky, xs, h, W);
