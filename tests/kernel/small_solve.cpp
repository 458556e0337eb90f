// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/small_solve.hpp>
#include <graft/kernel/small_square.hpp>
#include <tests/support/small_squares.hpp>

#include <doctest/doctest.h>

#include <limits>

using namespace graft;
using graft_test::squares_at_hand;

TEST_CASE("small_square: products, transposes and symmetric parts, for every order; padding stays 0") {
    for (index_t n : {1, 2, 3, 7, 8, 9, 16, 33}) {
        squares_at_hand of(n, 3);
        small_square const a = of.drawn(0.3), b = of.drawn(1.1), c = of.empty();
        for (bool transposed : {false, true}) {
            small_square_product(c, a, b, transposed);
            for (index_t i = 0; i < n; ++i)
                for (index_t j = 0; j < c.stride(); ++j) {
                    double sum = 0;
                    for (index_t l = 0; l < n && j < n; ++l) sum += (transposed ? a(l, i) : a(i, l)) * b(l, j);
                    CHECK(c(i, j) == doctest::Approx(sum).epsilon(1e-13));
                }
        }
        double const first = n > 1 ? (a(0, 1) + a(1, 0)) / 2 : a(0, 0);
        symmetrise(a);
        CHECK(a(n > 1, 0) == first);
        CHECK(a(0, n > 1) == first);
    }
}

TEST_CASE("small_solve: Cholesky's factor is upper triangular, positive on the diagonal, and gives the matrix back") {
    for (index_t n : {1, 2, 5, 8, 16, 31, 64}) {
        squares_at_hand of(n, 5);
        small_square const x = of.drawn(0.7), c = of.empty(), r = of.empty(), back = of.empty(), inverse = of.empty();
        small_square_product(c, x, x, true);
        for (index_t i = 0; i < n; ++i) c(i, i) += 1;
        std::copy_n(c.data, n * c.stride(), r.data);
        REQUIRE(cholesky(r));
        for (index_t i = 0; i < n; ++i) {
            CHECK(r(i, i) > 0);
            for (index_t j = 0; j < i; ++j) CHECK(r(i, j) == 0);
        }
        small_square_product(back, r, r, true);
        CHECK(graft_test::largest_difference(back, c) < 1e-11);
        upper_inverse(inverse, r);
        small_square_product(back, inverse, r);
        for (index_t i = 0; i < n; ++i) back(i, i) -= 1;
        CHECK(graft_test::largest(back) < 1e-12);
    }
}

TEST_CASE("small_solve: what is not positive definite has no factor") {
    squares_at_hand of(2, 1);
    small_square const c = of.empty();
    auto const factors = [&](double a, double b, double d) {
        c(0, 0) = a, c(0, 1) = c(1, 0) = b, c(1, 1) = d;
        return cholesky(c);
    };
    CHECK(factors(2, 1, 2));
    CHECK_FALSE(factors(1, 1, 1));
    CHECK_FALSE(factors(1, 2, 1));
    CHECK_FALSE(factors(0, 0, 1));
    CHECK_FALSE(factors(std::numeric_limits<double>::quiet_NaN(), 0, 1));
    CHECK_FALSE(factors(std::numeric_limits<double>::infinity(), 0, 1));
}

TEST_CASE("small_solve: elimination finds x where a x = b, with rows that must be exchanged") {
    for (index_t n : {1, 2, 6, 16, 40}) {
        squares_at_hand of(n, 4);
        small_square const a = of.drawn(0.9), spoilt = of.empty(), x = of.drawn(2.0), b = of.empty();
        a(0, 0) = n > 1 ? 0 : 3;
        small_square_product(b, a, x);
        std::copy_n(a.data, n * a.stride(), spoilt.data);
        REQUIRE(solve(spoilt, b.data, b.stride()));
        CHECK(graft_test::largest_difference(b, x) < 1e-9);
    }
    squares_at_hand of(2, 2);
    small_square const singular = of.empty(), b = of.drawn(1);
    singular(0, 0) = singular(0, 1) = singular(1, 0) = singular(1, 1) = 1;
    CHECK_FALSE(solve(singular, b.data, b.stride()));
}
