// SPDX-License-Identifier: Apache-2.0
// Several draws at once are the draws one by one.
#include <doctest/doctest.h>

#include <graft/simd/philox.hpp>

using namespace graft;

TEST_CASE("philox: several draws at once give the words of each alone, also across 2^32") {
    for (std::uint64_t const seed : {0ull, 1ull, 0xfedcba9876543210ull})
        for (std::uint64_t const step : {0ull, 7ull, 0x123456789abcdefull})
            for (std::uint64_t const draw : {0ull, 5ull, 0xfffffffdull, 0x300000000ull}) {
                std::uint32_t words[4 * philox_draws];
                philox_words(words, draw, seed, 11, step);
                for (index_t k = 0; k < philox_draws; ++k) {
                    std::uint64_t const index = draw + static_cast<std::uint64_t>(k);
                    auto const low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
                    auto const one = philox({low(index), low(index >> 32) ^ low(step >> 32), low(step), 11},
                                            {low(seed), low(seed >> 32)});
                    for (index_t j = 0; j < 4; ++j) CHECK(words[4 * k + j] == one[static_cast<std::size_t>(j)]);
                    CHECK((std::uint64_t{one[0]} << 32 | one[1]) == random_bits(seed, 11, step, index));
                }
            }
}
