// SPDX-License-Identifier: Apache-2.0
// Dropout: each number by its own draw, in place, from any start.
#include <graft/kernel/dropout.hpp>
#include <tests/support/grid.hpp>

using namespace graft_test;

namespace {

/// Number i as the documentation says it.
template <class T>
T expected(T x, index_t i, double rate, std::uint64_t seed, std::uint64_t step) {
    auto const low = [](std::uint64_t n) { return static_cast<std::uint32_t>(n); };
    auto const draw = static_cast<std::uint64_t>(i / 4);
    auto const word = philox({low(draw), low(draw >> 32) ^ low(step >> 32), low(step), dropout_stream},
                             {low(seed), low(seed >> 32)})[static_cast<std::size_t>(i % 4)];
    return static_cast<double>(word) < std::floor(rate * 0x1p32) ? T(0) : x * static_cast<T>(1 / (1 - rate));
}

}  // namespace

TEST_CASE_TEMPLATE("dropout: every number follows its own draw, in place too, for every length and start", T, float,
                   double) {
    for (index_t n = 0; n <= 4 * 16 + 35; ++n)
        for (index_t const start : {0, 1}) {
            grid<T> const x(1, n + start, 1, 2.0);
            grid<T> y(1, n + start), in = x;
            T const* const from = x.numbers.data() + start;
            dropout(y.numbers.data() + start, from, n, 0.3, 5, 77);
            dropout(in.numbers.data() + start, static_cast<T const*>(in.numbers.data() + start), n, 0.3, 5, 77);
            for (index_t i = 0; i < n; ++i) {
                REQUIRE(y(0, i + start) == expected(from[i], i, 0.3, 5, 77));
                REQUIRE(in(0, i + start) == y(0, i + start));
            }
            CHECK(y.gaps_untouched());
        }
}

TEST_CASE("dropout: rates at the ends, the share that is kept, other seeds and steps, what is not a number") {
    constexpr index_t n = 40000;
    std::vector<float> const x(n, 1.0f);
    std::vector<float> y(n), other(n);
    auto const kept = [&](double rate, std::uint64_t seed, std::uint64_t step) {
        dropout(y.data(), x.data(), n, rate, seed, step);
        return static_cast<double>(n - std::count(y.begin(), y.end(), 0.0f)) / n;
    };
    CHECK(kept(0, 1, 1) == 1);
    CHECK(y == x);
    CHECK(kept(1, 1, 1) == 0);
    CHECK(std::abs(kept(0.25, 1, 1) - 0.75) < 0.01);
    other = y;
    CHECK(std::abs(kept(0.25, 2, 1) - 0.75) < 0.01);
    CHECK(y != other);
    CHECK(std::abs(kept(0.25, 1, 2) - 0.75) < 0.01);
    CHECK(y != other);
    CHECK(kept(0.25, 1, 1) > 0);
    CHECK(y == other);
    std::vector<float> const bad(n, poison<float>);
    dropout(y.data(), bad.data(), n, 0.25, 1, 1);
    for (std::size_t i = 0; i < n; ++i) REQUIRE((other[i] == 0 ? y[i] == 0 : std::isnan(y[i])));
    CHECK_THROWS(dropout(y.data(), x.data(), n, -0.1, 1, 1));
    CHECK_THROWS(dropout(y.data(), x.data(), n, 1.1, 1, 1));
    CHECK_THROWS(dropout(y.data(), x.data(), n, std::nan(""), 1, 1));
}
