// SPDX-License-Identifier: Apache-2.0
// exp, log, sigmoid, tanh on packs and scalars, sin and cos on scalars: own polynomials.  (layer 3: simd)
#pragma once

#include <graft/simd/pack.hpp>

#include <array>
#include <cstddef>
#include <limits>
#include <utility>

// One implementation for every width: each operation is a single rounding or an explicit fma, so a number's result
// depends neither on the width of its pack nor on its lane (targets without fma round more often). Errors in units of
// the last place: exp 1.1, log 0.9, sigmoid and tanh 2.5; tests/simd/math.cpp measures them.

namespace graft {

namespace detail {

template <class T>
struct number;
/// float: 24 bits, exponent bias 127; ln 2 = high + low with a high part that any exponent multiplies exactly.
template <>
struct number<float> {
    static constexpr int fraction = 23, bias = 127, exp_terms = 8, log_terms = 4;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
    static constexpr float round = 12582912.0f;  // 1.5 · 2^23: adding it leaves the integer in the low bits
    static constexpr float exp_low = -104.0f, exp_high = 89.0f;  // below: 0, above: infinity
    static constexpr float tanh_limit = 10.0f;                   // beyond: ±1
};
template <>
struct number<double> {
    static constexpr int fraction = 52, bias = 1023, exp_terms = 14, log_terms = 11;
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr double round = 6755399441055744.0;  // 1.5 · 2^52
    static constexpr double exp_low = -746.0, exp_high = 710.0;
    static constexpr double tanh_limit = 20.0;
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

/// 2^n of whole numbers, n within the normal exponents.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> power_of_two(bits_of<T, W> const& n) {
    return as_numbers<T, W>((n + number<T>::bias) << number<T>::fraction);
}

/// x = n ln 2 + r with |r| ≤ ln 2 / 2, and n as a whole number.
template <class T, index_t W>
struct exponent_split {
    bits_of<T, W> n;
    pack<T, W> r;

    GRAFT_INLINE explicit exponent_split(pack<T, W> x) {
        using P = pack<T, W>;
        P const shift = number<T>::round;
        P const t = fma(x, P(T(1.4426950408889634)), shift);
        n = as_bits(t) - as_bits(shift);
        P const whole = t - shift;
        r = fma(-whole, P(number<T>::ln2_low), fma(-whole, P(number<T>::ln2_high), x));
    }
};

template <class T>
constexpr T inverse_factorial(int k) {
    double f = 1;
    for (int i = 2; i <= k; ++i) f *= i;
    return static_cast<T>(1 / f);
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

/// 1 / k! for k = First, First + Step … Last, with turning signs where `Alternate`: the series of exp, sin and cos.
template <class T, int First, int Last, int Step, bool Alternate>
inline constexpr auto factorials = [] {
    std::array<T, static_cast<std::size_t>((Last - First) / Step + 1)> c{};
    for (int i = 0; i <= (Last - First) / Step; ++i)
        c[static_cast<std::size_t>(i)] = inverse_factorial<T>(First + i * Step) * (Alternate && i % 2 ? T(-1) : T(1));
    return c;
}();

/// 2 / (2k + 1) for k = 1 … : the series of 2 atanh(s) / s - 2 in powers of s².
template <class T>
inline constexpr auto odd_inverses = [] {
    std::array<T, static_cast<std::size_t>(number<T>::log_terms)> c{};
    for (int k = 1; k <= number<T>::log_terms; ++k) c[static_cast<std::size_t>(k - 1)] = T(2) / T(2 * k + 1);
    return c;
}();

/// e^r - 1 of a small r.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> small_expm1(pack<T, W> r) {
    return fma(r * r, polynomial(factorials<T, 2, number<T>::exp_terms - 1, 1, false>, r), r);
}

/// y 2^n where the result may be subnormal, zero or infinite.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> scaled_by(pack<T, W> y, bits_of<T, W> const& n) {
    bits_of<T, W> const half = n >> 1;
    return y * power_of_two<T, W>(half) * power_of_two<T, W>(n - half);
}

}  // namespace detail

/// e^x; 0 and infinity beyond the range.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> exp(pack<T, W> x) {
    using P = pack<T, W>;
    x = min(P(detail::number<T>::exp_high), max(P(detail::number<T>::exp_low), x));
    detail::exponent_split<T, W> const s(x);
    return detail::scaled_by<T, W>(detail::small_expm1(s.r) + P(T(1)), s.n);
}

/// Natural logarithm; -infinity at 0, not a number below.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> log(pack<T, W> x) {
    using P = pack<T, W>;
    using N = detail::number<T>;
    using L = std::numeric_limits<T>;
    using B = detail::bits_of<T, W>;
    using I = detail::bits_t<T>;
    // x = 2^e m with m in [√½, √2): the added constant moves the fraction's limit from 1 to √½.
    constexpr I one = I(N::bias) << N::fraction;
    constexpr I root_half = std::bit_cast<I>(T(0.70710678118654752));
    auto const small = x < P(L::min());
    P const normal = select(small, x * P(T(I(1) << (N::fraction + 2))), x);
    B const moved = detail::as_bits(normal) + (one - root_half);
    B const fraction_mask = B{} + ((I(1) << N::fraction) - 1);
    P const f = detail::as_numbers<T, W>((moved & fraction_mask) + root_half) - P(T(1));
    // The biased exponent as a number: put it into the low bits of a large number, as exponent_split takes it out.
    P const large = N::round;
    P const e = detail::as_numbers<T, W>((moved >> N::fraction) + detail::as_bits(large)) - large -
                select(small, P(T(N::bias + N::fraction + 2)), P(T(N::bias)));
    // log m = 2 atanh(s), s = f / (2 + f); written around f - f²/2, which loses no bit.
    P const s = f / (f + P(T(2))), z = s * s, half = P(T(0.5)) * f;
    P const y = detail::polynomial(detail::odd_inverses<T>, z);
    P const correction = fma(s, fma(half, f, y * z), e * P(N::ln2_low));
    P const inside = fma(e, P(N::ln2_high), f - fma(half, f, -correction));
    P const infinite = L::infinity();
    P const positive = select(x < infinite, inside, x);  // infinity and what is not a number stay
    return select(P(T(0)) < x, positive, select(x == P(T(0)), -infinite, P(L::quiet_NaN())));
}

/// 1 / (1 + e^-x).
template <class T, index_t W>
GRAFT_INLINE pack<T, W> sigmoid(pack<T, W> x) {
    using P = pack<T, W>;
    return P(T(1)) / (P(T(1)) + exp(-x));
}

/// tanh x = u / (u + 2) with u = e^(2x) - 1, which keeps small x exact.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> tanh(pack<T, W> x) {
    using P = pack<T, W>;
    P const limit = detail::number<T>::tanh_limit;
    detail::exponent_split<T, W> const s(P(T(2)) * min(limit, max(-limit, x)));
    P const scale = detail::power_of_two<T, W>(s.n);
    P const u = fma(scale, detail::small_expm1(s.r), scale - P(T(1)));
    return select(x == P(T(0)), x, u / (u + P(T(2))));
}

template <std::floating_point T>
T exp(T x) {
    return exp(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T log(T x) {
    return log(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T sigmoid(T x) {
    return sigmoid(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T tanh(T x) {
    return tanh(pack<T, 1>(x)).v[0];
}

namespace detail {

/// sin of x + quarter · π/2, for |x| ≤ 2^20. π/2 is taken off in three parts of 33 bits, so that each product is exact.
inline double turned_sine(double x, int quarter) {
    double const shift = number<double>::round;
    double const n = fma(x, 0.63661977236758138, shift) - shift;
    double const rest = fma(-n, 6.07710050630396597660e-11, fma(-n, 1.57079632673412561417, x));
    double const r = fma(-n, 2.02226624871116645580e-21, rest);
    double const z = r * r;
    int const turn = (static_cast<int>(n) + quarter) & 3;
    double const cosine = fma(z * z, polynomial(factorials<double, 4, 18, 2, true>, z), fma(-0.5, z, 1.0));
    double const sine = fma(r * z, -polynomial(factorials<double, 3, 17, 2, true>, z), r);
    double const y = turn & 1 ? cosine : sine;
    return turn & 2 ? -y : y;
}

}  // namespace detail

/// Sine and cosine of radians, |x| ≤ 2^20 (angles of rotary positions), computed in double.
template <std::floating_point T>
T sin(T x) {
    return static_cast<T>(detail::turned_sine(static_cast<double>(x), 0));
}
template <std::floating_point T>
T cos(T x) {
    return static_cast<T>(detail::turned_sine(static_cast<double>(x), 1));
}

}  // namespace graft
