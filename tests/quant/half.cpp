// SPDX-License-Identifier: Apache-2.0
// Half precision and bfloat16 over all their values, and rounding at every boundary.
#include <doctest/doctest.h>

#include <graft/quant/half.hpp>

#include <cmath>

using namespace graft;

namespace {

/// The value of half-precision bits by the definition, in double.
double value_of(unsigned half) {
    int const exponent = static_cast<int>(half >> 10 & 31u);
    double const fraction = half & 1023u, sign = half & 0x8000u ? -1 : 1;
    if (exponent == 0) return sign * std::ldexp(fraction, -24);
    return sign * std::ldexp(1024 + fraction, exponent - 25);
}

}  // namespace

TEST_CASE("half: all finite values go to float and back") {
    for (unsigned h = 0; h < 0x10000u; ++h) {
        if ((h & 0x7c00u) == 0x7c00u) continue;
        float const x = half_to_float(static_cast<std::uint16_t>(h));
        REQUIRE(x == value_of(h));
        REQUIRE(std::signbit(x) == (h >= 0x8000u));
        REQUIRE(float_to_half(x) == h);
    }
}

TEST_CASE("half: midpoints round to even, their neighbours to the nearer") {
    for (unsigned h = 0; h < 0x7bffu; ++h) {
        auto const middle = static_cast<float>((value_of(h) + value_of(h + 1)) / 2);
        REQUIRE(float_to_half(middle) == (h % 2 ? h + 1 : h));
        REQUIRE(float_to_half(std::nextafter(middle, 0.0f)) == h);
        REQUIRE(float_to_half(std::nextafter(middle, 1e9f)) == h + 1);
        REQUIRE(float_to_half(-middle) == ((h % 2 ? h + 1 : h) | 0x8000u));
    }
    CHECK(float_to_half(65519.996f) == 0x7bffu);
    CHECK(float_to_half(65520.0f) == 0x7c00u);
    CHECK(float_to_half(1e-8f) == 0u);
}

TEST_CASE("half: infinities and what is not a number") {
    CHECK(float_to_half(INFINITY) == 0x7c00u);
    CHECK(float_to_half(-INFINITY) == 0xfc00u);
    CHECK(half_to_float(0x7c00) == INFINITY);
    CHECK(half_to_float(0xfc00) == -INFINITY);
    CHECK(std::isnan(half_to_float(float_to_half(NAN))));
    CHECK(std::isnan(half_to_float(0x7c01)));
}

TEST_CASE("half: bfloat16 rounds to the nearest even and keeps infinities") {
    for (unsigned h = 0; h < 0x10000u; ++h) {
        float const x = brain_to_float(static_cast<std::uint16_t>(h));
        if (std::isnan(x)) {
            REQUIRE(std::isnan(brain_to_float(float_to_brain(x))));
            continue;
        }
        REQUIRE(float_to_brain(x) == h);
        if ((h & 0x7fffu) >= 0x7f7fu) continue;
        auto const middle = std::bit_cast<float>(h << 16 | 0x8000u);
        REQUIRE(float_to_brain(middle) == (h % 2 ? h + 1 : h));
        REQUIRE(float_to_brain(std::bit_cast<float>(h << 16 | 0x7fffu)) == h);
        REQUIRE(float_to_brain(std::bit_cast<float>(h << 16 | 0x8001u)) == h + 1);
    }
    CHECK(float_to_brain(3.4e38f) == 0x7f80u);
}
