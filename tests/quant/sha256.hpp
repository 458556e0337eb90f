// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), for comparing decoded blocks with the digests of the golden file.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace graft_test {

/// The digest in hexadecimal.
inline std::string sha256(std::string_view bytes) {
    // The constants are the first 32 bits of the fractions of roots of the first primes.
    std::array<std::uint32_t, 64> k{};
    std::array<std::uint32_t, 8> h{};
    int found = 0;
    for (int n = 2; found < 64; ++n) {
        bool prime = true;
        for (int d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
        if (!prime) continue;
        auto const fraction = [](long double x) {
            return static_cast<std::uint32_t>((x - std::floor(x)) * 4294967296.0L);
        };
        if (found < 8) h[static_cast<std::size_t>(found)] = fraction(std::sqrt(static_cast<long double>(n)));
        k[static_cast<std::size_t>(found++)] = fraction(std::cbrt(static_cast<long double>(n)));
    }
    std::string m(bytes);
    m += '\x80';
    while (m.size() % 64 != 56) m += '\0';
    for (int i = 7; i >= 0; --i) m += static_cast<char>(bytes.size() * 8 >> (8 * i) & 255);
    for (std::size_t at = 0; at < m.size(); at += 64) {
        std::array<std::uint32_t, 64> w{};
        for (std::size_t i = 0; i < 64; ++i) {
            if (i < 16) {
                for (std::size_t j = 0; j < 4; ++j) w[i] = w[i] << 8 | static_cast<unsigned char>(m[at + 4 * i + j]);
            } else {
                auto const a = w[i - 15], b = w[i - 2];
                w[i] = w[i - 16] + w[i - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) +
                       (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
            }
        }
        auto s = h;
        for (std::size_t i = 0; i < 64; ++i) {
            auto const e = s[4], a = s[0];
            auto const t1 = s[7] + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                            ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
            auto const t2 =
                (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            s = {t1 + t2, s[0], s[1], s[2], s[3] + t1, s[4], s[5], s[6]};
        }
        for (std::size_t i = 0; i < 8; ++i) h[i] += s[i];
    }
    std::string hex;
    for (auto const word : h)
        for (int i = 28; i >= 0; i -= 4) hex += "0123456789abcdef"[word >> i & 15];
    return hex;
}

}  // namespace graft_test
