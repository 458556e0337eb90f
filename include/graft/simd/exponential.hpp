// SPDX-License-Identifier: Apache-2.0
// exp, expm1, sigmoid, silu and tanh on packs and scalars.                                      (layer 3: simd)
#pragma once

#include <graft/simd/number.hpp>

namespace graft {

namespace detail {

/// (e^r - 1 - r) / r² for |r| ≤ ln 2 / 2.
template <class T>
inline constexpr std::array<T, 10> exp_series{
    0.5000000000000004597,     0.1666666666666668428,     0.04166666666658178514,  0.008333333333315588575,
    0.001388888893027169126,   0.0001984126990106475549,  2.480150656049788921e-5, 2.755722956066748279e-6,
    2.762560066280085788e-7,   2.511400519132435952e-8};
template <>
inline constexpr std::array<float, 5> exp_series<float>{0.5000000059f, 0.1666654525f, 0.04166628974f, 0.008366374015f,
                                                        0.001394605131f};
/// The same of -r.
template <class T>
inline constexpr auto exp_minus_series = [] {
    auto c = exp_series<T>;
    for (std::size_t k = 1; k < c.size(); k += 2) c[k] = -c[k];
    return c;
}();

/// x = n ln 2 + r with |r| ≤ ln 2 / 2.
template <class T, index_t W>
struct exponent_split {
    pack<T, W> n, r;
    bits_of<T, W> low;  // n in its low bits

    GRAFT_INLINE explicit exponent_split(pack<T, W> x) {
        using P = pack<T, W>;
        P const shift = number<T>::round;
        P const t = fma(x, P(T(1.4426950408889634)), shift);
        low = as_bits(t);
        n = t - shift;
        r = fma(n, P(-number<T>::ln2_low), fma(n, P(-number<T>::ln2_high), x));
    }
    /// 2^n over 2^Less, and 2^-n: a normal number or infinity.
    template <int Less = 0>
    GRAFT_INLINE pack<T, W> power() const {
        return as_numbers<T, W>((low << number<T>::fraction) + one_bits<T> - (bits_t<T>(Less) << number<T>::fraction));
    }
    GRAFT_INLINE pack<T, W> power_of_minus() const {
        return as_numbers<T, W>(one_bits<T> - (low << number<T>::fraction));
    }
};

/// e^r and e^r - 1 of a small r.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> small_exp(pack<T, W> r) {
    pack<T, W> const one = T(1);
    return fma(fma(polynomial(exp_series<T>, r), r, one), r, one);
}
template <class T, index_t W>
GRAFT_INLINE pack<T, W> small_expm1(pack<T, W> r) {
    return fma(r * r, polynomial(exp_series<T>, r), r);
}

/// y 2^n where the result may be subnormal, zero or infinite; rounded once.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> scaled(pack<T, W> y, exponent_split<T, W> const& s) {
#if GRAFT_SIMD && defined(__AVX512F__)
    if constexpr (W == native_width<T> && sizeof(T) == 4) {
        return pack<T, W>(typename pack<T, W>::batch(_mm512_maskz_scalef_ps(0xffff, y.v.data, s.n.v.data)));
    } else if constexpr (W == native_width<T>) {
        return pack<T, W>(typename pack<T, W>::batch(_mm512_maskz_scalef_pd(0xff, y.v.data, s.n.v.data)));
    } else
#endif
    {
        bits_of<T, W> const n = s.low - as_bits(pack<T, W>(number<T>::round)), half = n >> 1;
        return y * power_of_two<T, W>(half) * power_of_two<T, W>(n - half);
    }
}

/// a + b e^-x for x between -`exp_high` and `exp_normal`.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> plus_exp_minus(pack<T, W> a, pack<T, W> b, pack<T, W> x) {
    exponent_split<T, W> const s(x);
    pack<T, W> const one = T(1);
    pack<T, W> const y = fma(fma(polynomial(exp_minus_series<T>, s.r), s.r, -one), s.r, one);
    return fma(y, b * s.power_of_minus(), a);
}

}  // namespace detail

/// e^x of x ≤ 88, or 0 from where it is below the smallest normal number: x86 takes a hundred times longer over
/// subnormal results.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> exp_or_zero(pack<T, W> x) {
    // 2^n with the least n that the clamp leaves has all bits zero.
    detail::exponent_split<T, W> const s(max(pack<T, W>(detail::number<T>::exp_zero), x));
    return detail::small_exp(s.r) * s.power();
}

/// e^x; 0 and infinity beyond the range.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> exp(pack<T, W> x) {
    using P = pack<T, W>;
    detail::exponent_split<T, W> const s(min(P(detail::number<T>::exp_high), max(P(detail::number<T>::exp_low), x)));
    return detail::scaled(detail::small_exp(s.r), s);
}

/// e^x - 1, exact in all digits of a small x.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> expm1(pack<T, W> x) {
    using P = pack<T, W>;
    using N = detail::number<T>;
    detail::exponent_split<T, W> const s(min(P(N::exp_high), max(P(N::expm1_limit), x)));
    P const half = s.template power<1>();  // 2^n itself may be infinite
    P const y = fma(half, detail::small_expm1(s.r), half - P(T(0.5)));
    return select(abs(x) < P(std::numeric_limits<T>::epsilon() / 4), x, y + y);
}

/// 1 / (1 + e^-x); 0 where that is no normal number.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> sigmoid(pack<T, W> x) {
    using P = pack<T, W>;
    x = min(P(detail::number<T>::exp_normal), max(P(-detail::number<T>::exp_high), x));
    P const one = T(1);
    return one / detail::plus_exp_minus(one, one, x);
}

/// x / (1 + e^-x), x times its sigmoid.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> silu(pack<T, W> x) {
    using P = pack<T, W>;
    P const one = T(1), within = min(P(detail::number<T>::exp_normal), max(P(-detail::number<T>::exp_high), x));
    return x / detail::plus_exp_minus(one, one, within);
}

/// tanh |x| = u / (u + 2) with u = e^(2|x|) - 1, which keeps small x exact.
template <class T, index_t W>
GRAFT_INLINE pack<T, W> tanh(pack<T, W> x) {
    using P = pack<T, W>;
    P const size = min(P(detail::number<T>::tanh_limit), abs(x));
    detail::exponent_split<T, W> const s(size + size);
    P const scale = s.power(), u = fma(scale, detail::small_expm1(s.r), scale - P(T(1)));
    return detail::with_sign(u / (u + P(T(2))), x);
}

template <std::floating_point T>
T exp(T x) {
    return exp(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T exp_or_zero(T x) {
    return exp_or_zero(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T expm1(T x) {
    return expm1(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T sigmoid(T x) {
    return sigmoid(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T silu(T x) {
    return silu(pack<T, 1>(x)).v[0];
}
template <std::floating_point T>
T tanh(T x) {
    return tanh(pack<T, 1>(x)).v[0];
}

}  // namespace graft
