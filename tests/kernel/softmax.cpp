// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/softmax.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

TEST_CASE_TEMPLATE("softmax: row_max and row_exp agree with plain loops for every tail", T, float, double) {
    for (index_t n = 1; n < 70; ++n) {
        grid<T> x(1, n, static_cast<std::uint64_t>(n), 30.0);
        grid<T> const before = x;
        T most = before(0, 0);
        for (index_t j = 0; j < n; ++j) most = std::max(most, before(0, j));
        CAPTURE(n);
        CHECK(row_max(x.numbers.data(), n, T(-100)) == most);
        CHECK(row_max(x.numbers.data(), n, T(100)) == T(100));
        T const sum = row_exp(x.numbers.data(), n, most);
        double expected = 0;
        for (index_t j = 0; j < n; ++j)
            expected += std::exp(static_cast<double>(before(0, j)) - static_cast<double>(most));
        CHECK(std::abs(static_cast<double>(sum) - expected) <= expected * (sizeof(T) == 4 ? 1e-6 : 1e-14));
        CHECK(x(0, n - 1) == graft::exp(before(0, n - 1) - most));
        CHECK(x.gaps_untouched());
    }
}
