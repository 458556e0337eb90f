// SPDX-License-Identifier: Apache-2.0
// Powers against the C library in a wider type: ordinary, near 1, at the ends of the range, and special numbers.
#include <doctest/doctest.h>

#include <graft/simd/math.hpp>
#include <tests/simd/units.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

using namespace graft;
using namespace graft_test;

namespace {

/// Every a with every b, in packs and one by one; the worst error.
template <class T, class A, class B>
double worst_power(A const& as, B const& bs) {
    constexpr auto W = static_cast<std::size_t>(native_width<T>);
    double worst = 0;
    for (T const a : as)
        for (std::size_t k = 0; k < bs.size(); k += W) {
            std::array<T, W> b, y;
            for (std::size_t l = 0; l < W; ++l) b[l] = bs[std::min(k + l, bs.size() - 1)];
            pow(pack<T>(a), pack<T>::load(b.data())).store(y.data());
            for (std::size_t l = 0; l < W; ++l) {
                CAPTURE(a);
                CAPTURE(b[l]);
                REQUIRE(same_number(graft::pow(a, b[l]), y[l]));
                long double const exact = std::pow(static_cast<long double>(a), static_cast<long double>(b[l]));
                double const off = units_off(y[l], exact);
                REQUIRE(off < 2);
                if (!std::isnan(y[l])) REQUIRE(std::signbit(y[l]) == std::signbit(exact));
                worst = std::max(worst, off);
            }
        }
    return worst;
}

template <class T, std::size_t N, class F>
std::array<T, N> numbers(F f) {
    std::array<T, N> x;
    for (std::size_t i = 0; i < N; ++i) x[i] = static_cast<T>(f(static_cast<double>(i) / N));
    return x;
}

}  // namespace

TEST_CASE_TEMPLATE("pow: within two units in the last place, also where the result is huge or tiny", T, float, double) {
    double const most = sizeof(T) == 4 ? 104 : 744;
    auto const exponents = numbers<T, 500>([](double u) { return 40 * u - 20.013; });
    CHECK(worst_power<T>(numbers<T, 300>([](double u) { return 0.01 + 9.7 * u; }), exponents) > 0.1);
    for (int e = -140; e < 128; ++e) {  // |b log a| up to the limits
        double const base = std::ldexp(1.37, e), top = most / std::abs(std::log(base));
        worst_power<T>(std::array{static_cast<T>(base)}, numbers<T, 101>([&](double u) { return (2 * u - 1) * top; }));
    }
    for (int k = 1; k < std::numeric_limits<T>::digits; ++k)  // close to 1
        for (double const sign : {-1.0, 1.0}) {
            double const base = 1 + sign * std::ldexp(0.7, -k), top = most / std::abs(std::log1p(base - 1));
            auto const b = numbers<T, 50>([&](double u) { return (2 * u - 1) * top; });
            worst_power<T>(std::array{static_cast<T>(base)}, b);
        }
}

TEST_CASE_TEMPLATE("pow: every special number to the power of every other, as IEEE 754 has it", T, float, double) {
    using L = std::numeric_limits<T>;
    T const infinity = L::infinity(), ulp = L::epsilon(), odd = 2 / ulp - 1;  // the largest odd number
    std::array<T, 30> const special{T(0), T(-0.0), T(1), T(-1), T(2), T(-2), T(3), T(-3), T(0.5), T(-0.5), T(1.5),
                                    T(-1.5), T(7), T(-8), T(31), infinity, -infinity, L::quiet_NaN(), L::max(),
                                    L::lowest(), L::min(), -L::min(), L::denorm_min(), -L::denorm_min(), 1 + ulp,
                                    1 - ulp / 2, odd, -odd, (odd + 1) / 2 + 1, odd + 1};
    worst_power<T>(special, special);
    CHECK(graft::pow(L::quiet_NaN(), T(0)) == 1);
    CHECK(graft::pow(T(-2), T(3)) == -8);
    CHECK(graft::pow(T(10), T(2)) == 100);
    CHECK(std::isnan(graft::pow(T(-2), T(0.5))));
}
