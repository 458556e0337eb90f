// SPDX-License-Identifier: Apache-2.0
// Elementary functions against the C library in a wider type, at special numbers, and lane against scalar.
#include <doctest/doctest.h>

#include <graft/simd/math.hpp>

#include <array>
#include <cmath>
#include <limits>

using namespace graft;

namespace {

struct exp_function {
    static auto of(auto x) { return graft::exp(x); }
    static long double exact(long double x) { return std::exp(x); }
    static constexpr double from = -86, to = 88, units = 1.5;
};
struct log_function {
    static auto of(auto x) { return graft::log(x); }
    static long double exact(long double x) { return std::log(x); }
    static constexpr double from = 1e-6, to = 900, units = 1.5;
};
struct sigmoid_function {
    static auto of(auto x) { return graft::sigmoid(x); }
    static long double exact(long double x) { return 1 / (1 + std::exp(-x)); }
    static constexpr double from = -80, to = 80, units = 4;
};
struct tanh_function {
    static auto of(auto x) { return graft::tanh(x); }
    static long double exact(long double x) { return std::tanh(x); }
    static constexpr double from = -12, to = 12, units = 4;
};

/// Errors in units of the last place over a grid, plain and crowded towards zero; every lane gives the scalar's bits.
template <class T, class F>
void check_function() {
    constexpr auto W = static_cast<std::size_t>(native_width<T>);
    double worst = 0, worst_at = 0;
    constexpr int steps = 20000;
    for (int s = 0; s < steps; ++s) {
        std::array<T, W> x, y;
        for (std::size_t l = 0; l < W; ++l) {
            double const u =
                F::from + (F::to - F::from) * (s + (static_cast<double>(l) + 0.37) / static_cast<double>(W)) / steps;
            x[l] = static_cast<T>(s % 2 && F::from < 0 ? u * std::ldexp(1.0, -(s % 29)) : u);
        }
        F::of(pack<T>::load(x.data())).store(y.data());
        for (std::size_t l = 0; l < W; ++l) {
            REQUIRE(F::of(x[l]) == y[l]);
            long double const exact = F::exact(static_cast<long double>(x[l]));
            auto const size = std::abs(static_cast<T>(exact));
            auto const unit = static_cast<long double>(std::nextafter(size, std::numeric_limits<T>::infinity()) - size);
            auto const error = static_cast<double>(std::abs(static_cast<long double>(y[l]) - exact) / unit);
            if (error > worst) worst = error, worst_at = static_cast<double>(x[l]);
        }
    }
    INFO("at ", worst_at);
    CHECK(worst < F::units);
}

}  // namespace

TEST_CASE_TEMPLATE("math: exp, log, sigmoid, tanh within a few units in the last place", T, float, double) {
    check_function<T, exp_function>();
    check_function<T, log_function>();
    check_function<T, sigmoid_function>();
    check_function<T, tanh_function>();
}

TEST_CASE_TEMPLATE("math: special numbers", T, float, double) {
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
    CHECK(graft::tanh(T(0)) == 0);
    CHECK(std::signbit(graft::tanh(T(-0.0))));
    CHECK(graft::tanh(infinity) == 1);
    CHECK(graft::tanh(-infinity) == -1);
    CHECK(graft::tanh(tiny) == tiny);
    CHECK(std::isnan(graft::tanh(nothing)));
}

TEST_CASE("math: sine and cosine of small and of large angles") {
    double worst = 0;
    for (int i = -200000; i <= 200000; ++i) {
        double const x = i * 5.2 + std::ldexp(1.0, -(i & 31));
        worst = std::max(worst, static_cast<double>(std::abs(static_cast<long double>(graft::sin(x)) -
                                                             std::sin(static_cast<long double>(x)))));
        worst = std::max(worst, static_cast<double>(std::abs(static_cast<long double>(graft::cos(x)) -
                                                             std::cos(static_cast<long double>(x)))));
    }
    CHECK(worst < 4e-16);
    CHECK(graft::sin(0.0) == 0);
    CHECK(graft::cos(0.0) == 1);
    CHECK(graft::sin(1e-9) == 1e-9);
    CHECK(graft::cos(8191.0f) == static_cast<float>(std::cos(8191.0)));
    CHECK(graft::sin(131071.0f) == static_cast<float>(std::sin(131071.0)));
}
