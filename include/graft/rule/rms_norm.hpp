// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalisation with a frozen weight.                                   (layer 8: rule)
#pragma once

#include <graft/expression/operators.hpp>
#include <graft/kernel/norm.hpp>
#include <graft/rule/rule.hpp>

namespace graft {

/// y = x r w,  r = (mean(x²) + ε)^(−1/2), row by row; w frozen.
///
/// With g = dy w: dr/dx = −r³ x / width, so
///     dx = r g − r³ x mean(g x)
///
/// shapes   x, y: tokens × width    w: width
/// keeps    nothing beyond x; r is computed again.
/// source   RMSNorm, arXiv 1910.07467, eq. 4.
template <>
struct rule<rms_norm_map> : careful {
    template <class T>
    struct weights {
        float const* w = nullptr;
    };
    static constexpr work_kind kind = work_kind::norms;
    static constexpr bool rows_independent = true;
    static constexpr reads pull_reads{.operands = 0b1};

    static void forward(auto const& here, auto y, auto x) { rms_norm(y, x, here.w.w, here.around.norm_epsilon); }
    static void pull(auto const& here, auto dy, auto x, auto dx) {
        if (dx) rms_norm_pull(dx, dy, x, here.w.w, here.around.norm_epsilon);
    }
};

}  // namespace graft
