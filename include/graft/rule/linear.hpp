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
    static constexpr work_kind kind = work_kind::frozen;
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{};

    static constexpr double work(auto const&, task t) {
        return t.pull && !t.wanted ? 0 : static_cast<double>(t.in * t.out) * static_cast<double>(t.rows);
    }

    static void forward(auto const& here, auto y, auto x) {
        y = x * t(here.w.W);
        put_bias(here, y);
    }
    static void pull(auto const& here, auto dy, auto, auto dx) {
        if (dx) dx += dy * here.w.W;
    }
    /// y += b, where there is one.
    static void put_bias(auto const& here, auto y) {
        if (!here.w.b) return;
        profiled const sum(here.on.profile, work_kind::sums);
        add_bias(y, here.w.b);
    }
};

}  // namespace graft
