// SPDX-License-Identifier: Apache-2.0
// What 16-bit numbers are worth, and rounding to them, by their definitions in double.
#pragma once

#include <graft/quant/stored.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace graft_test {

/// A 16-bit format: significant bits, the exponent of its least normal number, the first number that is infinite.
struct sixteen_bits {
    graft::resting how;
    int significant, least_exponent;
    double infinite;

    /// Bits to a number: no float is touched. Neither infinities nor what is not a number.
    double value(unsigned bits) const {
        int const stored = significant - 1;
        unsigned const exponent = (bits & 0x7fffu) >> stored, fraction = bits & ((1u << stored) - 1);
        double const size = exponent == 0
                                ? std::ldexp(fraction, least_exponent - stored)
                                : std::ldexp((1u << stored) + fraction,
                                             static_cast<int>(exponent) - 1 + least_exponent - stored);
        return bits & 0x8000u ? -size : size;
    }
    bool finite(unsigned bits) const { return (bits & 0x7fffu) < infinity(); }
    unsigned infinity() const { return how == graft::resting::half ? 0x7c00u : 0x7f80u; }
    /// One unit of the last place at x.
    double unit(double x) const {
        int const e = x == 0 ? least_exponent : std::max(std::ilogb(x), least_exponent);
        return std::ldexp(1, e - significant + 1);
    }
    /// The nearest number, ties to even.
    double nearest(double x) const {
        double const rounded = std::nearbyint(x / unit(x)) * unit(x);
        return std::abs(rounded) >= infinite ? std::copysign(std::numeric_limits<double>::infinity(), x) : rounded;
    }
};

inline sixteen_bits const half_format{graft::resting::half, 11, -14, 65536.0},
    brain_format{graft::resting::brain, 8, -126, 0x1p128};

}  // namespace graft_test
