// SPDX-License-Identifier: Apache-2.0
// Elementary functions against the C library in a wider type, at special numbers, and lane against scalar.
#include <doctest/doctest.h>

#include <graft/simd/math.hpp>
#include <tests/simd/units.hpp>

#include <array>
#include <cmath>
#include <limits>

using namespace graft;
using namespace graft_test;

namespace {

/// Where each function is tested (float and double), the exact value, and the most it may be off.
struct exp_function {
    static auto of(auto x) { return graft::exp(x); }
    static long double exact(long double x) { return std::exp(x); }
    static constexpr double from[] = {-104, -745}, to[] = {88.8, 709.8}, units = 1.5;
};
struct expm1_function {
    static auto of(auto x) { return graft::expm1(x); }
    static long double exact(long double x) { return std::expm1(x); }
    static constexpr double from[] = {-30, -60}, to[] = {88.8, 709.8}, units = 2.5;
};
struct log_function {
    static auto of(auto x) { return graft::log(x); }
    static long double exact(long double x) { return std::log(x); }
    static constexpr double from[] = {0, 0}, to[] = {900, 900}, units = 1.2;
};
struct log1p_function {
    static auto of(auto x) { return graft::log1p(x); }
    static long double exact(long double x) { return std::log1p(x); }
    static constexpr double from[] = {-1, -1}, to[] = {9, 9}, units = 1.2;
};
struct sigmoid_function {
    static auto of(auto x) { return graft::sigmoid(x); }
    static long double exact(long double x) { return 1 / (1 + std::exp(-x)); }
    static constexpr double from[] = {-87, -708}, to[] = {90, 710}, units = 3;
};
struct silu_function {
    static auto of(auto x) { return graft::silu(x); }
    static long double exact(long double x) { return x / (1 + std::exp(-x)); }
    static constexpr double from[] = {-87, -708}, to[] = {90, 710}, units = 3;
};
struct tanh_function {
    static auto of(auto x) { return graft::tanh(x); }
    static long double exact(long double x) { return std::tanh(x); }
    static constexpr double from[] = {-12, -22}, to[] = {12, 22}, units = 3;
};
struct erf_function {
    static auto of(auto x) { return graft::erf(x); }
    static long double exact(long double x) { return std::erf(x); }
    static constexpr double from[] = {-5, -7}, to[] = {5, 7}, units = 1.8;
};
struct sin_function {
    static auto of(auto x) { return graft::sin(x); }
    static long double exact(long double x) { return std::sin(x); }
    static constexpr double from[] = {-1e6, -1e12}, to[] = {1e6, 1e12}, units = 2;
};
struct cos_function {
    static auto of(auto x) { return graft::cos(x); }
    static long double exact(long double x) { return std::cos(x); }
    static constexpr double from[] = {-1e6, -1e12}, to[] = {1e6, 1e12}, units = 2;
};

/// Errors over numbers spread evenly and crowded towards zero; every lane of every width gives the scalar's bits.
template <class T, class F>
void check_function() {
    constexpr auto W = static_cast<std::size_t>(native_width<T>);
    constexpr std::size_t which = sizeof(T) == 4 ? 0 : 1;
    double worst = 0, worst_at = 0;
    constexpr int steps = 20000;
    for (int s = 0; s < steps; ++s) {
        std::array<T, W> x, y;
        for (std::size_t l = 0; l < W; ++l) {
            double const part = (s + (static_cast<double>(l) + 0.37) / static_cast<double>(W)) / steps;
            double const u = F::from[which] + (F::to[which] - F::from[which]) * part;
            x[l] = static_cast<T>(s % 2 ? u * std::ldexp(1.0, -(s % 139)) : u);
        }
        F::of(pack<T>::load(x.data())).store(y.data());
        for (std::size_t l = 0; l < W; ++l) {
            REQUIRE(same_number(F::of(x[l]), y[l]));
            double const error = units_off(y[l], F::exact(static_cast<long double>(x[l])));
            if (!(error <= worst)) worst = error, worst_at = static_cast<double>(x[l]);
        }
        if constexpr (W >= 4) {
            std::array<T, 4> four;
            F::of(pack<T, 4>::load(x.data())).store(four.data());
            for (std::size_t l = 0; l < 4; ++l) REQUIRE(same_number(four[l], y[l]));
        }
    }
    INFO("at ", worst_at);
    CHECK(worst < F::units);
}

/// Odd functions: f(-x) = -f(x) to the bit, with the sign of zero and the smallest number itself.
template <class T, class F>
void check_odd() {
    T const tiny = std::numeric_limits<T>::denorm_min();
    CHECK(F::of(T(0)) == 0);
    CHECK(!std::signbit(F::of(T(0))));
    CHECK(F::of(T(-0.0)) == 0);
    CHECK(std::signbit(F::of(T(-0.0))));
    CHECK(F::of(tiny) == tiny);
    for (T const x : {T(0.01), T(0.7), T(0.97), T(1.4), T(3)}) CHECK(F::of(-x) == -F::of(x));
}

}  // namespace

TEST_CASE_TEMPLATE("math: each function within a few units in the last place", T, float, double) {
    check_function<T, exp_function>();
    check_function<T, expm1_function>();
    check_function<T, log_function>();
    check_function<T, log1p_function>();
    check_function<T, sigmoid_function>();
    check_function<T, silu_function>();
    check_function<T, tanh_function>();
    check_function<T, erf_function>();
    check_function<T, sin_function>();
    check_function<T, cos_function>();
}

TEST_CASE_TEMPLATE("math: exp, log, sigmoid, tanh of special numbers", T, float, double) {
    constexpr T infinity = std::numeric_limits<T>::infinity(), tiny = std::numeric_limits<T>::denorm_min();
    T const nothing = std::numeric_limits<T>::quiet_NaN();
    CHECK(graft::exp(T(0)) == 1);
    CHECK(graft::exp(-infinity) == 0);
    CHECK(graft::exp(infinity) == infinity);
    CHECK(graft::exp(T(800)) == infinity);
    CHECK(graft::exp(T(-800)) == 0);
    CHECK(std::isnan(graft::exp(nothing)));
    T const small = std::log(std::numeric_limits<T>::min()) - 3;  // a subnormal result
    CHECK(graft::exp(small) > 0);
    CHECK(graft::exp(small) == doctest::Approx(std::exp(small)).epsilon(1e-5));
    CHECK(graft::log(T(1)) == 0);
    CHECK(graft::log(T(0)) == -infinity);
    CHECK(graft::log(infinity) == infinity);
    CHECK(std::isnan(graft::log(T(-1))));
    CHECK(std::isnan(graft::log(nothing)));
    CHECK(graft::log(tiny) == doctest::Approx(std::log(tiny)).epsilon(1e-6));
    CHECK(graft::sigmoid(T(0)) == T(0.5));
    CHECK(graft::sigmoid(-infinity) == 0);
    CHECK(graft::sigmoid(infinity) == 1);
    CHECK(std::isnan(graft::sigmoid(nothing)));
    CHECK(graft::silu(infinity) == infinity);
    CHECK(graft::silu(T(-1000)) == 0);
    CHECK(graft::tanh(infinity) == 1);
    CHECK(graft::tanh(-infinity) == -1);
    CHECK(std::isnan(graft::tanh(nothing)));
}

TEST_CASE_TEMPLATE("math: expm1, log1p, erf, sin, cos of special numbers", T, float, double) {
    constexpr T infinity = std::numeric_limits<T>::infinity(), tiny = std::numeric_limits<T>::denorm_min();
    T const nothing = std::numeric_limits<T>::quiet_NaN();
    CHECK(graft::expm1(-infinity) == -1);
    CHECK(graft::expm1(infinity) == infinity);
    CHECK(graft::expm1(tiny) == tiny);
    CHECK(std::signbit(graft::expm1(T(-0.0))));
    CHECK(std::isnan(graft::expm1(nothing)));
    CHECK(graft::log1p(T(-1)) == -infinity);
    CHECK(graft::log1p(infinity) == infinity);
    CHECK(graft::log1p(-tiny) == -tiny);
    CHECK(graft::log1p(std::numeric_limits<T>::max()) == graft::log(std::numeric_limits<T>::max()));
    CHECK(std::signbit(graft::log1p(T(-0.0))));
    CHECK(std::isnan(graft::log1p(T(-1.5))));
    CHECK(std::isnan(graft::log1p(-infinity)));
    CHECK(std::isnan(graft::log1p(nothing)));
    CHECK(graft::erf(infinity) == 1);
    CHECK(graft::erf(-infinity) == -1);
    CHECK(graft::erf(T(6)) == 1);
    CHECK(std::isnan(graft::erf(nothing)));
    CHECK(graft::cos(T(0)) == 1);
    CHECK(std::isnan(graft::sin(infinity)));
    CHECK(std::isnan(graft::cos(nothing)));
    CHECK(std::isnan(graft::cos(T(1e13))));
    check_odd<T, erf_function>();
    check_odd<T, sin_function>();
    check_odd<T, tanh_function>();
}
