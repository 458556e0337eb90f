// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <graft/program/prepare_heap.hpp>
#include <graft/program/scatter.hpp>
#include <graft/tensor/tensor.hpp>

using namespace graft;

namespace {
constexpr symbol<"table", any, 2> table;
constexpr symbol<"values", any, 2> values;
constexpr index_symbol<"ids", any> ids;
}  // namespace

TEST_CASE("with_rows_added: rows of one index add up, others stay") {
    tensor<double, any, 2> T{{1, 2}, {3, 4}, {5, 6}}, V{{10, 20}, {1, 1}, {100, 200}};
    tensor<std::int32_t, any> I{2, 0, 2};
    auto f = prepare<double>(with_rows_added(table, ids, values), table = T, ids = I, values = V);
    f();
    tensor<double, any, 2> const wanted{{2, 3}, {3, 4}, {115, 226}};
    for (index_t i = 0; i < 3; ++i)
        for (index_t j = 0; j < 2; ++j) CHECK(f.value()(i, j) == wanted(i, j));
}

TEST_CASE("with_rows_added: its gradient looks the rows up") {
    tensor<double, any, 2> T{{1, 2}, {3, 4}, {5, 6}}, V{{10, 20}, {1, 1}, {100, 200}};
    tensor<std::int32_t, any> I{2, 0, 2};
    auto const loss = sum(square(with_rows_added(table, ids, values)));
    auto g = prepare<double>(gradient(loss, wrt(table, values)), table = T, ids = I, values = V);
    g();
    CHECK(g.gradient(table)(2, 1) == 2 * 226);
    CHECK(g.gradient(table)(1, 0) == 2 * 3);
    for (index_t k : {index_t{0}, index_t{2}}) CHECK(g.gradient(values)(k, 0) == 2 * 115);
    CHECK(g.gradient(values)(1, 1) == 2 * 3);
}

TEST_CASE("with_rows_added: an index beyond the table, values that do not fit") {
    tensor<double, any, 2> T(3), V(2), W(4);
    tensor<std::int32_t, any> I{0, 3};
    auto f = prepare<double>(with_rows_added(table, ids, values), table = T, ids = I, values = V);
    CHECK_THROWS_AS(f(), failure);
    CHECK_THROWS_AS(prepare<double>(with_rows_added(table, ids, values), table = T, ids = I, values = W), failure);
}
