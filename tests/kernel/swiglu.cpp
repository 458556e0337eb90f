// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/elementwise.hpp>
#include <graft/kernel/swiglu.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

TEST_CASE_TEMPLATE("swiglu: forward agrees with the scalar formula, over either operand", T, float, double) {
    double const tolerance = sizeof(T) == 4 ? 2e-6 : 1e-14;
    for (index_t const rows : {0, 1, 4})
        for (index_t const columns : {1, 8, 67}) {
            grid<T> const g(rows, columns, 1, 9.0), u(rows, columns, 2, 3.0);
            grid<double> expected(rows, columns);
            for (index_t i = 0; i < rows; ++i)
                for (index_t j = 0; j < columns; ++j) {
                    double const a = static_cast<double>(g(i, j));
                    expected(i, j) = a / (1 + std::exp(-a)) * static_cast<double>(u(i, j));
                }
            grid<T> gate = g, up = u, y(rows, columns);
            swiglu(y.view(), gate.view(), up.view());
            CHECK(distance(y, expected, tolerance, tolerance) <= 1);
            swiglu(gate.view(), gate.view(), up.view());
            CHECK(same_bits(gate, y));
            gate = g;
            swiglu(up.view(), gate.view(), up.view());
            CHECK(same_bits(up, y));
            CHECK(y.gaps_untouched());
        }
}

TEST_CASE("swiglu: pull agrees with central differences, assigned, added and in place") {
    grid<double> g(3, 13, 1, 3.0), u(3, 13, 2, 2.0), y(3, 13);
    grid<double> dy(3, 13, 3, 1.0);
    grid<double> const start(3, 13, 4, 1.0);
    auto const loss = [&] { return swiglu(y.view(), g.view(), u.view()), inner(y, dy); };
    auto const dg = differences(g, loss), du = differences(u, loss);
    grid<double> l(3, 13), r(3, 13);
    swiglu_pull(l.fresh(), r.fresh(), dy.view(), g.view(), u.view());
    CHECK(agree(l, dg));
    CHECK(agree(r, du));
    grid<double> over_g = g, over_u = u;
    swiglu_pull(over_g.fresh(), over_u.fresh(), dy.view(), over_g.view(), over_u.view());
    CHECK(same_bits(over_g, l));
    CHECK(same_bits(over_u, r));
    over_u = u;
    swiglu_pull(matrix<double>{}, over_u.fresh(), dy.view(), g.view(), over_u.view());
    CHECK(same_bits(over_u, r));
    l = start, r = start;
    swiglu_pull(l.view(), r.view(), dy.view(), g.view(), u.view());
    CHECK(agree(l, sum_of(start, dg)));
    CHECK(agree(r, sum_of(start, du)));
    CHECK(l.gaps_untouched());
}

TEST_CASE("swiglu: the fused pull agrees with silu and mul, one lane with two") {
    thread_pool pool(2);
    workers const two = pool.handle(nullptr, 0);
    grid<double> g(200, 301, 1, 3.0), u(200, 301, 2, 2.0), dy(200, 301, 3, 1.0);
    grid<double> dg(200, 301), du(200, 301), a(200, 301), da(200, 301), slow_dg(200, 301), slow_du(200, 301);
    swiglu_pull(dg.fresh(), du.fresh(), dy.view(), g.view(), u.view());
    silu(a.view(), g.view());
    mul_pull(da.fresh(), slow_du.fresh(), dy.view(), a.view(), u.view());
    silu_pull(slow_dg.fresh(), da.view(), g.view());
    CHECK(distance(dg, slow_dg, 1e-12, 1e-12) <= 1);
    CHECK(distance(du, slow_du, 1e-12, 1e-12) <= 1);
    swiglu_pull(slow_dg.fresh(), slow_du.fresh(), dy.view(&two), g.view(), u.view());
    CHECK(same_bits(dg, slow_dg));
    CHECK(same_bits(du, slow_du));
}

TEST_CASE("swiglu: large gates overflow nothing") {
    grid<float> g(1, 2), u(1, 2), dy(1, 2), y(1, 2);
    g(0, 0) = 1e4f, g(0, 1) = -1e4f, u(0, 0) = u(0, 1) = dy(0, 0) = dy(0, 1) = 1;
    swiglu(y.view(), g.view(), u.view());
    CHECK(y(0, 0) == 1e4f);
    CHECK(y(0, 1) == 0);
    swiglu_pull(g.fresh(), u.fresh(), dy.view(), g.view(), u.view());
    CHECK(g(0, 0) == 1);
    CHECK(g(0, 1) == 0);
}
