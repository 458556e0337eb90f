// SPDX-License-Identifier: Apache-2.0
// The learning rate of each step.                                                        (layer 11: optimizer)
#pragma once

#include <graft/base/index.hpp>

#include <cmath>
#include <numbers>

namespace graft {

enum class decay : unsigned char { constant, linear, cosine };

/// Up to `peak` in `warmup` steps, then towards `floor`, which step `steps` + 1 would have, along a line or half a
/// cosine, or not at all.
struct rate_schedule {
    double peak = 2e-4, floor = 0;
    index_t steps = 1, warmup = 0;
    decay shape = decay::cosine;

    /// The rate of update `step`, counted from 1.
    double at(index_t step) const {
        if (step <= warmup) return peak * static_cast<double>(step) / static_cast<double>(warmup);
        if (shape == decay::constant || steps <= warmup) return peak;
        double const way = static_cast<double>(step - 1 - warmup) / static_cast<double>(steps - warmup);
        double const done = way < 1 ? way : 1;
        double const left = shape == decay::linear ? 1 - done : 0.5 * (1 + std::cos(std::numbers::pi * done));
        return floor + (peak - floor) * left;
    }
};

}  // namespace graft
