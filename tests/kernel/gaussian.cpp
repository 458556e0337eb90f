// SPDX-License-Identifier: Apache-2.0
// Numbers of a normal distribution: their law, and that each is a function of its place alone.
#include <graft/kernel/gaussian.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace graft;

namespace {

template <class T>
std::vector<T> drawn(index_t count, index_t first = 0, std::uint64_t seed = 1, std::uint32_t stream = 2,
                     std::uint64_t step = 3) {
    std::vector<T> z(static_cast<std::size_t>(count) + 1, T(-77));
    gaussian(z.data(), count, first, seed, stream, step);
    REQUIRE(z.back() == T(-77));
    z.pop_back();
    return z;
}

template <class T>
double correlation(std::vector<T> const& a, std::vector<T> const& b, std::size_t shift = 0) {
    double sum = 0;
    for (std::size_t i = 0; i + shift < a.size(); ++i)
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i + shift]);
    return sum / static_cast<double>(a.size() - shift);
}

constexpr index_t many = 1 << 20;

}  // namespace

TEST_CASE_TEMPLATE("gaussian: moments and tails are those of the normal distribution", T, float, double) {
    auto const z = drawn<T>(many);
    double m[7] = {};
    double most = 0;
    index_t beyond[4] = {};
    for (T const each : z) {
        double const x = static_cast<double>(each);
        double power = 1;
        for (int k = 1; k <= 6; ++k) m[k] += (power *= x) / static_cast<double>(many);
        most = std::max(most, std::abs(x));
        for (int k = 1; k < 4; ++k) beyond[k] += std::abs(x) > k + 1;
    }
    // Expected 0, 1, 0, 3, 0, 15; deviations √((E x²ᵏ − (E xᵏ)²) / n): five of them.
    double const expected[7] = {1, 0, 1, 0, 3, 0, 15}, variance[7] = {0, 1, 2, 15, 96, 945, 10170};
    for (int k = 1; k <= 6; ++k) {
        CAPTURE(k);
        CHECK(std::abs(m[k] - expected[k]) < 5 * std::sqrt(variance[k] / static_cast<double>(many)));
    }
    for (int k = 1; k < 4; ++k) {
        double const wanted = std::erfc((k + 1) / std::sqrt(2.0)) * static_cast<double>(many);
        CHECK(std::abs(static_cast<double>(beyond[k]) - wanted) < 5 * std::sqrt(wanted));
    }
    CHECK(most > 4.3);
    CHECK(most < 5.9);
}

TEST_CASE("gaussian: the distribution function is met everywhere") {
    auto z = drawn<float>(many);
    std::sort(z.begin(), z.end());
    double worst = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
        double const F = std::erfc(-static_cast<double>(z[i]) / std::sqrt(2.0)) / 2;
        worst = std::max(worst, std::abs(F - (static_cast<double>(i) + 0.5) / static_cast<double>(many)));
    }
    CHECK(worst * std::sqrt(static_cast<double>(many)) < 2);  // Kolmogorov: more than 2 once in 1,500 times
}

TEST_CASE("gaussian: numbers near each other, other seeds, streams and steps have nothing to do with each other") {
    double const least = 5 / std::sqrt(static_cast<double>(many));
    auto const z = drawn<float>(many);
    for (std::size_t shift : {1u, 2u, 3u, 4u, 8u, 16u, 31u, 32u, 64u, 4096u}) {
        CAPTURE(shift);
        CHECK(std::abs(correlation(z, z, shift)) < least);
    }
    auto squares = z;
    for (float& x : squares) x = (x * x - 1) / std::sqrt(2.0f);
    for (std::size_t shift : {1u, 4u, 16u, 32u}) CHECK(std::abs(correlation(squares, squares, shift)) < 2 * least);
    auto const high = std::uint64_t{1} << 32;
    for (auto const& other :
         {drawn<float>(many, 0, 2), drawn<float>(many, 0, 1 + high), drawn<float>(many, 0, 1, 3),
          drawn<float>(many, 0, 1, 2, 4), drawn<float>(many, 0, 1, 2, 3 + high), drawn<float>(many, many)})
        CHECK(std::abs(correlation(z, other)) < least);
}

TEST_CASE_TEMPLATE("gaussian: a number depends on its place, not on the run it is drawn in", T, float, double) {
    auto const z = drawn<T>(1000);
    for (index_t first : {0, 32, 64, 480, 960})
        for (index_t count : {1, 5, 31, 32, 33, 40}) {
            if (first + count > 1000) continue;
            auto const part = drawn<T>(count, first);
            CHECK(std::equal(part.begin(), part.end(), z.begin() + first));
        }
    CHECK(drawn<T>(0).empty());
}

TEST_CASE_TEMPLATE("gaussian: numbers of the formula, the same bits by packs of any width", T, float, double) {
    double const pi = 3.141592653589793, tolerance = sizeof(T) == 8 ? 1e-13 : 4e-6;
    auto const z = drawn<T>(4096, 1 << 20, 0x1234'5678'9abc'def0, 77, 0x5'0000'0006);
    double worst = 0;
    for (std::size_t run = 0; run < z.size(); run += 32)
        for (std::size_t i = 0; i < 16; ++i) {
            auto const word = [&](std::size_t k) {  // 32 words of eight draws: u from the first 16, v from the others
                auto const draw = static_cast<std::uint32_t>(((1 << 20) + run + k) / 4);
                return philox({draw, 5, 6, 77}, {0x9abcdef0, 0x12345678})[k % 4] >> 8;
            };
            double const u = (word(i) + 0.5) * 0x1p-24, v = (word(16 + i) + 0.5) * 0x1p-24;
            double const length = std::sqrt(-2 * std::log(u));
            worst = std::max({worst, std::abs(length * std::cos(2 * pi * v) - static_cast<double>(z[run + i])),
                              std::abs(length * std::sin(2 * pi * v) - static_cast<double>(z[run + 16 + i]))});
        }
    CHECK(worst < tolerance);
    // The bits of all of them in one number: packs of any width and no packs at all give these.
#if !GRAFT_SIMD || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    std::uint64_t bits = 0;
    for (T const x : z) {
        std::uint64_t b = 0;
        std::memcpy(&b, &x, sizeof x);
        bits = bits * 0x9e3779b97f4a7c15u + b;
    }
    CHECK(bits == (sizeof(T) == 8 ? 10598059477347008497u : 17330869209937477899u));
#endif
}
