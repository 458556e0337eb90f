// SPDX-License-Identifier: Apache-2.0
// What the elementary functions share: bits of numbers, polynomials, products with their error.  (layer 3: simd)
#pragma once

#include <graft/simd/pack.hpp>

#include <array>
#include <cstddef>
#include <limits>
#include <utility>

namespace graft::detail {

/// The format of T, and the constants of its functions. All polynomials are minimax (Remez), computed in 50 digits; the
/// error each leaves is below a third of a unit in the last place.
template <class T>
struct number;
/// ln 2 = high + low with a high part that any exponent multiplies exactly; π/2 in three parts of full precision.
template <>
struct number<float> {
    static constexpr int fraction = 23, bias = 127;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
    static constexpr float round = 12582912.0f;  // 1.5 · 2^23: adding it leaves the integer in the low bits
    static constexpr float exp_low = -104.0f, exp_high = 89.0f;  // below: 0, above: infinity
    static constexpr float exp_normal = 87.0f;  // e^-x of less is a normal number
    static constexpr float exp_zero = -88.0f;   // the whole number nearest to it over ln 2 is -bias
    static constexpr float tanh_limit = 10.0f, expm1_limit = -25.0f;  // beyond: ±1
    static constexpr float quarter_turn[3] = {0x1.921fb6p+0f, -0x1.777a5cp-25f, -0x1.ee59dap-50f};
    static constexpr float angle_limit = 0x1p20f;
    static constexpr float two_thirds = 0x1.555556p-1f, two_thirds_low = -1.98682149e-8f;
    static constexpr float power_limit = 0x1p40f;  // b log a of a larger b is 0 or out of range
};
template <>
struct number<double> {
    static constexpr int fraction = 52, bias = 1023;
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr double round = 6755399441055744.0;  // 1.5 · 2^52
    static constexpr double exp_low = -746.0, exp_high = 710.0;
    static constexpr double exp_normal = 708.0, exp_zero = -709.0;
    static constexpr double tanh_limit = 20.0, expm1_limit = -45.0;
    static constexpr double quarter_turn[3] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};
    static constexpr double angle_limit = 0x1p40;
    static constexpr double two_thirds = 0x1.5555555555555p-1, two_thirds_low = 3.70074341541718847e-17;
    static constexpr double power_limit = 0x1p70;
};

template <class T, index_t W>
using bits_of = vector_t<bits_t<T>, W>;

template <class T, index_t W>
GRAFT_INLINE bits_of<T, W> as_bits(pack<T, W> a) {
    return std::bit_cast<bits_of<T, W>>(a);
}
template <class T, index_t W>
GRAFT_INLINE pack<T, W> as_numbers(bits_of<T, W> const& a) {
    return std::bit_cast<pack<T, W>>(a);
}

/// The bits of 1.
template <class T>
inline constexpr bits_t<T> one_bits = bits_t<T>(number<T>::bias) << number<T>::fraction;

/// 2^n of whole numbers, n from the least normal exponent to the one of infinity.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> power_of_two(bits_of<T, W> const& n) {
    return as_numbers<T, W>((n + number<T>::bias) << number<T>::fraction);
}

/// Size of a, sign of s.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> with_sign(pack<T, W> a, pack<T, W> s) {
    constexpr auto size = std::numeric_limits<bits_t<T>>::max();
    return as_numbers<T, W>((as_bits(a) & size) | (as_bits(s) & ~size));
}

/// c[0] + c[1] x + … + c[N - 1] x^(N - 1), unrolled.
template <class P, class T, std::size_t N, std::size_t... I>
GRAFT_INLINE P polynomial(std::array<T, N> const& c, P x, std::index_sequence<I...>) {
    P y = c[N - 1];
    ((y = fma(y, x, P(c[N - 2 - I]))), ...);
    return y;
}
template <class P, class T, std::size_t N>
GRAFT_INLINE P polynomial(std::array<T, N> const& c, P x) {
    return polynomial(c, x, std::make_index_sequence<N - 1>{});
}

/// a b - ab for the rounded product ab, exactly: by fma, or by halves of the factors (Dekker).
template <class T, index_t W>
GRAFT_INLINE pack<T, W> product_error(pack<T, W> a, pack<T, W> b, pack<T, W> ab) {
    if constexpr (has_fma<T>) {
        return fma(a, b, -ab);
    } else {
        pack<T, W> const split = T((bits_t<T>(1) << (number<T>::fraction / 2 + 1)) + 1);
        pack<T, W> const sa = split * a, ha = sa - (sa - a), la = a - ha;
        pack<T, W> const sb = split * b, hb = sb - (sb - b), lb = b - hb;
        return ((ha * hb - ab) + ha * lb + la * hb) + la * lb;
    }
}

/// x - a b where x is so close to a b that the difference of x and the rounded product is exact.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> minus_product(pack<T, W> x, pack<T, W> a, pack<T, W> b) {
    if constexpr (has_fma<T>) {
        return fma(-a, b, x);
    } else {
        pack<T, W> const ab = a * b;
        return (x - ab) - product_error(a, b, ab);
    }
}

}  // namespace graft::detail
