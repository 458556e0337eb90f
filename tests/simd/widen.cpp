// SPDX-License-Identifier: Apache-2.0
// Small integers, halves and bits become the right floats in the right order.
#include <doctest/doctest.h>

#include <graft/simd/widen.hpp>

#include <array>
#include <cmath>
#include <vector>

using namespace graft;

TEST_CASE("widen: sixteen signed bytes, scaled and shifted") {
    std::array<std::int8_t, 16> in{};
    for (int i = 0; i < 16; ++i) in[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(i * 17 - 128);
    auto const q = std::bit_cast<signed16>(load_bytes16(in.data()));
    std::array<float, 18> out;
    out.fill(-1);
    store_scaled(q, 0.5f, out.data() + 1);
    for (std::size_t i = 0; i < 16; ++i) CHECK(out[i + 1] == 0.5f * in[i]);
    store_affine(q, 0.25f, 3.0f, out.data() + 1);
    for (std::size_t i = 0; i < 16; ++i) CHECK(out[i + 1] == 0.25f * in[i] + 3.0f);
    CHECK(out[0] == -1);
    CHECK(out[17] == -1);
}

TEST_CASE("widen: a bit becomes a byte of ones") {
    for (unsigned bits : {0u, 1u, 0x8000u, 0x5a3cu, 0xffffu}) {
        bytes16 const b = spread_bits(bits);
        for (unsigned l = 0; l < 16; ++l) CHECK(b[l] == (bits >> l & 1u ? 255 : 0));
    }
}

TEST_CASE("widen: rows of halves and brain floats of any length and alignment") {
    std::vector<std::byte> memory(2 * 41 + 1);
    std::byte* const from = memory.data() + 1;
    for (index_t i = 0; i < 41; ++i) {
        auto const bits = static_cast<std::uint16_t>(0x3c00 + 64 * i);
        std::memcpy(from + 2 * i, &bits, 2);
    }
    for (index_t count : {0, 1, 7, 8, 15, 16, 33, 41}) {
        std::vector<float> out(static_cast<std::size_t>(count) + 1, -1.0f);
        halves_to_floats(from, count, out.data());
        for (index_t i = 0; i < count; ++i) {
            float const wanted = std::ldexp(1.0f + static_cast<float>(i % 16) / 16, static_cast<int>(i / 16));
            CHECK(out[static_cast<std::size_t>(i)] == wanted);
        }
        CHECK(out.back() == -1.0f);
        brain_to_floats(from, count, out.data());
        for (index_t i = 0; i < count; ++i)
            CHECK(out[static_cast<std::size_t>(i)] ==
                  std::bit_cast<float>(static_cast<std::uint32_t>(0x3c00 + 64 * i) << 16));
        CHECK(out.back() == -1.0f);
    }
}
