// SPDX-License-Identifier: Apache-2.0
#include <graft/memory/buffer.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace graft;

TEST_CASE("buffer: placement never overlaps what lives together, and shares what does not") {
    std::array<buffer, 40> all{};
    std::array<buffer*, 40> order{};
    unsigned random = 1;
    for (std::size_t i = 0; i < all.size(); ++i) {
        random = random * 1664525u + 1013904223u;
        all[i].bytes = 64 * (1 + random % 9), all[i].born = random / 16 % 30,
        all[i].dies = all[i].born + random / 512 % 10;
        order[i] = &all[i];
    }
    index_t const peak = place(order.data(), 40);
    index_t sum = 0, living = 0;
    for (auto const& a : all) {
        sum += a.bytes;
        CHECK(a.end() <= peak);
        for (auto const& b : all)
            if (&a != &b && a.meets(b)) CHECK(!a.covers(b));
    }
    for (index_t t = 0; t < 40; ++t) {
        index_t now = 0;
        for (auto const& a : all) now += a.born <= t && t <= a.dies ? a.bytes : 0;
        living = std::max(living, now);
    }
    CHECK(peak >= living);
    CHECK(peak < sum);
}
