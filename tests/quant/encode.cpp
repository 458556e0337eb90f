// SPDX-License-Identifier: Apache-2.0
// Encoders: whole blocks by hand, errors within the format's step, and refusals.
#include <doctest/doctest.h>

#include <graft/quant/encode.hpp>
#include <graft/quant/formats.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace graft;

namespace {

std::vector<std::byte> encoded(format const& how, std::vector<float> const& x) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(how.row_bytes(static_cast<index_t>(x.size()))));
    encode(how, x.data(), static_cast<index_t>(x.size()), bytes.data());
    return bytes;
}

std::vector<float> decoded(format const& how, std::vector<std::byte> const& bytes, std::size_t count) {
    std::vector<float> x(count);
    how.decode(bytes.data(), 0, static_cast<index_t>(count), x.data());
    return x;
}

/// 32 numbers from -1.6 up by 0.1, times `size`.
std::vector<float> ramp(float size) {
    std::vector<float> x(32);
    for (std::size_t i = 0; i < 32; ++i) x[i] = size * (static_cast<float>(i) - 16) / 10;
    return x;
}

int byte(std::vector<std::byte> const& b, std::size_t i) { return static_cast<int>(b[i]); }

}  // namespace

TEST_CASE("encode: q4_0 puts the number of largest magnitude at -8") {
    std::vector<float> x(32, 0.0f);
    x[0] = 4, x[1] = -4, x[2] = 1, x[17] = -0.75f;
    auto const b = encoded(q4_0, x);
    CHECK(byte(b, 0) == 0x00);  // d = 4 / -8 = -0.5 = 0xb800
    CHECK(byte(b, 1) == 0xb8);
    CHECK(byte(b, 2) == 0x80);  // -8 and 0
    CHECK(byte(b, 3) == 0xaf);  // 8 would not fit: 15 (7); number 17: 1.5 rounds up to 2, 10
    CHECK(byte(b, 4) == 0x86);  // -2 and 0
    auto const y = decoded(q4_0, b, 32);
    CHECK(y[0] == 4);
    CHECK(y[1] == -3.5f);
    CHECK(y[17] == -1);
}

TEST_CASE("encode: q4_1 and q5_1 spread a block between its smallest and largest number") {
    std::vector<float> x(32);
    for (std::size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i % 16) - 3;
    auto const b = encoded(q4_1, x);
    CHECK(byte(b, 1) == 0x3c);  // d = 1
    CHECK(byte(b, 3) == 0xc2);  // m = -3
    CHECK(byte(b, 4) == 0x00);
    CHECK(byte(b, 4 + 13) == 0xdd);
    CHECK(decoded(q4_1, b, 32) == x);
    for (std::size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i) * 2 + 1;
    CHECK(decoded(q5_1, encoded(q5_1, x), 32) == x);
}

TEST_CASE("encode: q5_0 has a fifth bit, q8_0 rounds half away from zero") {
    std::vector<float> x(32);
    for (std::size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i) - 16;
    CHECK(decoded(q5_0, encoded(q5_0, x), 32) == x);
    std::vector<float> y(32, 0.0f);
    y[0] = 127, y[1] = 2.5f, y[2] = -2.5f, y[3] = 2.4f, y[31] = -127;
    auto const b = encoded(q8_0, y);
    CHECK(byte(b, 1) == 0x3c);
    CHECK(byte(b, 2) == 127);
    CHECK(byte(b, 3) == 3);
    CHECK(byte(b, 4) == 0xfd);
    CHECK(byte(b, 5) == 2);
    CHECK(byte(b, 33) == 0x81);
}

TEST_CASE("encode: what is decoded lies within the format's step") {
    struct limit {
        format const* how;
        float step;
    };
    for (float const size : {1.0f, 0.05f, 250.0f}) {
        auto x = ramp(size);
        auto const more = ramp(size * 0.3f);
        x.insert(x.end(), more.begin(), more.end());
        constexpr limit limits[] = {{&f32, 0},       {&f16, 1e-3f},   {&bf16, 7e-3f},  {&q4_0, 0.201f},
                                    {&q4_1, 0.104f}, {&q5_0, 0.101f}, {&q5_1, 0.051f}, {&q8_0, 0.007f}};
        for (auto const& l : limits) {
            format const* const how = l.how;
            float const step = l.step;
            INFO(how->name, " ", size);
            auto const y = decoded(*how, encoded(*how, x), x.size());
            for (std::size_t i = 0; i < x.size(); ++i)
                CHECK(std::abs(y[i] - x[i]) <= step * size * (i < 32 ? 1.0f : 0.31f));
        }
    }
}

TEST_CASE("encode: blocks of zeros and of equal numbers") {
    for (auto const* how : {&f32, &f16, &bf16, &q4_0, &q4_1, &q5_0, &q5_1, &q8_0}) {
        std::vector<float> const zero(64, 0.0f), same(64, 0.5f);
        CHECK(decoded(*how, encoded(*how, zero), 64) == zero);
        for (float const v : decoded(*how, encoded(*how, same), 64)) CHECK(v == doctest::Approx(0.5).epsilon(1e-3));
    }
}

TEST_CASE("encode: refuses K blocks, broken rows, and numbers that do not fit") {
    std::vector<float> x(256, 1.0f);
    std::vector<std::byte> to(2048);
    CHECK(!encodes(q4_k));
    CHECK_THROWS_AS(encode(q4_k, x.data(), 256, to.data()), failure);
    CHECK_THROWS_AS(encode(q8_0, x.data(), 33, to.data()), failure);
    for (auto const* how : {&f32, &f16, &q4_0, &q8_0}) {
        for (float const bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
            x[40] = bad;
            CHECK_THROWS_AS(encode(*how, x.data(), 64, to.data()), failure);
        }
    }
    x[40] = 3e38f;
    CHECK_THROWS_AS(encode(f16, x.data(), 64, to.data()), failure);
    CHECK_THROWS_AS(encode(q8_0, x.data(), 64, to.data()), failure);
    encode(f32, x.data(), 64, to.data());
}
