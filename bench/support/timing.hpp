// SPDX-License-Identifier: Apache-2.0
// Clocks, and medians with what they may be worth.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace bench {

inline double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// A median, and the order statistics around it between which the true one lies with at least the chance `sure`,
/// whatever the distribution. So few numbers that not even the least and the largest are sure enough: `sure` says what
/// these are worth.
struct middle {
    double value = 0, low = 0, high = 0, sure = 0;
};

inline middle median_of(std::vector<double> x, double sure = 0.95) {
    middle m;
    if (x.empty()) return m;
    std::sort(x.begin(), x.end());
    std::size_t const n = x.size();
    m.value = n % 2 == 1 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
    double chance = std::pow(0.5, static_cast<double>(n)), tail = chance;  // of the median below the k-th
    std::size_t k = 0;
    while (k + 1 < (n + 1) / 2) {
        double const next = chance * static_cast<double>(n - k) / static_cast<double>(k + 1);
        if (1 - 2 * (tail + next) < sure) break;
        chance = next, tail += next, ++k;
    }
    m.low = x[k], m.high = x[n - 1 - k], m.sure = std::max(0.0, 1 - 2 * tail);
    return m;
}

}  // namespace bench
