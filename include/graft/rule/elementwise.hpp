// SPDX-License-Identifier: Apache-2.0
// y = a + b, y = a b and y = x σ(x), element by element.                                 (layer 8: rule)
#pragma once

#include <graft/expression/operators.hpp>
#include <graft/kernel/elementwise.hpp>
#include <graft/rule/rule.hpp>

namespace graft {

/// y = a + b      da = dy, db = dy.
template <>
struct rule<add_> : careful {
    static constexpr work_kind kind = work_kind::sums;
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{};
    static constexpr unsigned forward_over = 0b11;

    static void forward(auto const&, auto y, auto a, auto b) { add(y, a, b); }
    static void pull(auto const&, auto dy, auto, auto, auto da, auto db) { add_pull(da, db, dy); }
};

/// y = a b        da = dy b, db = dy a.
template <>
struct rule<mul_> : careful {
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{.operands = 0b11};
    static constexpr unsigned forward_over = 0b11;
    static constexpr unsigned pull_over = 0b11;

    static void forward(auto const&, auto y, auto a, auto b) { mul(y, a, b); }
    static void pull(auto const&, auto dy, auto a, auto b, auto da, auto db) { mul_pull(da, db, dy, a, b); }
};

/// y = x σ(x)     dx = dy σ(x) (1 + x (1 − σ(x))).
template <>
struct rule<silu_> : careful {
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{.operands = 0b1};
    static constexpr unsigned forward_over = 0b1;
    static constexpr unsigned pull_over = 0b1;

    static void forward(auto const&, auto y, auto x) { silu(y, x); }
    static void pull(auto const&, auto dy, auto x, auto dx) { silu_pull(dx, dy, x); }
};

}  // namespace graft
