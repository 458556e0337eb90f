// SPDX-License-Identifier: Apache-2.0
// The sizes of kernels' blocks, a function of the machine: the one place where they are decided.  (layer 3: simd)
#pragma once

#include <graft/simd/scalar.hpp>

namespace graft {

/// A target without SIMD registers is taken for a microcontroller: no cache to fill, and every byte of scratch is one
/// of a few hundred thousand. Its blocks are the smallest that still keep the registers busy; others fill a cache.
struct blocking {
    static constexpr bool small = native_width<float> == 1;
    static constexpr index_t depth = small ? 32 : 256;    // of a sum: the longest run packed at a time
    static constexpr index_t columns = small ? 32 : 128;  // of a product's right factor, packed at a time
    static constexpr index_t rows = small ? 4 : 6;        // of a small product, held in registers
    static constexpr index_t attention = small ? 8 : 64;  // rows and keys of a tile
    static constexpr index_t logits = small ? 64 : 512;   // of a row of the head, at a time
    static constexpr index_t head_rows = small ? 16 : 0;  // rows that the head takes at a time; 0: all
};

/// √x of x ≥ 0. Where double has no unit: half the exponent, then Newton's steps, instead of a library's function.
inline double refined_sqrt(double x) {
    if constexpr (!blocking::small) return sqrt(x);
    if (!(x > 0 && x <= std::numeric_limits<double>::max())) return x;  // 0, infinity, not a number
    double r = std::bit_cast<double>((std::bit_cast<std::int64_t>(x) >> 1) + (std::int64_t{0x1ff8} << 48));
    for (int step = 0; step < 5; ++step) r = (r + x / r) / 2;
    return r;
}

}  // namespace graft
