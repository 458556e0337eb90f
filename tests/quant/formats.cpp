// SPDX-License-Identifier: Apache-2.0
// Decoders against ggml's golden blocks, against plain words, and against blocks computed by hand.
#include "sha256.hpp"

#include <tests/support/data.hpp>

#include <graft/quant/formats.hpp>
#include <graft/quant/reference.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <vector>

using namespace graft;

namespace {

std::vector<std::byte> from_hex(std::string const& hex) {
    std::vector<std::byte> bytes(hex.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
    return bytes;
}

std::string hex_of(float const* x, std::size_t n) {
    std::string hex;
    for (std::size_t i = 0; i < n; ++i)
        for (int shift : {4, 0, 12, 8, 20, 16, 28, 24})
            hex += "0123456789abcdef"[std::bit_cast<std::uint32_t>(x[i]) >> shift & 15];
    return hex;
}

/// Bytes that look random, the same on every machine.
std::vector<std::byte> noise(std::size_t n, std::uint32_t seed) {
    std::vector<std::byte> bytes(n);
    for (auto& b : bytes) b = static_cast<std::byte>((seed = seed * 1664525u + 1013904223u) >> 24);
    return bytes;
}

bool same_bits(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

}  // namespace

TEST_CASE("formats: found by number and by name") {
    CHECK(find_format(3u) == &q4_1);
    CHECK(find_format(14u) == &q6_k);
    CHECK(find_format(4u) == nullptr);
    CHECK(find_format("Q4_K") == &q4_k);
    CHECK(find_format("bf16") == &bf16);
    CHECK(find_format("q4_") == nullptr);
    CHECK(find_format("q9_0") == nullptr);
    for (auto const& f : formats) {
        CHECK(&format_of(f.how->type) == f.how);
        CHECK(ggml_type_of(*f.how) == f.ggml_type);
    }
    CHECK(q6_k.row_bytes(512) == 420);
}

TEST_CASE("formats: blocks decode to ggml's bits") {
    auto const path = graft_test::shared_data("ggml_block_golden.json");
    if (!path) return;
    REQUIRE(graft_test::sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    auto const golden = nlohmann::json::parse(graft_test::read_file(*path));
    int blocks = 0;
    for (auto const& entry : golden.items()) {
        auto const& family = entry.value();
        std::string const name = entry.key();
        auto const* how = find_format(name);
        REQUIRE(how != nullptr);
        CHECK(how->bytes == family["block_bytes"].get<index_t>());
        CHECK(how->block == family["elems"].get<index_t>());
        for (auto const& b : family["blocks"]) {
            auto const bytes = from_hex(b["block_hex"]);
            std::vector<float> x(static_cast<std::size_t>(how->block));
            how->decode(bytes.data(), 0, how->block, x.data());
            INFO(name);
            CHECK(hex_of(x.data(), 8) == b["f32le_hex_first8"].get<std::string>());
            CHECK(hex_of(x.data() + x.size() - 4, 4) == b["f32le_hex_last4"].get<std::string>());
            CHECK(graft_test::sha256({reinterpret_cast<char const*>(x.data()), x.size() * 4}) ==
                  b["sha256_f32le"].get<std::string>());
            for (index_t i = 0; i < how->block; ++i)
                CHECK(same_bits(decode_one(*how, bytes.data(), i), x[static_cast<std::size_t>(i)]));
            ++blocks;
        }
    }
    CHECK(blocks >= 16);
}

TEST_CASE("formats: blocks computed by hand") {
    // d = 0.5 (0x3800), m = -1 (0xbc00); byte 0 holds 3 and 12, byte 15 holds 15 and 0.
    std::string const nibbles = "c3" + std::string(28, '8') + "0f";
    auto const check = [](format const& how, std::string const& hex,
                          std::vector<std::pair<std::size_t, float>> const& wanted) {
        auto const bytes = from_hex(hex);
        REQUIRE(static_cast<index_t>(bytes.size()) == how.bytes);
        std::vector<float> x(static_cast<std::size_t>(how.block));
        how.decode(bytes.data(), 0, how.block, x.data());
        for (auto const& w : wanted) {
            INFO(how.name, " ", w.first);
            CHECK(x[w.first] == w.second);
            CHECK(decode_one(how, bytes.data(), static_cast<index_t>(w.first)) == w.second);
        }
    };
    check(q4_0, "0038" + nibbles, {{0, -2.5f}, {16, 2.0f}, {15, 3.5f}, {31, -4.0f}, {1, 0.0f}});
    check(q4_1, "003800bc" + nibbles, {{0, 0.5f}, {16, 5.0f}, {15, 6.5f}, {31, -1.0f}, {1, 3.0f}});
    // Fifth bits of numbers 0, 15 and 31.
    check(q5_0, "003801800080" + nibbles, {{0, 1.5f}, {16, -2.0f}, {15, 7.5f}, {31, 0.0f}, {1, -4.0f}});
    check(q5_1, "003800bc01800080" + nibbles, {{0, 8.5f}, {16, 5.0f}, {15, 14.5f}, {31, 7.0f}, {1, 3.0f}});
    check(q8_0,
          "0038"
          "80" +
              std::string(60, '0') + "7f",
          {{0, -64.0f}, {31, 63.5f}, {1, 0.0f}});
    // Scales: group 0 has 2, minimum 1; group 4 has 1 | 3 << 4 = 49, minimum 2 | 1 << 4 = 18.
    std::string const scales =
        "c2000000"
        "41000000"
        "21000000";
    check(q4_k, "0038003c" + scales + "5a" + std::string(126, '0') + std::string(128, '1'),
          {{0, 9.0f}, {32, 0.0f}, {1, -1.0f}, {128, 24.5f - 18.0f}, {160, 0.0f}});
    check(q5_k,
          "0038003c" + scales + "11" + std::string(62, '0') + "5a" + std::string(126, '0') + std::string(128, '1'),
          {{0, 25.0f}, {1, -1.0f}, {128, 0.5f * 49 * 17 - 18.0f}, {129, 6.5f}});
    // Number 0: low 10, upper 1; number 64: low 5, upper 2; scales 3 (numbers 0 … 15) and -2 (numbers 64 … 79).
    check(q6_k,
          "5a" + std::string(254, '0') + "21" + std::string(126, '0') + "03000000fe" + std::string(22, '0') + "0038",
          {{0, 1.5f * (10 + 16 - 32)}, {64, -1.0f * (5 + 32 - 32)}, {1, 1.5f * -32}});
}

TEST_CASE("formats: any run decodes to the same numbers as one at a time") {
    for (auto const& f : formats) {
        format const& how = *f.how;
        index_t const columns = 768, step = how.block == 1 ? 1 : 32;
        auto const row = noise(static_cast<std::size_t>(how.row_bytes(columns)), 7u + f.ggml_type);
        INFO(how.name);
        std::vector<std::pair<index_t, index_t>> runs{{0, columns}, {64, 32}, {224, 96}, {736, 32}, {0, 0}};
        if (step == 1) runs.insert(runs.end(), {{1, 1}, {3, 17}, {700, 68}});
        for (auto const& [first, count] : runs) {
            std::vector<float> x(static_cast<std::size_t>(count) + 1, 77.0f);
            how.decode(row.data(), first, count, x.data());
            for (index_t l = 0; l < count; ++l) {
                float const wanted = decode_one(how, row.data(), first + l), got = x[static_cast<std::size_t>(l)];
                CHECK((same_bits(got, wanted) || (got != got && wanted != wanted)));
            }
            CHECK(x.back() == 77.0f);
        }
    }
}
