// SPDX-License-Identifier: Apache-2.0
// y = x Wᵀ + b with nothing trained.                                                     (layer 8: rule)
#pragma once

#include <graft/expression/linear.hpp>
#include <graft/kernel/elementwise.hpp>
#include <graft/kernel/product.hpp>
#include <graft/quant/weight.hpp>
#include <graft/rule/rule.hpp>

namespace graft {

/// y = x Wᵀ + b
///
/// shapes   x: tokens × In    y: tokens × Out    W: Out × In, in its file's format    b: Out, or none
/// keeps    nothing: dx = dy W needs no x.
template <>
struct rule<frozen_map> : careful {
    template <class T>
    struct weights {
        weight W;
        float const* b = nullptr;
    };
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{};

    static constexpr double work(auto const&, task t) {
        return t.pull && !t.wanted ? 0 : static_cast<double>(t.in * t.out) * static_cast<double>(t.rows);
    }

    static void forward(auto const& here, auto y, auto x) {
        auto const& [W, b] = here.w;
        y = x * t(W);
        if (b) add_bias(y, b);
    }
    static void pull(auto const& here, auto dy, auto, auto dx) {
        if (dx) dx += dy * here.w.W;
    }
};

}  // namespace graft
