// SPDX-License-Identifier: Apache-2.0
// A frozen map with its adapter, a row at a time, in double.                             (layer 16: io)
#pragma once

#include <graft/io/adapter_data.hpp>
#include <graft/quant/weight.hpp>

#include <cmath>
#include <span>
#include <vector>

namespace graft {

/// The rows W_o + s B_o A of a map. Memory: one row.
class adapted_rows {
public:
    /// `p` must outlive it; its B has the rows' order of W. Rank 0: the rows of W itself.
    adapted_rows(lora_pair const& p, double s)
        : pair(&p), scale(s), sum(static_cast<std::size_t>(p.in)), frozen(static_cast<std::size_t>(p.in)) {}

    /// One row, until the next call.
    std::span<double const> row(weight const& w, index_t o) {
        w.how->decode(w.row(o), 0, w.columns, frozen.data());
        std::copy(frozen.begin(), frozen.end(), sum.begin());
        float const* const b = pair->b.data() + o * pair->rank;
        for (index_t r = 0; r < pair->rank; ++r) {
            double const by = scale * static_cast<double>(b[r]);
            float const* const a = pair->a.data() + r * pair->in;
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += by * static_cast<double>(a[i]);
        }
        return sum;
    }
    /// W_o of the row last made.
    std::span<float const> frozen_row() const { return frozen; }
    /// Its length, ‖W_o + s B_o A‖.
    double length(weight const& w, index_t o) {
        double part[4] = {};
        auto const numbers = row(w, o);
        for (std::size_t i = 0; i < numbers.size(); ++i) part[i % 4] += numbers[i] * numbers[i];
        return std::sqrt((part[0] + part[1]) + (part[2] + part[3]));
    }

private:
    lora_pair const* pair;
    double scale;
    std::vector<double> sum;
    std::vector<float> frozen;
};

}  // namespace graft
