// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <graft/program/prepare_heap.hpp>
#include <graft/tensor/tensor.hpp>

#include <cmath>

using namespace graft;

namespace {

constexpr symbol<"a", any> a;
constexpr symbol<"b", any> b;
constexpr auto u = exp(a) * b;
constexpr auto v = sin(exp(a)) + 2.0 * b;

}  // namespace

TEST_CASE("join: a Jacobian by rows, and what is shared is computed once") {
    constexpr auto both = join(u, v, gradient(sum(u), wrt(a, b)), gradient(sum(v), wrt(a, b)));
    constexpr auto const& code = decltype(both)::program::code;
    int exponentials = 0, loops = 0;
    for (auto const& x : code.vertices)
        exponentials += x.what == structure::element && x.element == detail::element_number<exp_>;
    for (int s = 0; s < decltype(both)::program::steps.size; ++s) loops += decltype(both)::program::steps.at(s).loop;
    CHECK(exponentials == 1);
    CHECK(loops == 1);

    tensor<double, any> A(5), B(5);
    for (index_t i = 0; i < 5; ++i) A(i) = 0.3 * static_cast<double>(i) - 0.7, B(i) = 1.5 - static_cast<double>(i);
    auto f = prepare<double>(both, a = A, b = B);
    f();
    for (index_t i = 0; i < 5; ++i) {
        double const e = std::exp(A(i));
        CHECK(f.output<0>()(i) == doctest::Approx(e * B(i)));
        CHECK(f.output<1>()(i) == doctest::Approx(std::sin(e) + 2 * B(i)));
        CHECK(f.output<2>()(i) == doctest::Approx(e * B(i)));
        CHECK(f.output<3>()(i) == doctest::Approx(e));
        CHECK(f.output<4>()(i) == doctest::Approx(std::cos(e) * e));
        CHECK(f.output<5>()(i) == doctest::Approx(2));
    }
}

TEST_CASE("join: numbers of each function stay its own, and sizes are held to each other") {
    auto const f = join(2.0 * a, 3.0 * b, a + b);
    tensor<double, any> A(3), B(3), C(4);
    A = 1.0, B = 10.0;
    auto p = prepare<double>(f, a = A, b = B);
    p();
    CHECK(p.output<0>()(2) == 2);
    CHECK(p.output<1>()(2) == 30);
    CHECK(p.output<2>()(2) == 11);
    CHECK_THROWS_AS(prepare<double>(f, a = A, b = C), failure);
}

TEST_CASE("named: a tensor that a gradient can be taken by binds itself") {
    tensor<double, any> A(3), B(3);
    A = 2.0, B = 5.0;
    auto const x = named<"x">(A);
    auto g = prepare<double>(value_and_gradient(sum(x * x * B), wrt(x)));
    g();
    CHECK(g.value() == 60);
    CHECK(g.gradient(x)(1) == 20);
    A(1) = 3;
    g();
    CHECK(g.gradient(x)(1) == 30);
}
