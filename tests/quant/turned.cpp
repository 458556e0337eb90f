// SPDX-License-Identifier: Apache-2.0
// Sixteen rows decoded side by side hold the bits of the rows decoded one by one.
#include <doctest/doctest.h>

#include <graft/quant/formats.hpp>
#include <graft/quant/turned.hpp>

#include <vector>

using namespace graft;

TEST_CASE("turned: every decoder gives the bits of the rows' decoder") {
    int found = 0;
    for (auto const& f : formats) {
        turned_decoder const sixteen = turned(*f.how);
        if (!sixteen) continue;
        ++found;
        INFO(f.how->name);
        index_t const columns = 160, row_bytes = f.how->row_bytes(columns);
        std::vector<std::byte> rows(static_cast<std::size_t>(16 * row_bytes));
        std::uint32_t seed = 5;
        for (auto& b : rows) b = static_cast<std::byte>((seed = seed * 1664525u + 1013904223u) >> 24);
        for (auto const& [first, count, width] : {std::array<index_t, 3>{0, 160, 16}, {32, 64, 48}, {128, 32, 19}}) {
            std::vector<float> out(static_cast<std::size_t>(count * width + 1), 7.0f),
                row(static_cast<std::size_t>(count));
            sixteen(rows.data(), row_bytes, first, count, out.data(), width);
            for (index_t j = 0; j < 16; ++j) {
                f.how->decode(rows.data() + j * row_bytes, first, count, row.data());
                for (index_t k = 0; k < count; ++k) {
                    auto const got = std::bit_cast<std::uint32_t>(out[static_cast<std::size_t>(k * width + j)]);
                    CHECK(got == std::bit_cast<std::uint32_t>(row[static_cast<std::size_t>(k)]));
                }
            }
            for (index_t k = 0; k < count; ++k)
                for (index_t j = 16; j < width; ++j) CHECK(out[static_cast<std::size_t>(k * width + j)] == 7.0f);
            CHECK(out.back() == 7.0f);
        }
    }
    CHECK(found == 3);
}
