// SPDX-License-Identifier: Apache-2.0
// log, log1p and pow on packs and scalars.                                                (layer 3: simd)
#pragma once

#include <graft/simd/exponential.hpp>

namespace graft {

namespace detail {

/// 2 atanh(s) / s = 2 + z (2/3 + z (this series)) with z = s², for √z ≤ (√2 - 1) / (√2 + 1).
template <class T>
inline constexpr std::array<T, 7> log_series{
    0.4000000000000222094, 0.2857142857011300374, 0.2222222251794150862, 0.1818178451362541295,
    0.1538675154342656879, 0.1325693451115969311, 0.1319538329373049442};
template <>
inline constexpr std::array<float, 3> log_series<float>{0.4000015221f, 0.2854712658f, 0.2341881279f};

/// (log(1 + f) - f + f²/2) / f³ for √½ ≤ 1 + f < √2: in float a longer polynomial costs less than a division.
inline constexpr std::array<float, 8> short_log_series{0.3333333171f,  -0.2500082106f, 0.2000122667f,  -0.1662335648f,
                                                       0.1420176247f, -0.1316019505f, 0.1276155036f, -0.07634429907f};

/// A positive finite x = 2^e (1 + f) with 1 + f in [√½, √2).
template <class T, index_t W>
struct fraction_split {
    pack<T, W> e, f;

    GRAFT_INLINE explicit fraction_split(pack<T, W> x) {
        using P = pack<T, W>;
        using N = number<T>;
        using I = bits_t<T>;
        // The added constant moves the fraction's limit from 1 to √½.
        constexpr I root_half = std::bit_cast<I>(T(0.70710678118654752));
        auto const small = x < P(std::numeric_limits<T>::min());
        P const normal = select(small, x * P(T(I(1) << (N::fraction + 2))), x);
        bits_of<T, W> const moved = as_bits(normal) + (one_bits<T> - root_half);
        bits_of<T, W> const fraction_mask = bits_of<T, W>{} + ((I(1) << N::fraction) - 1);
        f = as_numbers<T, W>((moved & fraction_mask) + root_half) - P(T(1));
        // The biased exponent as a number: put it into the low bits of a large number, as exponent_split takes it out.
        P const large = N::round;
        e = as_numbers<T, W>((moved >> N::fraction) + as_bits(large)) - large -
            select(small, P(T(N::bias + N::fraction + 2)), P(T(N::bias)));
    }
};

/// log(2^e (1 + f)) + extra, where `extra` is small beside f.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> log_of(fraction_split<T, W> const& x, pack<T, W> extra) {
    using P = pack<T, W>;
    using N = number<T>;
    if constexpr (sizeof(T) == 4) {
        P const square = x.f * x.f, half = P(T(0.5)) * square;
        P const rest = fma(x.f * square, polynomial(short_log_series, x.f), fma(x.e, P(N::ln2_low), extra));
        return fma(x.e, P(N::ln2_high), x.f - (half - rest));
    }
    // log(1 + f) = 2 atanh(s), s = f / (2 + f); written around f - f²/2, which loses no bit.
    P const s = x.f / (x.f + P(T(2))), z = s * s, half = P(T(0.5)) * x.f;
    P const y = fma(polynomial(log_series<T>, z), z, P(N::two_thirds));
    P const correction = fma(s, fma(half, x.f, y * z), fma(x.e, P(N::ln2_low), extra));
    return fma(x.e, P(N::ln2_high), x.f - fma(half, x.f, -correction));
}

/// y where 0 < x < infinity; else x, -infinity at 0, not a number below.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> log_range(pack<T, W> x, pack<T, W> y) {
    using P = pack<T, W>;
    P const infinite = std::numeric_limits<T>::infinity(), zero = T(0);
    P const positive = select(x < infinite, y, x);  // infinity and what is not a number stay
    return select(zero < x, positive, select(x == zero, -infinite, P(std::numeric_limits<T>::quiet_NaN())));
}

/// A number as an unevaluated sum: `low` is below the last place of `high`.
template <class P>
struct two_parts {
    P high, low;
};

/// log a to about one and a half times the digits of T.
template <class T, index_t W>
GRAFT_INLINE two_parts<pack<T, W>> precise_log(pack<T, W> a) {
    using P = pack<T, W>;
    using N = number<T>;
    fraction_split<T, W> const x(a);
    P const two = T(2), d = x.f + two, d_low = x.f - (d - two);
    P const s = x.f / d, s_low = (minus_product(x.f, s, d) - s * d_low) / d;
    P const z = s * s, z_low = fma(s + s, s_low, product_error(s, s, z));
    P const third = P(N::two_thirds), p = z * third;
    P const p_low = fma(z * z, polynomial(log_series<T>, z),
                        fma(z_low, third, fma(z, P(N::two_thirds_low), product_error(z, third, p))));
    P const q = s * p, q_low = fma(s_low, two + p, fma(s, p_low, product_error(s, p, q)));
    // e ln 2 + 2s + q, from the largest to the smallest
    P const whole = x.e * P(N::ln2_high), first = s + s, sum = whole + first, lost = first - (sum - whole);
    P const top = sum + q, rest = (q - (top - sum)) + lost + fma(x.e, P(N::ln2_low), q_low);
    P const high = top + rest;
    return {high, rest - (high - top)};
}

/// a^b for 0 < a < infinity.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> positive_power(pack<T, W> a, pack<T, W> b) {
    using P = pack<T, W>;
    using N = number<T>;
    auto const l = precise_log(a);
    b = min(P(N::power_limit), max(P(-N::power_limit), b));
    P const product = b * l.high, lost = fma(b, l.low, product_error(b, l.high, product));
    P const within = min(P(N::exp_high), max(P(N::exp_low), product));
    exponent_split<T, W> const s(within);
    return scaled(small_exp(s.r + select(within == product, lost, P(T(0)))), s);
}

}  // namespace detail

/// Natural logarithm; -infinity at 0, not a number below.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> log(pack<T, W> x) {
    return detail::log_range(x, detail::log_of(detail::fraction_split<T, W>(x), pack<T, W>(T(0))));
}

/// log(1 + x), exact in all digits of a small x.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> log1p(pack<T, W> x) {
    using P = pack<T, W>;
    P const one = T(1), u = one + x, x_in_u = u - one;
    P const lost = (one - (u - x_in_u)) + (x - x_in_u);  // 1 + x = u + lost
    P const y = detail::log_of(detail::fraction_split<T, W>(u), lost / u);
    return select(x == P(T(0)), x, detail::log_range(u, y));
}

/// a^b as IEEE 754 has it: 1 where b is 0 or a is 1; of a negative a a number only where b is whole.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> pow(pack<T, W> a, pack<T, W> b) {
    using P = pack<T, W>;
    using L = std::numeric_limits<T>;
    P const zero = T(0), one = T(1), infinite = L::infinity(), size = abs(a);
    P y = detail::positive_power(size, b);
    y = select(size == zero, select(b < zero, infinite, zero), y);
    y = select(size < infinite, y, select(size == infinite, select(b < zero, zero, infinite), size));
    // From 2^fraction on every number is whole, and from twice that even.
    P const large = T(detail::bits_t<T>(1) << detail::number<T>::fraction), n = abs(b), half = P(T(0.5)) * n;
    auto const whole_part = [&](P v) { return select(v < large, (v + large) - large, v); };
    P const sign = detail::with_sign(one, a), none = L::quiet_NaN();
    P const odd = select(whole_part(half) == half, one, sign);
    P const broken = select(size == infinite, y, select(size == zero, y, none));
    P const of_negative = select(whole_part(n) == n, y * odd, broken);
    y = select(sign < zero, of_negative, y);
    y = select(b == b, select(a == a, y, a), b);
    return select(b == zero, one, select(a == one, one, y));
}

template <std::floating_point T>
T log(T x) {
    return log(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T log1p(T x) {
    return log1p(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T pow(T a, T b) {
    return pow(pack<T, 1>(a), pack<T, 1>(b)).v[0];
}

}  // namespace graft
