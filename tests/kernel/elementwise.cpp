// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/elementwise.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

double silu_of(double x) { return x / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE_TEMPLATE("elementwise: add, mul, silu and add_bias agree with scalar formulas, in place too", T, float,
                   double) {
    double const tolerance = sizeof(T) == 4 ? 1e-6 : 1e-14;
    for (index_t const rows : {0, 1, 3})
        for (index_t const columns : {1, 16, 37}) {
            grid<T> const a(rows, columns, 1, 3.0), b(rows, columns, 2, 3.0);
            std::vector<float> bias(static_cast<std::size_t>(columns), 0.5f);
            grid<double> sum(rows, columns), product(rows, columns), gate(rows, columns), moved(rows, columns);
            for (index_t i = 0; i < rows; ++i)
                for (index_t j = 0; j < columns; ++j) {
                    double const x = static_cast<double>(a(i, j)), z = static_cast<double>(b(i, j));
                    sum(i, j) = x + z, product(i, j) = x * z, gate(i, j) = silu_of(x), moved(i, j) = x + 0.5;
                }
            grid<T> l = a, r = b, y(rows, columns);
            add(y.view(), l.view(), r.view());
            CHECK(distance(y, sum, tolerance, tolerance) <= 1);
            add(r.view(), l.view(), r.view());
            CHECK(same_bits(r, y));
            r = b;
            mul(y.view(), l.view(), r.view());
            CHECK(distance(y, product, tolerance, tolerance) <= 1);
            mul(l.view(), l.view(), r.view());
            CHECK(same_bits(l, y));
            l = a;
            silu(y.view(), l.view());
            CHECK(distance(y, gate, tolerance, tolerance) <= 1);
            silu(l.view(), l.view());
            CHECK(same_bits(l, y));
            l = a;
            add_bias(l.view(), bias.data());
            CHECK(distance(l, moved, tolerance, tolerance) <= 1);
            add_bias(l.view(), nullptr);
            CHECK(distance(l, moved, tolerance, tolerance) <= 1);
            CHECK(l.gaps_untouched());
            CHECK(y.gaps_untouched());
        }
}

TEST_CASE("elementwise: pulls agree with central differences, assigned and added") {
    grid<double> a(2, 11, 1, 2.0), b(2, 11, 2, 2.0), y(2, 11);
    grid<double> dy(2, 11, 3, 1.0);
    grid<double> const start(2, 11, 4, 1.0);
    auto const by_differences = [&](grid<double>& x, auto forward) {
        return differences(x, [&] { return forward(), inner(y, dy); });
    };
    auto const multiply_both = [&] { mul(y.view(), a.view(), b.view()); };
    auto const apply_silu = [&] { silu(y.view(), a.view()); };
    auto const da = by_differences(a, multiply_both), db = by_differences(b, multiply_both),
               ds = by_differences(a, apply_silu);

    grid<double> l(2, 11), r(2, 11);
    mul_pull(l.fresh(), r.fresh(), dy.view(), a.view(), b.view());
    CHECK(agree(l, da));
    CHECK(agree(r, db));
    l = start, r = start;
    mul_pull(l.view(), r.view(), dy.view(), a.view(), b.view());
    CHECK(agree(l, sum_of(start, da)));
    CHECK(agree(r, sum_of(start, db)));
    grid<double> over_a = a, over_b = b, over_dy = dy;
    mul_pull(over_a.fresh(), over_b.fresh(), dy.view(), over_a.view(), over_b.view());
    CHECK(agree(over_a, da));
    CHECK(agree(over_b, db));
    mul_pull(over_dy.fresh(), matrix<double>{}, over_dy.view(), a.view(), b.view());
    CHECK(agree(over_dy, da));

    grid<double> s(2, 11);
    silu_pull(s.fresh(), dy.view(), a.view());
    CHECK(agree(s, ds));
    s = start;
    silu_pull(s.view(), dy.view(), a.view());
    CHECK(agree(s, sum_of(start, ds)));
    over_a = a, over_dy = dy;
    silu_pull(over_a.fresh(), dy.view(), over_a.view());
    silu_pull(over_dy.fresh(), over_dy.view(), a.view());
    CHECK(agree(over_a, ds));
    CHECK(agree(over_dy, ds));

    l = start, over_dy = dy;
    add_pull(l.view(), over_dy.fresh(), over_dy.view());
    CHECK(agree(l, sum_of(start, dy)));
    CHECK(same_bits(over_dy, dy));
    grid<double> g(2, 11);
    add_pull(over_dy.fresh(), g.fresh(), over_dy.view());
    CHECK(same_bits(g, dy));
    CHECK(same_bits(over_dy, dy));
    add_to(g.view(), dy.view());
    CHECK(same_bits(g, sum_of(dy, dy)));
}

TEST_CASE("elementwise: two lanes give the same bits as one") {
    thread_pool pool(2);
    workers const two = pool.handle(nullptr, 0);
    grid<float> a(300, 211, 1, 2.0), dy(300, 211, 2, 2.0), one(300, 211), other(300, 211);
    silu_pull(one.fresh(), dy.view(), a.view());
    silu_pull(other.fresh(&two), dy.view(), a.view());
    CHECK(same_bits(one, other));
}
