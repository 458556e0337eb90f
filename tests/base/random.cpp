// SPDX-License-Identifier: Apache-2.0
#include <graft/base/random.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace graft;

namespace {
using words = std::array<std::uint32_t, 4>;
// The published known answers of philox4x32-10.
static_assert(philox({0, 0, 0, 0}, {0, 0}) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
              words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
              words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}  // namespace

TEST_CASE("random: draws differ by seed, stream, step and index, and come again") {
    std::set<std::uint64_t> seen;
    for (std::uint64_t seed : {0, 1})
        for (std::uint64_t stream : {0, 1})
            for (std::uint64_t step : {0, 1})
                for (std::uint64_t index : {0, 1}) seen.insert(random_bits(seed, stream, step, index));
    CHECK(seen.size() == 16);
    CHECK(random_bits(7, 8, 9, 10) == random_bits(7, 8, 9, 10));
}

TEST_CASE("random: uniform draws have the mean and variance of the uniform distribution") {
    double sum = 0, square = 0;
    constexpr int count = 100000;
    for (std::uint64_t i = 0; i < count; ++i) {
        double const u = uniform(1, 2, 3, i);
        REQUIRE(u >= 0);
        REQUIRE(u < 1);
        sum += u, square += u * u;
    }
    CHECK(sum / count == doctest::Approx(0.5).epsilon(0.01));
    CHECK(square / count == doctest::Approx(1.0 / 3).epsilon(0.01));
}
