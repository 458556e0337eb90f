// SPDX-License-Identifier: Apache-2.0
// Small square matrices with memory of their own.
#pragma once

#include <graft/kernel/small_square.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <vector>

namespace graft_test {

/// Memory for `count` matrices of one order.
class squares_at_hand {
public:
    squares_at_hand(graft::index_t n, graft::index_t count)
        : order(n), bytes(static_cast<std::size_t>((count + 1) * graft::small_square::bytes(n))), from(aligned()) {}

    graft::small_square empty() { return graft::small_square::taken(from, order); }
    /// Numbers in −1 … 1 without a pattern.
    graft::small_square drawn(double factor) {
        auto const x = empty();
        for (graft::index_t i = 0; i < order; ++i)
            for (graft::index_t j = 0; j < order; ++j) {
                auto const n = static_cast<double>(order * i + j + 1);
                x(i, j) = std::sin(factor * n * n);
            }
        return x;
    }

private:
    std::span<std::byte> aligned() {
        void* at = bytes.data();
        std::size_t room = bytes.size();
        return {static_cast<std::byte*>(std::align(64, 1, at, room)), bytes.size() - 64};
    }
    graft::index_t order;
    std::vector<std::byte> bytes;
    graft::arena from;
};

inline double largest_difference(graft::small_square a, graft::small_square b) {
    double most = 0;
    for (graft::index_t i = 0; i < a.order; ++i)
        for (graft::index_t j = 0; j < a.order; ++j) most = std::max(most, std::abs(a(i, j) - b(i, j)));
    return most;
}
inline double largest(graft::small_square a) {
    double most = 0;
    for (graft::index_t i = 0; i < a.order; ++i)
        for (graft::index_t j = 0; j < a.order; ++j) most = std::max(most, std::abs(a(i, j)));
    return most;
}

}  // namespace graft_test
