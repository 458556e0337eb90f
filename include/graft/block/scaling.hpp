// SPDX-License-Identifier: Apache-2.0
// How strongly an adapter acts.                                                          (layer 12: block)
#pragma once

#include <graft/base/index.hpp>

#include <cmath>

namespace graft {

/// LoRA's factor s of B A: alpha / rank, or alpha / √rank (rsLoRA, arXiv 2312.03732). The one place that knows.
inline double adapter_scale(double alpha, index_t rank, bool rank_stabilised) {
    double const r = static_cast<double>(rank);
    return rank_stabilised ? alpha / std::sqrt(r) : alpha / r;
}

}  // namespace graft
