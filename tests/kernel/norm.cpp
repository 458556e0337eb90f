// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/norm.hpp>
#include <graft/parallel/thread_pool.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

std::vector<float> weights(index_t n) {
    std::vector<float> w;
    for (index_t j = 0; j < n; ++j)
        w.push_back(1 + 0.5f * static_cast<float>(spread(9, static_cast<std::uint64_t>(j))));
    return w;
}

}  // namespace

TEST_CASE_TEMPLATE("norm: forward agrees with the scalar formula, with and without weights, in place", T, float,
                   double) {
    double const tolerance = sizeof(T) == 4 ? 1e-6 : 1e-14;
    for (index_t const rows : {0, 1, 5})
        for (index_t const columns : {1, 8, 64, 80, 577}) {
            grid<T> const x(rows, columns, 1, 4.0);
            auto const w = weights(columns);
            for (float const* weight : {w.data(), static_cast<float const*>(nullptr)}) {
                grid<double> expected(rows, columns);
                for (index_t i = 0; i < rows; ++i) {
                    double squares = 0;
                    for (index_t j = 0; j < columns; ++j) squares += std::pow(static_cast<double>(x(i, j)), 2);
                    for (index_t j = 0; j < columns; ++j)
                        expected(i, j) = static_cast<double>(x(i, j)) /
                                         std::sqrt(squares / static_cast<double>(columns) + 1e-5) *
                                         (weight ? static_cast<double>(weight[j]) : 1.0);
                }
                grid<T> in = x, y(rows, columns);
                rms_norm(y.view(), in.view(), weight, 1e-5);
                CHECK(distance(y, expected, tolerance, tolerance) <= 1);
                rms_norm(in.view(), in.view(), weight, 1e-5);
                CHECK(same_bits(in, y));
                CHECK(y.gaps_untouched());
            }
        }
}

TEST_CASE("norm: weights of the matrix's own type give the same result") {
    grid<double> x(2, 21, 1, 4.0), y(2, 21), z(2, 21);
    auto const w = weights(21);
    std::vector<double> const wide(w.begin(), w.end());
    rms_norm(y.view(), x.view(), w.data(), 1e-5);
    rms_norm(z.view(), x.view(), wide.data(), 1e-5);
    CHECK(same_bits(y, z));
}

TEST_CASE("norm: pull agrees with central differences, assigned, added and in place") {
    for (index_t const columns : {1, 8, 19, 40}) {
        grid<double> x(2, columns, 1, 2.0), y(2, columns);
        grid<double> dy(2, columns, 3, 1.0);
        grid<double> const start(2, columns, 4, 1.0);
        auto const w = weights(columns);
        for (float const* weight : {w.data(), static_cast<float const*>(nullptr)}) {
            auto const expected =
                differences(x, [&] { return rms_norm(y.view(), x.view(), weight, 0.01), inner(y, dy); });
            grid<double> dx(2, columns);
            rms_norm_pull(dx.fresh(), dy.view(), x.view(), weight, 0.01);
            CHECK(agree(dx, expected));
            grid<double> over_dy = dy, over_x = x;
            rms_norm_pull(over_dy.fresh(), over_dy.view(), x.view(), weight, 0.01);
            rms_norm_pull(over_x.fresh(), dy.view(), over_x.view(), weight, 0.01);
            CHECK(same_bits(over_dy, dx));
            CHECK(same_bits(over_x, dx));
            dx = start;
            rms_norm_pull(dx.view(), dy.view(), x.view(), weight, 0.01);
            CHECK(agree(dx, sum_of(start, expected)));
            CHECK(dx.gaps_untouched());
        }
    }
}

TEST_CASE("norm: float agrees with double, two lanes with one") {
    thread_pool pool(2);
    workers const two = pool.handle(nullptr, 0);
    grid<float> x(200, 577, 1, 2.0), dy(200, 577, 2, 1.0), dx(200, 577), other(200, 577);
    grid<double> wide_x(x), wide_dy(dy), wide_dx(200, 577);
    auto const w = weights(577);
    rms_norm_pull(dx.fresh(), dy.view(), x.view(), w.data(), 1e-5);
    rms_norm_pull(other.fresh(&two), dy.view(), x.view(), w.data(), 1e-5);
    rms_norm_pull(wide_dx.fresh(), wide_dy.view(), wide_x.view(), w.data(), 1e-5);
    CHECK(same_bits(dx, other));
    CHECK(distance(dx, wide_dx, 1e-6, 1e-6) <= 1);
}
