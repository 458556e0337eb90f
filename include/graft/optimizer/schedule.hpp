// SPDX-License-Identifier: Apache-2.0
// The learning rate of each step.                                                        (layer 11: optimizer)
#pragma once

#include <graft/base/index.hpp>

#include <cmath>
#include <numbers>

namespace graft {

enum class decay : unsigned char { constant, linear, cosine, cosine_restarts, inverse_sqrt };

/// Up to `peak` in `warmup` steps, then towards `floor`, as `shape` says: not at all; along a line or half a cosine,
/// which step `steps` + 1 would end; along `cycles` half cosines, each from the peak anew; or as 1 / √step, where the
/// warm-up's steps (10 000 without one) are the unit.
///
/// After the warm-up, update k has the factor that Hugging Face's schedule of that name gives to step k − 1. During it,
/// update k has k / warmup, theirs (k − 1) / warmup, of which the first is 0.
struct rate_schedule {
    double peak = 2e-4, floor = 0;
    index_t steps = 1, warmup = 0;
    decay shape = decay::cosine;
    index_t cycles = 1;

    /// The rate of update `step`, counted from 1.
    double at(index_t step) const {
        if (step <= warmup) return peak * static_cast<double>(step) / static_cast<double>(warmup);
        return floor + (peak - floor) * left(static_cast<double>(step - 1 - warmup));
    }

private:
    /// How much of peak − floor is left `after` updates past the warm-up.
    double left(double after) const {
        if (shape == decay::constant) return 1;
        if (shape == decay::inverse_sqrt) {
            double const unit = warmup > 0 ? static_cast<double>(warmup) : 10000;
            return 1 / std::sqrt((after + unit) / unit);
        }
        if (steps <= warmup) return 1;
        double const way = after / static_cast<double>(steps - warmup), done = way < 1 ? way : 1;
        if (shape == decay::linear) return 1 - done;
        bool const again = shape == decay::cosine_restarts && done < 1;
        double const turns = done * static_cast<double>(cycles), here = again ? turns - std::floor(turns) : done;
        return 0.5 * (1 + std::cos(std::numbers::pi * here));
    }
};

}  // namespace graft
