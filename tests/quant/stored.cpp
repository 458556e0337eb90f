// SPDX-License-Identifier: Apache-2.0
// Numbers at rest: exact on the way up, the nearest on the way down, or a neighbour whose mean is the number itself.
#include <graft/quant/stored.hpp>

#include <tests/support/rounding.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace graft;
using namespace graft_test;

namespace {

constexpr std::uint64_t seed = 42, step = 0x1'0000'0007;
constexpr std::uint32_t stream = 9;

template <class T>
std::vector<T> laid_down(resting how, std::vector<T> const& x, bool randomly = false, std::uint64_t at = step,
                         std::uint64_t under = seed, std::uint32_t of = stream) {
    auto const count = static_cast<index_t>(x.size());
    std::vector<std::byte> bytes(static_cast<std::size_t>(count * bytes_of<T>(how)) + 2, std::byte{0x5a});
    if (randomly) lay_down_randomly(how, x.data(), count, bytes.data(), under, of, at);
    else lay_down(how, x.data(), count, bytes.data());
    REQUIRE(bytes.back() == std::byte{0x5a});
    std::vector<T> out(x.size());
    take_up(how, bytes.data(), count, out.data());
    return out;
}

/// Numbers of many sizes between `from` and `to`, both signs.
std::vector<float> spread(double from, double to, std::size_t count) {
    std::vector<float> x;
    for (std::size_t i = 0; i < count; ++i) {
        double const size = from * std::pow(to / from, uniform(3, 0, 0, i));
        x.push_back(static_cast<float>(i % 2 ? -size : size));
    }
    return x;
}

}  // namespace

TEST_CASE_TEMPLATE("stored: all 16-bit numbers survive, others become the nearest", T, float, double) {
    for (auto const& to : {half_format, brain_format}) {
        std::vector<T> x;
        for (unsigned h = 0; h < 0x10000u; ++h)
            if (to.finite(h)) x.push_back(static_cast<T>(to.value(h)));
        CHECK(laid_down(to.how, x) == x);
        CHECK(laid_down(to.how, x, true) == x);  // nothing to decide
        auto const some = spread(1e-8, 6e4, 1001);
        x.assign(some.begin(), some.end());
        auto const got = laid_down(to.how, x);
        for (std::size_t i = 0; i < x.size(); ++i)
            REQUIRE(static_cast<double>(got[i]) == to.nearest(static_cast<double>(x[i])));
        CHECK(laid_down(resting::same, x) == x);
        CHECK(laid_down(resting::same, x, true) == x);
    }
    CHECK(bytes_of<T>(resting::same) == sizeof(T));
    CHECK(bytes_of<T>(resting::half) == 2);
    CHECK(bytes_of<T>(resting::brain) == 2);
}

TEST_CASE("stored: rounding at random gives a neighbour, and the number itself on average") {
    struct range { sixteen_bits to; double from, end; };
    for (auto const& [to, from, end] :
         {range{half_format, 1e-7, 6e-5}, range{half_format, 6e-5, 32767}, range{brain_format, 1e-40, 1e-37},
          range{brain_format, 1e-37, 1e37}}) {  // subnormal ones, then normal ones
        auto const x = spread(from, end, 501);
        constexpr int draws = 2000;
        std::vector<double> ups(x.size());
        for (int k = 0; k < draws; ++k) {
            auto const got = laid_down(to.how, x, true, static_cast<std::uint64_t>(k));
            for (std::size_t i = 0; i < x.size(); ++i) {
                double const v = std::abs(static_cast<double>(x[i])), unit = to.unit(v), low = std::floor(v / unit);
                double const y = std::abs(static_cast<double>(got[i])) / unit;
                REQUIRE((y == low || y == low + 1));
                REQUIRE(std::signbit(got[i]) == std::signbit(x[i]));
                ups[i] += y - low;
            }
        }
        double worst = 0, sum = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            double const v = std::abs(static_cast<double>(x[i])) / to.unit(static_cast<double>(x[i]));
            double const p = v - std::floor(v);
            if (p == 0) continue;
            double const off = (ups[i] - draws * p) / std::sqrt(draws * p * (1 - p) + 1);
            worst = std::max(worst, std::abs(off)), sum += off;
        }
        CHECK(worst < 4.5);                                               // 501 normal numbers: 3.1 expected
        CHECK(std::abs(sum) < 4 * std::sqrt(static_cast<double>(x.size())));  // and no drift of all together
    }
}

TEST_CASE("stored: the words of draw i / 4 decide about number i, for the whole width of a place") {
    for (auto const& to : {half_format, brain_format}) {
        std::vector<float> x;
        for (std::size_t i = 0; i < 23; ++i)  // 1 and a quarter, a half, three quarters of a unit
            x.push_back(static_cast<float>(1 + to.unit(1) / 4 * static_cast<double>(1 + i % 3)));
        auto const got = laid_down(to.how, x, true);
        for (std::size_t i = 0; i < x.size(); ++i) {
            auto const low = [](std::uint64_t w) { return static_cast<std::uint32_t>(w); };
            auto const word = philox({static_cast<std::uint32_t>(i / 4), low(step >> 32), low(step), stream},
                                     {low(seed), low(seed >> 32)})[i % 4];
            double const part = static_cast<double>(1 + i % 3) / 4, up = static_cast<double>(word) * 0x1p-32;
            REQUIRE(std::abs(up - (1 - part)) > 1e-4);  // the words are not at the border
            CHECK((got[i] > 1.0f) == (up > 1 - part));
        }
    }
}

TEST_CASE("stored: other seeds, streams and steps decide otherwise, the same ones alike") {
    std::vector<float> const x(256, 1.0001f);
    auto const base = laid_down(resting::brain, x, true);
    CHECK(base == laid_down(resting::brain, x, true));
    CHECK(base != laid_down(resting::brain, x, true, step + 1));
    CHECK(base != laid_down(resting::brain, x, true, step, seed + 1));
    CHECK(base != laid_down(resting::brain, x, true, step, seed, stream + 1));
}

TEST_CASE("stored: what has no neighbour to go to stays what it is when rounded at random") {
    float const inf = std::numeric_limits<float>::infinity();
    for (resting how : {resting::half, resting::brain})
        for (float x : {inf, -inf, 0.0f, -0.0f, 32768.0f, 65504.0f}) {
            if (how == resting::brain && x == 65504.0f) continue;
            auto const got = laid_down(how, std::vector<float>(64, x), true);
            for (float y : got) REQUIRE((y == x && std::signbit(y) == std::signbit(x)));
        }
    for (float y : laid_down(resting::half, std::vector<float>(64, 65519.0f), true)) CHECK(y == 65504.0f);
    for (resting how : {resting::half, resting::brain})
        for (float y : laid_down(how, std::vector<float>(64, std::bit_cast<float>(0x7f800001u)), true))
            CHECK(std::isnan(y));
}

TEST_CASE("stored: steps of a hundredth of the last place add up") {
    float const start = 1, each = 0x1p-8f / 50;
    std::vector<float> random(256, start), nearest = random;
    for (std::uint64_t k = 0; k < 500; ++k) {
        for (float& x : random) x += each;
        for (float& x : nearest) x += each;
        random = laid_down(resting::brain, random, true, k), nearest = laid_down(resting::brain, nearest);
    }
    double mean = 0;
    for (float x : random) mean += static_cast<double>(x) / 256;
    CHECK(mean == doctest::Approx(1 + 500 * 0x1p-8 / 50).epsilon(2e-3));
    CHECK(nearest == std::vector<float>(256, start));
}
