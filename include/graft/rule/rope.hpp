// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding.                                                             (layer 8: rule)
#pragma once

#include <graft/expression/operators.hpp>
#include <graft/kernel/rope.hpp>
#include <graft/rule/rule.hpp>

namespace graft {

/// (a, b) ← (a cos φ − b sin φ, a sin φ + b cos φ) for each pair of columns of each head,
/// φ = position · base^(−2i/head).
///
/// A rotation: its transpose is the rotation by −φ, which is the whole pull.
///
/// shapes   x, y: tokens × (heads · head)    cosines, sines: tokens × head/2, made once per batch
/// keeps    nothing; runs in place both ways.
/// source   RoFormer, arXiv 2104.09864, eq. 34.
template <>
struct rule<rope_> : careful {
    static constexpr work_kind kind = work_kind::rope;
    static constexpr bool rows_independent = true;  // given where the rows stand
    static constexpr reads pull_reads{};
    static constexpr unsigned forward_over = 0b1;
    static constexpr int pull_takes = 0;

    static void forward(auto const& here, auto y, auto x) {
        auto const [cosines, sines] = tables(here, y);
        rope(y, x, cosines, sines, here.n.head, here.around.pairing);
    }
    static void pull(auto const& here, auto dy, auto, auto dx) {
        if (!dx) return;
        auto const [cosines, sines] = tables(here, dy);
        rope_pull(dx, dy, cosines, sines, here.n.head, here.around.pairing);
    }

private:
    template <class M> struct pair { M cosines, sines; };
    /// The rows of the batch's tables that belong to these rows.
    template <class T>
    static pair<matrix<T>> tables(auto const& here, matrix<T> y) {
        index_t const half = here.n.head / 2, at = here.first * half;
        return {{here.around.cosines + at, y.rows, half}, {here.around.sines + at, y.rows, half}};
    }
};

}  // namespace graft
