// SPDX-License-Identifier: Apache-2.0
// What the target offers, and the operations of packs on single numbers.                 (layer 3: simd)
#pragma once

#include <graft/base/config.hpp>
#include <graft/base/index.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#if GRAFT_SIMD
#    include <xsimd/xsimd.hpp>
#endif
#ifdef __AVX__
#    include <immintrin.h>
#endif

namespace graft {

/// How many T one register of the target holds: 16 floats with AVX-512, 8 with AVX, 4 with SSE or NEON, of double half
/// as many; 1 for the scalar twin.
#if GRAFT_SIMD
template <class T>
inline constexpr index_t native_width = static_cast<index_t>(xsimd::simd_type<T>::size);
#    if defined(__ARM_NEON) && !defined(__aarch64__)
template <>
inline constexpr index_t native_width<double> = 1;
#    endif
#else
template <class T>
inline constexpr index_t native_width = 1;
#endif

/// True where fma(a, b, c) is one instruction that rounds once; elsewhere it is a * b + c: a library's fma is slow.
#if defined(__FMA__) || defined(__aarch64__)
template <class T>
inline constexpr bool has_fma = true;
#elif defined(__ARM_FEATURE_FMA)
template <class T>
inline constexpr bool has_fma = std::is_same_v<T, float>;
#else
template <class T>
inline constexpr bool has_fma = false;
#endif

namespace detail {
template <class T>
using bits_t = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
}

/// a * b + c, fused where `has_fma`. (Templates, so that a program that opens both namespaces gets its own functions.)
template <std::floating_point T>
GRAFT_INLINE T fma(T a, T b, T c) {
    if constexpr (!has_fma<T>)
        return a * b + c;
    else if constexpr (sizeof(T) == 4)
        return __builtin_fmaf(a, b, c);
    else
        return __builtin_fma(a, b, c);
}
template <std::floating_point T>
GRAFT_INLINE T sqrt(T a) {
    if constexpr (sizeof(T) == 4)
        return __builtin_sqrtf(a);
    else
        return __builtin_sqrt(a);
}
template <std::floating_point T>
GRAFT_INLINE T abs(T a) {
    return std::bit_cast<T>(std::bit_cast<detail::bits_t<T>>(a) & std::numeric_limits<detail::bits_t<T>>::max());
}

}  // namespace graft
