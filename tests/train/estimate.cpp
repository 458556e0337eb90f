// SPDX-License-Identifier: Apache-2.0
// Directions: the normal numbers of their place, whoever adds them, as often as they are drawn again.
#include <graft/parallel/thread_pool.hpp>
#include <graft/train/estimate.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace graft;

namespace {

template <class T>
std::vector<T> moved(direction const& d, index_t layer, index_t count, workers const& on = {}, T start = 0) {
    std::vector<T> x(static_cast<std::size_t>(count) + 1, start);
    x.back() = T(-77);
    add_direction(x.data(), count, d, layer, on);
    REQUIRE(x.back() == T(-77));
    x.pop_back();
    return x;
}
template <class T>
double cosine(std::vector<T> const& a, std::vector<T> const& b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double const x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        ab += x * y, aa += x * x, bb += y * y;
    }
    return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE_TEMPLATE("estimate: a direction is normal, of unit length per parameter", T, float, double) {
    auto const z = moved<T>({5, 3, 1}, 2, 100'003);
    double mean = 0, square = 0;
    for (T const x : z) mean += static_cast<double>(x), square += static_cast<double>(x) * static_cast<double>(x);
    double const n = static_cast<double>(z.size());
    CHECK(std::abs(mean / n) < 5 / std::sqrt(n));
    CHECK(std::abs(square / n - 1) < 5 * std::sqrt(2 / n));
}

TEST_CASE_TEMPLATE("estimate: the factor is linear, and the same direction goes back where it came from", T, float,
                   double) {
    auto const z = moved<T>({5, 3, 1}, 0, 1000), half = moved<T>({5, 3, 0.5}, 0, 1000);
    for (std::size_t i = 0; i < z.size(); ++i) REQUIRE(half[i] == z[i] / 2);
    auto const from_one = moved<T>({5, 3, 1e-3}, 0, 1000, {}, T(1));
    for (std::size_t i = 0; i < z.size(); ++i) REQUIRE(from_one[i] == T(1) + static_cast<T>(1e-3) * z[i]);
    CHECK(moved<T>({5, 3, 0}, 0, 100) == std::vector<T>(100, T(0)));
}

TEST_CASE_TEMPLATE("estimate: who adds a direction, and how many parameters, changes no bit of it", T, float, double) {
    thread_pool pool(3);
    workers const three = pool.handle(nullptr, 0);
    index_t const most = 70'001;  // several pieces for three lanes, and a rest
    auto const z = moved<T>({9, 1, 1}, 4, most);
    CHECK(moved<T>({9, 1, 1}, 4, most, three) == z);
    for (index_t count : {1, 7, 31, 32, 33, 255, 256, 257, 16'384, 16'385, 20'000}) {
        auto const part = moved<T>({9, 1, 1}, 4, count, three);
        CHECK(std::equal(part.begin(), part.end(), z.begin()));
    }
}

TEST_CASE("estimate: seeds, draws and layers have directions of their own") {
    index_t const count = 40'000;
    auto const z = moved<double>({9, 1, 1}, 4, count);
    auto const high = std::uint64_t{1} << 32;
    for (auto const& other : {moved<double>({10, 1, 1}, 4, count), moved<double>({9, 2, 1}, 4, count),
                              moved<double>({9, 1, 1}, 5, count), moved<double>({9 + high, 1, 1}, 4, count),
                              moved<double>({9, 1 + high, 1}, 4, count)})
        CHECK(std::abs(cosine(z, other)) < 5 / std::sqrt(static_cast<double>(count)));
}
