// SPDX-License-Identifier: Apache-2.0
// Sums and products of numbers that come from a file.                                    (layer 16: io)
#pragma once

#include <cstdint>

namespace graft {

/// out = a + b; false where that does not fit in 64 bits (out is then unspecified).
[[nodiscard]] constexpr bool checked_add(std::uint64_t a, std::uint64_t b, std::uint64_t& out) {
    return !__builtin_add_overflow(a, b, &out);
}

/// out = a · b; false where that does not fit in 64 bits (out is then unspecified).
[[nodiscard]] constexpr bool checked_mul(std::uint64_t a, std::uint64_t b, std::uint64_t& out) {
    return !__builtin_mul_overflow(a, b, &out);
}

/// out = the product of all of `factors`; false where it does not fit in 64 bits.
template <class Factors>
[[nodiscard]] constexpr bool checked_product(Factors const& factors, std::uint64_t& out) {
    out = 1;
    for (std::uint64_t const f : factors)
        if (!checked_mul(out, f, out)) return false;
    return true;
}

/// out = n rounded up to a multiple of `step` (a power of two); false where that does not fit in 64 bits.
[[nodiscard]] constexpr bool checked_align(std::uint64_t n, std::uint64_t step, std::uint64_t& out) {
    if (!checked_add(n, step - 1, out)) return false;
    out &= ~(step - 1);
    return true;
}

}  // namespace graft
