// SPDX-License-Identifier: Apache-2.0
// Floats to 16 bits, in rows of any length, against rounding by its definition in double.
#include <graft/simd/narrow.hpp>

#include <tests/support/rounding.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace graft;
using namespace graft_test;

namespace {

std::vector<std::uint16_t> narrowed(sixteen_bits const& to, std::vector<float> const& x) {
    std::vector<std::byte> bytes(2 * x.size() + 3, std::byte{0x5a});
    std::byte* const at = bytes.data() + 1;  // any alignment
    (to.how == resting::half ? floats_to_halves : floats_to_brain)(x.data(), static_cast<index_t>(x.size()), at);
    REQUIRE(bytes.front() == std::byte{0x5a});
    REQUIRE(bytes.back() == std::byte{0x5a});
    std::vector<std::uint16_t> out(x.size());
    if (!x.empty()) std::memcpy(out.data(), at, 2 * x.size());
    return out;
}

void check_nearest(sixteen_bits const& to, std::vector<float> const& x) {
    auto const got = narrowed(to, x);
    for (std::size_t i = 0; i < x.size(); ++i) {
        CAPTURE(x[i]);
        double const wanted = to.nearest(static_cast<double>(x[i]));
        REQUIRE((got[i] >= 0x8000u) == std::signbit(x[i]));
        if (std::isinf(wanted))
            REQUIRE((got[i] & 0x7fffu) == to.infinity());
        else
            REQUIRE(to.value(got[i]) == wanted);
        REQUIRE(got[i] == (to.how == resting::half ? float_to_half(x[i]) : float_to_brain(x[i])));
    }
}

}  // namespace

TEST_CASE("narrow: every 16-bit number, every midpoint and both floats beside it go to the nearest") {
    for (auto const& to : {half_format, brain_format}) {
        std::vector<float> x;
        for (unsigned h = 0; h < 0x10000u; ++h) {
            if (!to.finite(h)) continue;
            auto const v = static_cast<float>(to.value(h));
            auto const middle = static_cast<float>(to.value(h) + (h & 0x8000u ? -0.5 : 0.5) * to.unit(to.value(h)));
            for (float y : {v, middle, std::nextafter(middle, 0.0f), std::nextafter(middle, 2 * middle)})
                x.push_back(y);
        }
        check_nearest(to, x);
    }
}

TEST_CASE("narrow: floats of all sizes, subnormal ones too, go to the nearest") {
    std::vector<float> x;
    for (std::uint64_t i = 0; x.size() < 400'000; ++i)
        if (auto const y = std::bit_cast<float>(static_cast<std::uint32_t>(random_bits(1, 2, 3, i))); std::isfinite(y))
            x.push_back(y), x.push_back(std::ldexp(y, -std::ilogb(y) - static_cast<int>(i % 40)));
    check_nearest(half_format, x), check_nearest(brain_format, x);
}

TEST_CASE("narrow: rows of any length write what they should and no more") {
    for (std::size_t count = 0; count <= 40; ++count) {
        std::vector<float> x;
        for (std::size_t i = 0; i < count; ++i) x.push_back(0.37f * static_cast<float>(i) - 3);
        check_nearest(half_format, x), check_nearest(brain_format, x);
    }
}

TEST_CASE("narrow: infinities stay, and what is not a number stays none") {
    float const inf = std::numeric_limits<float>::infinity();
    std::vector<float> x(32, 0.0f);
    for (std::size_t i = 0; i < 16; ++i)  // NaNs whose payload lies in the bits that are cut off, and in those kept
        x[i] = std::bit_cast<float>(0x7f800000u | 1u << i | (i % 2 ? 0x80000000u : 0u));
    x[16] = inf, x[17] = -inf, x[18] = -0.0f;
    for (auto const& to : {half_format, brain_format}) {
        auto const got = narrowed(to, x);
        for (std::size_t i = 0; i < 16; ++i) {
            CHECK((got[i] & 0x7fffu) > to.infinity());
            CHECK((got[i] >= 0x8000u) == (i % 2 == 1));
        }
        CHECK(got[16] == to.infinity());
        CHECK(got[17] == (0x8000u | to.infinity()));
        CHECK(got[18] == 0x8000u);
    }
}
