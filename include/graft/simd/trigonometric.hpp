// SPDX-License-Identifier: Apache-2.0
// Sine and cosine on packs and scalars.                                                   (layer 3: simd)
#pragma once

#include <graft/simd/number.hpp>

namespace graft {

namespace detail {

/// (sin r / r - 1) / r² and (cos r - 1 + r²/2) / r⁴ in powers of r², for |r| ≤ π/4.
template <class T>
inline constexpr std::array<T, 6> sine_series{-0.1666666666666662851,    0.008333333333321436677,
                                              -0.0001984126982896670896, 2.755731338401250368e-6,
                                              -2.50507078135600981e-8,   1.589377618440946366e-10};
template <>
inline constexpr std::array<float, 3> sine_series<float>{-0.1666665429f, 0.00833213425f, -0.0001951113159f};
template <class T>
inline constexpr std::array<T, 6> cosine_series{0.04166666666666660497,  -0.001388888888887458704,
                                                2.480158728955293792e-5, -2.755731432461300896e-7,
                                                2.087571428655046604e-9, -1.135896017843161918e-11};
template <>
inline constexpr std::array<float, 3> cosine_series<float>{0.04166664591f, -0.001388731643f, 2.44322154e-5f};

/// sin(x + quarter π/2). Taking n π/2 off x is exact in its first part, since what is left has few digits.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> turned_sine(pack<T, W> x, bits_t<T> quarter) {
    using P = pack<T, W>;
    using N = number<T>;
    P const shift = N::round, one = T(1);
    P const t = fma(x, P(T(0.63661977236758134)), shift), n = t - shift;
    P r = minus_product(x, n, P(N::quarter_turn[0]));
    r = minus_product(r, n, P(N::quarter_turn[1]));
    r = fma(n, P(-N::quarter_turn[2]), r);
    P const z = r * r;
    P const sine = fma(r * z, polynomial(sine_series<T>, z), r);
    P const cosine = fma(z * z, polynomial(cosine_series<T>, z), fma(P(T(-0.5)), z, one));
    bits_of<T, W> const turn = as_bits(t) + quarter, odd = -(turn & 1);
    bits_of<T, W> const sign = (turn >> 1) << (N::fraction + (sizeof(T) == 4 ? 8 : 11));
    P const y = as_numbers<T, W>(((as_bits(cosine) & odd) | (as_bits(sine) & ~odd)) ^ sign);
    return select(P(N::angle_limit) < abs(x), P(std::numeric_limits<T>::quiet_NaN()), y);
}

}  // namespace detail

/// Sine and cosine of radians; not a number beyond 2^20 (float) or 2^40 (double).
template <class T, index_t W>
GRAFT_INLINE pack<T, W> sin(pack<T, W> x) {
    return select(x == pack<T, W>(T(0)), x, detail::turned_sine(x, 0));
}
template <class T, index_t W>
GRAFT_INLINE pack<T, W> cos(pack<T, W> x) {
    return detail::turned_sine(x, 1);
}

template <std::floating_point T>
T sin(T x) {
    return sin(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T cos(T x) {
    return cos(pack<T, 1>(x)).v[0];
}

}  // namespace graft
