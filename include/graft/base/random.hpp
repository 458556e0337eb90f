// SPDX-License-Identifier: Apache-2.0
// Random numbers that are a pure function of where they are used: nothing is stored.     (layer 0: base)
#pragma once

#include <graft/base/index.hpp>

#include <array>
#include <cstdint>

namespace graft {

/// Philox4x32-10: four random words from a counter and a key.
///
/// source   Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011), section 5 and table 2.
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        std::uint64_t const a = std::uint64_t{0xD2511F53} * counter[0], b = std::uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
        key[0] += 0x9E3779B9, key[1] += 0xBB67AE85;
    }
    return counter;
}

/// 64 random bits of draw `index` of `step` of `stream` under `seed`. Streams keep uses apart (initialisation,
/// shuffles, dropout …); 2³² steps and indices are distinct within each.
constexpr std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t step, std::uint64_t index) {
    auto const low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
    auto const word =
        philox({low(index), low(index >> 32) ^ low(step >> 32), low(step), low(stream)}, {low(seed), low(seed >> 32)});
    return std::uint64_t{word[0]} << 32 | word[1];
}

/// Uniform in [0, 1), a multiple of 2⁻⁵³.
constexpr double uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t step, std::uint64_t index) {
    return static_cast<double>(random_bits(seed, stream, step, index) >> 11) * 0x1p-53;
}

}  // namespace graft
