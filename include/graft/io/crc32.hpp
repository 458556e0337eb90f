// SPDX-License-Identifier: Apache-2.0
// The checksum of zip and PNG, which tells a damaged file from a whole one.              (layer 16: io)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace graft {

namespace detail {

/// Remainders of all bytes by the polynomial 0xEDB88320 (bits reversed).
inline constexpr auto crc32_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t r = i;
        for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ ((r & 1) != 0 ? 0xEDB88320u : 0u);
        table[i] = r;
    }
    return table;
}();

}  // namespace detail

/// CRC-32 (IEEE 802.3) of `bytes`; `before` is the checksum of what came before them.
constexpr std::uint32_t crc32(std::span<std::byte const> bytes, std::uint32_t before = 0) {
    std::uint32_t r = ~before;
    for (std::byte const b : bytes) r = (r >> 8) ^ detail::crc32_table[(r ^ std::to_integer<std::uint32_t>(b)) & 0xFF];
    return ~r;
}

}  // namespace graft
