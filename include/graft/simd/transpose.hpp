// SPDX-License-Identifier: Apache-2.0
// A square of numbers transposed in registers.                                           (layer 3: simd)
#pragma once

#include <graft/simd/pack.hpp>

#include <utility>

namespace graft {

namespace detail {

/// Element i of the result is number at(i) of a followed by b.
template <class At, class V, index_t... I>
GRAFT_INLINE V shuffled(V const& a, V const& b, std::integer_sequence<index_t, I...>) {
    return __builtin_shufflevector(a, b, At::at(I)...);
}

/// Units of U numbers from the low (or high) halves of 16-byte lanes, by turns from a and b: what one unpack does.
template <index_t W, index_t Lane, index_t U, bool High>
struct zip_in_lanes {
    static constexpr int at(index_t i) {
        index_t const in_lane = i % Lane, unit = in_lane / U;
        return static_cast<int>(i - in_lane + unit / 2 * U + in_lane % U + (High ? Lane / 2 : 0) + (unit % 2 ? W : 0));
    }
};

/// Even (or odd) blocks of D numbers, by turns from a and b: the off-diagonal blocks change places.
template <index_t W, index_t D, bool Odd>
struct swap_blocks {
    static constexpr int at(index_t i) {
        bool const from_b = i / D % 2 != 0;
        return static_cast<int>(i + (Odd && !from_b ? D : 0) - (!Odd && from_b ? D : 0) + (from_b ? W : 0));
    }
};

}  // namespace detail

/// Rows become columns: afterwards r[i] holds the i-th numbers of the former r[0], r[1], …
template <class T>
GRAFT_INLINE void transpose(detail::vector_t<T, native_width<T>> (&r)[native_width<T>]) {
    constexpr index_t W = native_width<T>, lane = W < index_t(16 / sizeof(T)) ? W : index_t(16 / sizeof(T));
    constexpr auto all = std::make_integer_sequence<index_t, W>{};
    using V = detail::vector_t<T, W>;
    // Squares of one 16-byte lane, by unpacking.
    if constexpr (lane == 4) {
        for (index_t i = 0; i < W; i += 4) {
            V const ab_low = detail::shuffled<detail::zip_in_lanes<W, 4, 1, false>>(r[i], r[i + 1], all);
            V const ab_high = detail::shuffled<detail::zip_in_lanes<W, 4, 1, true>>(r[i], r[i + 1], all);
            V const cd_low = detail::shuffled<detail::zip_in_lanes<W, 4, 1, false>>(r[i + 2], r[i + 3], all);
            V const cd_high = detail::shuffled<detail::zip_in_lanes<W, 4, 1, true>>(r[i + 2], r[i + 3], all);
            r[i] = detail::shuffled<detail::zip_in_lanes<W, 4, 2, false>>(ab_low, cd_low, all);
            r[i + 1] = detail::shuffled<detail::zip_in_lanes<W, 4, 2, true>>(ab_low, cd_low, all);
            r[i + 2] = detail::shuffled<detail::zip_in_lanes<W, 4, 2, false>>(ab_high, cd_high, all);
            r[i + 3] = detail::shuffled<detail::zip_in_lanes<W, 4, 2, true>>(ab_high, cd_high, all);
        }
    } else if constexpr (lane == 2) {
        for (index_t i = 0; i < W; i += 2) {
            V const low = detail::shuffled<detail::zip_in_lanes<W, 2, 1, false>>(r[i], r[i + 1], all);
            r[i + 1] = detail::shuffled<detail::zip_in_lanes<W, 2, 1, true>>(r[i], r[i + 1], all);
            r[i] = low;
        }
    }
    // Then the square of lanes: blocks of one lane, of two, …
    auto const blocks = [&]<index_t D>(std::integral_constant<index_t, D>) __attribute__((always_inline)) {
        if constexpr (D < W) {
            for (index_t i = 0; i < W; ++i) {
                if (i & D) continue;
                V const even = detail::shuffled<detail::swap_blocks<W, D, false>>(r[i], r[i + D], all);
                r[i + D] = detail::shuffled<detail::swap_blocks<W, D, true>>(r[i], r[i + D], all);
                r[i] = even;
            }
        }
    };
    blocks(std::integral_constant<index_t, lane>{});
    blocks(std::integral_constant<index_t, 2 * lane>{});
}

}  // namespace graft
