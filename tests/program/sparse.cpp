// SPDX-License-Identifier: Apache-2.0
// Gradients of tables that stay the rows that were looked up.
#include <graft/program/sparse.hpp>

#include <tests/support/prepared.hpp>

using namespace graft_test;

namespace {

constexpr symbol<"table", any, 4> table;
constexpr symbol<"other", any, 3> other;
constexpr symbol<"w", 4, 3> w;
constexpr index_symbol<"ids", any, any> ids;
constexpr auto loss = mean(square(tanh(matmul(rows(table, ids), w)) - rows(other, ids)));

struct arguments {
    tensor<double, any, 4> table{50};
    tensor<double, any, 3> other{50};
    tensor<double, 4, 3> w;
    tensor<std::int32_t, any, any> ids{2, 3};
    arguments() {
        filled{}(table, other, w);
        std::int32_t const given[]{7, 0, 7, 49, 7, 3};
        std::copy_n(given, 6, ids.all().data);
    }
};
template <class F> auto bound(F const& f, arguments const& v) {
    return prepare<double>(f, table = v.table, other = v.other, w = v.w, ids = v.ids);
}

}  // namespace

TEST_CASE("sparse: the rows of a sparse gradient, added where they belong, are the dense one") {
    arguments v;
    auto dense = bound(value_and_gradient(loss, wrt(table, other, w)), v);
    auto sparsely = bound(value_and_gradient(loss, wrt(sparse(table), sparse(other), w)), v);
    dense(), sparsely();
    CHECK(sparsely.value() == dense.value());
    CHECK(all_numbers(sparsely.gradient(w)) == all_numbers(dense.gradient(w)));
    static_assert(decltype(sparsely.gradient(table))::rank == 3);
    CHECK(sparsely.gradient(table).count() == 6 * 4);
    CHECK(sparsely.planned() < dense.planned() - 50 * 4 * index_t{sizeof(double)});
    tensor<double, any, 4> sum(50);
    tensor<double, any, 3> sum_of_other(50);
    add_rows(sum, v.ids, sparsely.gradient(table), 1);
    add_rows(sum_of_other, v.ids, sparsely.gradient(other), 1);
    CHECK(distance(all_numbers(sum.all()), all_numbers(dense.gradient(table))) < 1e-15);
    CHECK(distance(all_numbers(sum_of_other.all()), all_numbers(dense.gradient(other))) < 1e-15);
    CHECK(sum(7, 0) != 0);
    CHECK(off_differences(bound(loss, v), v.table, dense.gradient(table)) <= 1);
}

TEST_CASE("sparse: a step of gradient descent by rows is the step by the dense gradient; other rows are not touched") {
    arguments v, same;
    auto dense = bound(gradient(loss, wrt(table)), same);
    auto sparsely = bound(gradient(loss, wrt(sparse(table))), v);
    v.table(20, 1) = same.table(20, 1) = NAN;
    for (int n = 0; n < 5; ++n) {
        dense(), sparsely();
        add_rows(v.table, v.ids, sparsely.gradient(table), -0.3);
        for (index_t i = 0; i < 50; ++i)
            for (index_t j = 0; j < 4; ++j) same.table(i, j) -= 0.3 * dense.gradient(table)(i, j);
    }
    CHECK(std::isnan(v.table(20, 1)));
    v.table(20, 1) = same.table(20, 1) = 0;
    CHECK(distance(all_numbers(v.table.all()), all_numbers(same.table.all())) < 1e-14);
    arguments const untouched;
    CHECK(v.table(7, 0) != untouched.table(7, 0));
    CHECK(v.table(8, 0) == untouched.table(8, 0));
}

TEST_CASE("sparse: what does not fit is refused") {
    arguments v;
    auto run = bound(gradient(loss, wrt(sparse(table))), v);
    run();
    tensor<std::int32_t, any, any> fewer(2, 2);
    CHECK_THROWS_AS(add_rows(v.table, fewer, run.gradient(table), 1), failure);
    v.ids(1, 1) = 50;
    CHECK_THROWS_AS(run(), failure);
    CHECK_THROWS_AS(add_rows(v.table, v.ids, run.gradient(table), 1), failure);
}

TEST_CASE("sparse: nothing flows to a detached table") {
    arguments v;
    auto run = prepare<double>(gradient(sum(detach(rows(table, ids))) + sum(w), wrt(sparse(table), w)), table = v.table,
                               w = v.w, ids = v.ids);
    run();
    CHECK(run.gradient(table).count() == 6 * 4);
    for (double d : run.gradient(table).span()) CHECK(d == 0);
}
