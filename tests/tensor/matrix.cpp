// SPDX-License-Identifier: Apache-2.0
#include <graft/kernel/product.hpp>
#include <graft/tensor/matrix.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace graft;

namespace {

// A product of three matrices has no memory for what lies between: it is not an expression.
template <class A, class B, class C>
concept triple = requires(A a, B b, C c) { a * b * c; };
static_assert(!triple<matrix<float>, matrix<float>, matrix<float>>);
static_assert(Factor<matrix<float>> && Factor<transposed<matrix<double>>> && !Factor<float>);

}  // namespace

TEST_CASE("matrix: windows share memory and keep the stride") {
    std::array<float, 12> data{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23};
    matrix<float> const m{data.data(), 3, 4};
    auto const inner = m.slice(1, 2).cut(1, 2);
    CHECK(inner(0, 0) == 11);
    CHECK(inner(1, 1) == 22);
    inner(1, 0) = 7;
    CHECK(data[9] == 7);
    CHECK(inner.stride == 4);
    CHECK(!matrix<float>{});
    CHECK(rows(t(inner)) == 2);
    CHECK(columns(t(m)) == 3);
}

TEST_CASE("matrix: each statement is its sum of products; a fresh view is assigned by its first +=") {
    std::array<double, 4> a{1, 2, 3, 4}, b{5, 6, 7, 8};
    std::array<double, 4> c;
    c.fill(1e300);
    matrix<double> const A{a.data(), 2, 2}, B{b.data(), 2, 2}, C{c.data(), 2, 2};
    C = A * B + 2.0 * A * t(B);
    CHECK(c == std::array<double, 4>{19 + 2 * 17, 22 + 2 * 23, 43 + 2 * 39, 50 + 2 * 53});
    C += A * B;
    CHECK(c[0] == 19 + 2 * 17 + 19);
    C.as_fresh() += A * B + A * B;
    CHECK(c == std::array<double, 4>{38, 44, 86, 100});
    C = t(A) * B;
    CHECK(c == std::array<double, 4>{26, 30, 38, 44});
}

TEST_CASE("matrix: shapes that do not meet are refused") {
    std::array<double, 6> a{}, c{};
    matrix<double> const A{a.data(), 2, 3}, C{c.data(), 2, 2};
    CHECK_THROWS_AS((C = A * A), failure);
    CHECK_THROWS_AS((C = t(A) * A), failure);
}
