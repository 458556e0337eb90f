// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/rows.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <tests/support/grid.hpp>

#include <atomic>

using namespace graft_test;

TEST_CASE("rows: each_row visits each row once, on any number of lanes") {
    thread_pool pool(2);
    workers const two = pool.handle(nullptr, 0);
    for (workers const* on : {static_cast<workers const*>(nullptr), &two})
        for (index_t const rows : {0, 1, 5, 1000})
            for (index_t const columns : {1, 100, 40000}) {
                std::vector<std::atomic<int>> visits(static_cast<std::size_t>(rows));
                each_row(on, rows, columns, [&](index_t i) { ++visits[static_cast<std::size_t>(i)]; });
                for (auto& v : visits) REQUIRE(v == 1);
            }
}

TEST_CASE_TEMPLATE("rows: row_dot sums rows of any length in 32 interleaved parts", T, float, double) {
    for (index_t n = 0; n < 140; ++n) {
        grid<T> const a(1, n, 1, 1.0), b(1, n, 2, 1.0);
        T parts[32] = {};
        for (index_t j = 0; j < n; ++j) parts[j % 32] = graft::fma(a(0, j), b(0, j), parts[j % 32]);
        for (int half = 16; half > 0; half /= 2)
            for (int p = 0; p < half; ++p) parts[p] += parts[p + half];
        CAPTURE(n);
        CHECK(row_dot(a.numbers.data(), b.numbers.data(), n) == parts[0]);
    }
}

TEST_CASE("rows: float numbers are read as packs of double") {
    float const from[3] = {1, 2, 3};
    double to[3] = {};
    along<double>(3, [&](index_t j, auto access) { access.store(to + j, access.load(from + j)); });
    for (int i = 0; i < 3; ++i) CHECK(to[i] == i + 1);
}

TEST_CASE("rows: gather_rows and spread_rows are inverse, in place, and zero what was left out") {
    grid<float> const all(7, 5, 1, 1.0);
    grid<float> m = all;
    std::vector<index_t> const lists[] = {{}, {0}, {6}, {1, 2, 5}, {0, 1, 2, 3, 4, 5, 6}};
    for (auto const& list : lists) {
        m = all;
        gather_rows(m.view(), m.view(), list);
        for (std::size_t k = 0; k < list.size(); ++k)
            for (index_t j = 0; j < 5; ++j) CHECK(m(static_cast<index_t>(k), j) == all(list[k], j));
        spread_rows(m.view(), std::span<index_t const>(list));
        for (index_t i = 0; i < 7; ++i) {
            bool const listed = std::find(list.begin(), list.end(), i) != list.end();
            for (index_t j = 0; j < 5; ++j) CHECK(m(i, j) == (listed ? all(i, j) : 0));
        }
        CHECK(m.gaps_untouched());
    }
}
