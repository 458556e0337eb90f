// SPDX-License-Identifier: Apache-2.0
// The gate of a feed-forward network, fused.                                             (layer 8: rule)
#pragma once

#include <graft/expression/operators.hpp>
#include <graft/kernel/swiglu.hpp>
#include <graft/rule/rule.hpp>

namespace graft {

/// y = g σ(g) u      wherever a block says silu(g) * u: silu(g) itself is never stored.
///
/// With s = σ(g): d(g s)/dg = s + g s (1 − s), so
///     dg = dy u s (1 + g (1 − s))        du = dy g s
///
/// shapes   g, u, y: tokens × hidden
/// keeps    nothing beyond g and u; the gradients take their places.
/// source   GLU variants, arXiv 2002.05202, eq. 6; the fused pull: MeSP, arXiv 2602.13069.
template <>
struct rule<swiglu_> : careful {
    static constexpr work_kind kind = work_kind::swiglu;
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{.operands = 0b11};
    static constexpr unsigned forward_over = 0b11;
    static constexpr unsigned pull_over = 0b11;

    static void forward(auto const&, auto y, auto g, auto u) { swiglu(y, g, u); }
    static void pull(auto const&, auto dy, auto g, auto u, auto dg, auto du) { swiglu_pull(dg, du, dy, g, u); }
};

}  // namespace graft
