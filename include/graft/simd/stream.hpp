// SPDX-License-Identifier: Apache-2.0
// Stores of large results: lines fetched ahead, and stores that pass the caches by.       (layer 3: simd)
#pragma once

#include <graft/simd/pack.hpp>

#include <cstdint>
#include <cstring>

namespace graft {

/// Bytes that memory moves at once. A line is written without being read first where all of it is stored past the
/// caches.
inline constexpr index_t line_bytes = 64;

/// What is stored in order has come here: the line that is soon stored to is fetched, so that the store need not wait
/// for it. `to` may be the last line of an array: nothing is touched, no fault is possible.
GRAFT_INLINE void expect_stores([[maybe_unused]] void const* to) {
#if GRAFT_SIMD
    constexpr std::uintptr_t ahead = 4 * line_bytes;
    __builtin_prefetch(reinterpret_cast<void const*>(reinterpret_cast<std::uintptr_t>(to) + ahead), 1);
#endif
}

/// A whole register to memory aligned to its size, past the caches where the target can.
template <class V>
GRAFT_INLINE void store_past_caches(void* to, V const& v) {
#if GRAFT_SIMD && defined(__AVX512F__)
    if constexpr (sizeof v == 64) return _mm512_stream_si512(static_cast<__m512i*>(to), std::bit_cast<__m512i>(v));
#elif GRAFT_SIMD && defined(__AVX__)
    if constexpr (sizeof v == 32) return _mm256_stream_si256(static_cast<__m256i*>(to), std::bit_cast<__m256i>(v));
#elif GRAFT_SIMD && defined(__SSE2__)
    if constexpr (sizeof v == 16) return _mm_stream_si128(static_cast<__m128i*>(to), std::bit_cast<__m128i>(v));
#endif
    std::memcpy(to, &v, sizeof v);
}

/// After the last of these stores: everyone sees them before what is stored next.
GRAFT_INLINE void finish_past_caches() {
#if GRAFT_SIMD && defined(__SSE2__)
    _mm_sfence();
#endif
}

}  // namespace graft
