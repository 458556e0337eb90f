// SPDX-License-Identifier: Apache-2.0
// `pack<T, W>`: W numbers that are computed with at once; on xsimd, or its scalar twin.   (layer 3: simd)
#pragma once

#include <graft/simd/scalar.hpp>

#include <utility>

namespace graft {

namespace detail {

/// The compilers' own vectors: for what xsimd 8.1 lacks (halves of a register, widening conversions, shuffles).
template <class T, index_t W>
struct vector_of {
    typedef T type __attribute__((vector_size(sizeof(T) * static_cast<std::size_t>(W))));
};
template <class T, index_t W>
using vector_t = typename vector_of<T, W>::type;

/// The numbers From, From + 1, … of a vector, as many as I; the halves of a register stay in registers.
template <index_t From, class V, int... I>
GRAFT_INLINE auto taken(V const& v, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(v, v, (static_cast<int>(From) + I)...);
}
/// Sum, or largest, of a vector's numbers by halving: the order is fixed by W alone.
template <bool Add, class T, index_t W>
GRAFT_INLINE T fold(vector_t<T, W> const& v) {
    if constexpr (W == 1) {
        return v[0];
    } else if constexpr (W == 2) {
        return Add ? v[0] + v[1] : v[0] > v[1] ? v[0] : v[1];
    } else if constexpr (W * static_cast<index_t>(sizeof(T)) <=
                         16) {  // no smaller register: the second half is ignored
        auto const high = __builtin_shufflevector(v, v, 2, 3, 2, 3);
        vector_t<T, W> const both = Add ? v + high : v > high ? v : high;
        return Add ? both[0] + both[1] : both[0] > both[1] ? both[0] : both[1];
    } else {
        using half = std::make_integer_sequence<int, W / 2>;
        auto const low = taken<0>(v, half{}), high = taken<W / 2>(v, half{});
        return fold<Add, T, W / 2>(Add ? low + high : low > high ? low : high);
    }
}

}  // namespace detail

/// W numbers of type T. This form is the scalar twin, right for any W; the native width has a register (below).
/// max and min give the second number where one of the two is not a number. `load` and `store` need no alignment;
/// `load_some` reads n < W numbers (the rest are 0), `store_some` writes n < W.
template <class T, index_t W = native_width<T>>
struct pack {
    static constexpr index_t width = W;
    struct mask {
        bool v[W];
    };

    T v[W];

    pack() = default;
    GRAFT_INLINE pack(T x) {
        for (index_t i = 0; i < W; ++i) v[i] = x;
    }

    GRAFT_INLINE static pack broadcast(T x) { return {x}; }
    GRAFT_INLINE static pack load(T const* from) {
        return each([&](index_t i) __attribute__((always_inline)) { return from[i]; });
    }
    GRAFT_INLINE static pack load_some(T const* from, index_t n) {
        return each([&](index_t i) __attribute__((always_inline)) { return i < n ? from[i] : T(0); });
    }
    GRAFT_INLINE void store(T* to) const {
        for (index_t i = 0; i < W; ++i) to[i] = v[i];
    }
    GRAFT_INLINE void store_some(T* to, index_t n) const {
        for (index_t i = 0; i < n; ++i) to[i] = v[i];
    }

    GRAFT_INLINE friend pack operator+(pack a, pack b) {
        return each([&](index_t i) __attribute__((always_inline)) { return a.v[i] + b.v[i]; });
    }
    GRAFT_INLINE friend pack operator-(pack a, pack b) {
        return each([&](index_t i) __attribute__((always_inline)) { return a.v[i] - b.v[i]; });
    }
    GRAFT_INLINE friend pack operator*(pack a, pack b) {
        return each([&](index_t i) __attribute__((always_inline)) { return a.v[i] * b.v[i]; });
    }
    GRAFT_INLINE friend pack operator/(pack a, pack b) {
        return each([&](index_t i) __attribute__((always_inline)) { return a.v[i] / b.v[i]; });
    }
    GRAFT_INLINE friend pack operator-(pack a) {
        return each([&](index_t i) __attribute__((always_inline)) { return -a.v[i]; });
    }
    GRAFT_INLINE friend mask operator<(pack a, pack b) {
        mask m;
        for (index_t i = 0; i < W; ++i) m.v[i] = a.v[i] < b.v[i];
        return m;
    }
    GRAFT_INLINE friend mask operator==(pack a, pack b) {
        mask m;
        for (index_t i = 0; i < W; ++i) m.v[i] = a.v[i] == b.v[i];
        return m;
    }
    GRAFT_INLINE friend mask operator>(pack a, pack b) { return b < a; }
    GRAFT_INLINE friend pack select(mask m, pack yes, pack no) {
        return each([&](index_t i) __attribute__((always_inline)) { return m.v[i] ? yes.v[i] : no.v[i]; });
    }
    GRAFT_INLINE friend pack fma(pack a, pack b, pack c) {
        return each([&](index_t i) __attribute__((always_inline)) { return graft::fma(a.v[i], b.v[i], c.v[i]); });
    }
    GRAFT_INLINE friend pack max(pack a, pack b) {
        return each([&](index_t i) __attribute__((always_inline)) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
    }
    GRAFT_INLINE friend pack min(pack a, pack b) {
        return each([&](index_t i) __attribute__((always_inline)) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
    }
    GRAFT_INLINE friend pack sqrt(pack a) {
        return each([&](index_t i) __attribute__((always_inline)) { return graft::sqrt(a.v[i]); });
    }
    GRAFT_INLINE friend pack abs(pack a) {
        return each([&](index_t i) __attribute__((always_inline)) { return graft::abs(a.v[i]); });
    }
    GRAFT_INLINE friend T reduce_add(pack a) {
        return detail::fold<true, T, W>(std::bit_cast<detail::vector_t<T, W>>(a));
    }
    GRAFT_INLINE friend T reduce_max(pack a) {
        return detail::fold<false, T, W>(std::bit_cast<detail::vector_t<T, W>>(a));
    }

private:
    template <class F>
    GRAFT_INLINE static pack each(F f) {
        pack r;
        for (index_t i = 0; i < W; ++i) r.v[i] = f(i);
        return r;
    }
};

template <class T, index_t W>
GRAFT_INLINE pack<T, W>& operator+=(pack<T, W>& a, pack<T, W> b) {
    return a = a + b;
}
template <class T, index_t W>
GRAFT_INLINE pack<T, W>& operator-=(pack<T, W>& a, pack<T, W> b) {
    return a = a - b;
}
template <class T, index_t W>
GRAFT_INLINE pack<T, W>& operator*=(pack<T, W>& a, pack<T, W> b) {
    return a = a * b;
}

#if GRAFT_SIMD

namespace detail {

#    ifdef __AVX512F__
// xsimd 8.1 computes AVX-512's fma as two operations and has no masked moves; of g++ 12's intrinsics only the forms
// with a mask are free of a false warning.
GRAFT_INLINE __m512 fused(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
GRAFT_INLINE __m512d fused(__m512d a, __m512d b, __m512d c) { return _mm512_fmadd_pd(a, b, c); }
GRAFT_INLINE __m512 larger(__m512 a, __m512 b) { return _mm512_maskz_max_ps(0xffff, a, b); }
GRAFT_INLINE __m512d larger(__m512d a, __m512d b) { return _mm512_maskz_max_pd(0xff, a, b); }
GRAFT_INLINE __m512 smaller(__m512 a, __m512 b) { return _mm512_maskz_min_ps(0xffff, a, b); }
GRAFT_INLINE __m512d smaller(__m512d a, __m512d b) { return _mm512_maskz_min_pd(0xff, a, b); }
GRAFT_INLINE __m512 root(__m512 a) { return _mm512_maskz_sqrt_ps(0xffff, a); }
GRAFT_INLINE __m512d root(__m512d a) { return _mm512_maskz_sqrt_pd(0xff, a); }
GRAFT_INLINE auto first(index_t n) { return static_cast<__mmask16>((1u << n) - 1); }
GRAFT_INLINE __m512 some(float const* p, index_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
GRAFT_INLINE __m512d some(double const* p, index_t n) {
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>(first(n)), p);
}
GRAFT_INLINE void some(float* p, index_t n, __m512 v) { _mm512_mask_storeu_ps(p, first(n), v); }
GRAFT_INLINE void some(double* p, index_t n, __m512d v) {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>(first(n)), v);
}
#    elif defined(__AVX2__)
alignas(64) inline constexpr std::int32_t first_words[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
alignas(64) inline constexpr std::int64_t first_longs[8] = {-1, -1, -1, -1};
GRAFT_INLINE __m256i first(index_t n, float) {
    return _mm256_loadu_si256(reinterpret_cast<__m256i const*>(first_words + 8 - n));
}
GRAFT_INLINE __m256i first(index_t n, double) {
    return _mm256_loadu_si256(reinterpret_cast<__m256i const*>(first_longs + 4 - n));
}
GRAFT_INLINE __m256 some(float const* p, index_t n) { return _mm256_maskload_ps(p, first(n, 0.0f)); }
GRAFT_INLINE __m256d some(double const* p, index_t n) { return _mm256_maskload_pd(p, first(n, 0.0)); }
GRAFT_INLINE void some(float* p, index_t n, __m256 v) { _mm256_maskstore_ps(p, first(n, 0.0f), v); }
GRAFT_INLINE void some(double* p, index_t n, __m256d v) { _mm256_maskstore_pd(p, first(n, 0.0), v); }
#    endif

}  // namespace detail

/// A register of the target.
template <class T, index_t W>
requires(W == native_width<T> && W > 1) struct pack<T, W> {
    static constexpr index_t width = W;
    using batch = xsimd::simd_type<T>;
    struct mask {
        typename batch::batch_bool_type v;
    };

    batch v;

    pack() = default;
    GRAFT_INLINE pack(T x) : v(x) {}
    GRAFT_INLINE explicit pack(batch x) : v(x) {}

    GRAFT_INLINE static pack broadcast(T x) { return {x}; }
    GRAFT_INLINE static pack load(T const* from) { return pack(batch::load_unaligned(from)); }
    GRAFT_INLINE static pack load_some(T const* from, index_t n) {
#    ifdef __AVX2__
        return pack(batch(detail::some(from, n)));
#    else
        alignas(batch) T some[W] = {};
        for (index_t i = 0; i < n; ++i) some[i] = from[i];
        return load(some);
#    endif
    }
    GRAFT_INLINE void store(T* to) const { v.store_unaligned(to); }
    GRAFT_INLINE void store_some(T* to, index_t n) const {
#    ifdef __AVX2__
        detail::some(to, n, v.data);
#    else
        alignas(batch) T some[W];
        store(some);
        for (index_t i = 0; i < n; ++i) to[i] = some[i];
#    endif
    }

    GRAFT_INLINE friend pack operator+(pack a, pack b) { return pack(a.v + b.v); }
    GRAFT_INLINE friend pack operator-(pack a, pack b) { return pack(a.v - b.v); }
    GRAFT_INLINE friend pack operator*(pack a, pack b) { return pack(a.v * b.v); }
    GRAFT_INLINE friend pack operator/(pack a, pack b) { return pack(a.v / b.v); }
    GRAFT_INLINE friend pack operator-(pack a) { return pack(-a.v); }
    GRAFT_INLINE friend mask operator<(pack a, pack b) { return {a.v < b.v}; }
    GRAFT_INLINE friend mask operator>(pack a, pack b) { return {b.v < a.v}; }
    GRAFT_INLINE friend mask operator==(pack a, pack b) { return {a.v == b.v}; }
    GRAFT_INLINE friend pack select(mask m, pack yes, pack no) { return pack(xsimd::select(m.v, yes.v, no.v)); }
#    ifdef __AVX512F__
    GRAFT_INLINE friend pack fma(pack a, pack b, pack c) {
        return pack(batch(detail::fused(a.v.data, b.v.data, c.v.data)));
    }
    GRAFT_INLINE friend pack max(pack a, pack b) { return pack(batch(detail::larger(a.v.data, b.v.data))); }
    GRAFT_INLINE friend pack min(pack a, pack b) { return pack(batch(detail::smaller(a.v.data, b.v.data))); }
    GRAFT_INLINE friend pack sqrt(pack a) { return pack(batch(detail::root(a.v.data))); }
#    else
    GRAFT_INLINE friend pack fma(pack a, pack b, pack c) { return pack(xsimd::fma(a.v, b.v, c.v)); }
    GRAFT_INLINE friend pack max(pack a, pack b) { return pack(xsimd::max(a.v, b.v)); }
    GRAFT_INLINE friend pack min(pack a, pack b) { return pack(xsimd::min(a.v, b.v)); }
    GRAFT_INLINE friend pack sqrt(pack a) { return pack(xsimd::sqrt(a.v)); }
#    endif
    GRAFT_INLINE friend pack abs(pack a) { return pack(xsimd::abs(a.v)); }
    GRAFT_INLINE friend T reduce_add(pack a) {
        return detail::fold<true, T, W>(std::bit_cast<detail::vector_t<T, W>>(a));
    }
    GRAFT_INLINE friend T reduce_max(pack a) {
        return detail::fold<false, T, W>(std::bit_cast<detail::vector_t<T, W>>(a));
    }
};

#endif

}  // namespace graft
