// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/symmetric_eigen.hpp>
#include <tests/support/small_squares.hpp>

#include <doctest/doctest.h>

using namespace graft;
using graft_test::squares_at_hand;

TEST_CASE("symmetric_eigen: rows become eigenvectors times their eigenvalue") {
    for (index_t n : {1, 2, 5, 8, 17, 64}) {
        squares_at_hand of(n, 4);
        small_square const x = of.drawn(0.7), g = of.empty(), w = of.empty();
        small_square_product(g, x, x, true);
        std::copy_n(g.data, n * g.stride(), w.data);
        std::vector<double> values(static_cast<std::size_t>(n));
        eigen(w, values.data());
        double trace = 0, sum = 0, most = 0;
        for (index_t i = 0; i < n; ++i) {
            double const lambda = values[static_cast<std::size_t>(i)];
            trace += g(i, i), sum += lambda;
            for (index_t j = 0; j < n; ++j) {
                double gw = 0;
                for (index_t l = 0; l < n; ++l) gw += g(j, l) * w(i, l);
                most = std::max(most, std::abs(gw - lambda * w(i, j)));
            }
        }
        CHECK(sum == doctest::Approx(trace).epsilon(1e-13));
        CHECK(most < 1e-10);
    }
}

TEST_CASE("symmetric_eigen: known eigenvalues, equal ones and zeros") {
    squares_at_hand of(3, 1);
    small_square const g = of.empty();
    g(0, 0) = g(1, 1) = 2, g(0, 1) = g(1, 0) = 1;  // 3, 1, 0
    double values[3];
    eigen(g, values);
    std::sort(values, values + 3);
    CHECK(values[0] == 0);
    CHECK(values[1] == doctest::Approx(1).epsilon(1e-14));
    CHECK(values[2] == doctest::Approx(3).epsilon(1e-14));
    g.clear();
    for (index_t i = 0; i < 3; ++i) g(i, i) = 5;
    eigen(g, values);
    for (double v : values) CHECK(v == 5);
}

TEST_CASE("symmetric_eigen: the inverse root turns the matrix into 1, also a badly conditioned one") {
    for (index_t n : {1, 3, 8, 20, 64})
        for (double spread : {1.0, 1e4, 1e8}) {
            squares_at_hand of(n, 6);
            small_square const x = of.drawn(0.7), g = of.empty(), spoilt = of.empty(), root = of.empty();
            small_square const half = of.empty(), one = of.empty();
            small_square_product(g, x, x, true);
            for (index_t i = 0; i < n; ++i)
                for (index_t j = 0; j < n; ++j) g(i, j) = spread * g(i, j) / static_cast<double>(n) + (i == j);
            std::copy_n(g.data, n * g.stride(), spoilt.data);
            std::vector<double> values(static_cast<std::size_t>(n));
            inverse_root(root, spoilt, values.data(), 1e-14);
            small_square_product(half, g, root);
            small_square_product(one, root, half);
            for (index_t i = 0; i < n; ++i) one(i, i) -= 1;
            CHECK(graft_test::largest(one) < 1e-13 * (spread + 10) * static_cast<double>(n));
        }
}

TEST_CASE("symmetric_eigen: directions of nothing stay out of the inverse root") {
    squares_at_hand of(4, 2);
    small_square const g = of.empty(), root = of.empty();
    g(1, 1) = 4, g(2, 2) = 1e-13;
    double values[4];
    inverse_root(root, g, values, 1e-12);
    CHECK(root(1, 1) == doctest::Approx(0.5));
    root(1, 1) = 0;
    CHECK(graft_test::largest(root) == 0);
    g.clear();
    inverse_root(root, g, values, 1e-12);
    CHECK(graft_test::largest(root) == 0);
}
