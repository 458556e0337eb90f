// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <graft/program/assign.hpp>
#include <graft/program/prepare_heap.hpp>
#include <graft/tensor/tensor.hpp>

#include <cmath>
#include <limits>

using namespace graft;

namespace {
constexpr symbol<"x", any, 4> x;
constexpr symbol<"v", any> v;
constexpr index_symbol<"i"> i;
}  // namespace

TEST_CASE("assignment: a destination of exactly 1 does not stretch") {
    tensor<float, 1, 4> y;
    tensor<float, any, 4> one(fill{7.0f}, 1), many(fill{7.0f}, 64);
    y = one;
    CHECK(y(0, 3) == 7);
    CHECK_THROWS_AS(y = many, failure);
}

TEST_CASE("function: captured views without gaps, of the right numbers, one for a name") {
    tensor<double, 4, 4> X;
    tensor<float, 4> F;
    CHECK_THROWS_AS(prepare<double>(sum<1>(X.all().transposed() * 1.0)), failure);
    CHECK_THROWS_AS(prepare<double>(sum(F.all() * 1.0)), failure);
    tensor<double, 4> A, B;
    CHECK_THROWS_AS(prepare<double>(sum(named<"a">(A) - named<"a">(B))), failure);
    auto const a = named<"a">(A);
    auto same = prepare<double>(sum(a - a));
    same();
    CHECK(same.value() == 0);
}

TEST_CASE("max and min: what is not a number is passed over; all infinite") {
    double const none = std::numeric_limits<double>::quiet_NaN(), infinite = std::numeric_limits<double>::infinity();
    tensor<double, any, 4> X(fill{5.0}, 8);
    X(0, 0) = none, X(7, 1) = none;
    tensor<double, 4> over_rows;
    tensor<double, any> along(8);
    over_rows = max<0>(X), along = max<1>(X);
    for (index_t k = 0; k < 4; ++k) CHECK(over_rows(k) == 5);
    for (index_t k = 0; k < 8; ++k) CHECK(along(k) == 5);
    X = -infinite;
    along = max<1>(X);
    CHECK(along(3) == -infinite);
    auto f = prepare<double>(log_sum_exp<-1>(x), x = X);
    f();
    CHECK(f.value()(2) == -infinite);
    tensor<double, 1> r{none};
    r = relu(r);
    CHECK(std::isnan(r(0)));
}

TEST_CASE("gradient: one index picks one number") {
    tensor<double, any> V{1, 2, 3};
    tensor<std::int32_t> I;
    I() = 2;
    auto g = prepare<double>(gradient(pick(v, i), wrt(v)), v = V, i = I);
    g();
    CHECK(g.gradient(v)(1) == 0);
    CHECK(g.gradient(v)(2) == 1);
}

TEST_CASE("bind: not in the memory that the function writes, and not only sizes") {
    constexpr symbol<"h", 2, 2> h;
    tensor<double, 2, 2> H{{1, 2}, {3, 4}};
    auto p = prepare<double>(permute<1, 0>(h), h = H);
    p();
    CHECK_THROWS_AS(p.bind(h = p.output<0>()), failure);
    CHECK_THROWS_AS(p.bind(h = sizes_t{2, {2, 2}}), failure);
    p();
    CHECK(p.value()(0, 1) == 3);
}

TEST_CASE("vjp: a cotangent that is an argument already has the output's sizes") {
    constexpr symbol<"w", any> w;
    auto const f = vjp(w * 2.0, wrt(w), v);
    tensor<double, any> W(3), three(3), two(2);
    three = 1.0;
    auto g = prepare<double>(f, w = W, v = three);
    g();
    CHECK(g.gradient(w)(0) == 2);
    CHECK_THROWS_AS(prepare<double>(f, w = W, v = two), failure);
}

TEST_CASE("value: an index that is one number") {
    tensor<float, any> V{1, 5, 3};
    auto f = prepare<float>(argmax(v), v = V);
    f();
    CHECK(f.value() == 1);
}

TEST_CASE("functions whose stages compute a long chain again") {
    auto const f = formula([](auto a) {
        auto h = a;
        for (int k = 0; k < 30; ++k) h = tanh(h);
        auto y = h;
        for (int k = 0; k < 8; ++k) y = y * sum(h * y);
        return sum(y);
    }, v);
    tensor<double, any> V{0.5, -1, 2};
    auto p = prepare<double>(f, v = V);
    p();
    double h[3], y[3], total = 0;
    for (index_t k = 0; k < 3; ++k) {
        h[k] = V(k);
        for (int t = 0; t < 30; ++t) h[k] = std::tanh(h[k]);
        y[k] = h[k];
    }
    for (int t = 0; t < 8; ++t) {
        double s = 0;
        for (int k = 0; k < 3; ++k) s += h[k] * y[k];
        for (double& z : y) z *= s;
    }
    for (double z : y) total += z;
    CHECK(p.value() == doctest::Approx(total));
}
