// SPDX-License-Identifier: Apache-2.0
// Random words of several consecutive draws at once, the same as one by one.              (layer 3: simd)
#pragma once

#include <graft/base/random.hpp>
#include <graft/simd/pack.hpp>

#include <cstring>
#include <utility>

namespace graft {

/// How many draws `philox_words` makes, of four words each.
inline constexpr index_t philox_draws = native_width<double>;

namespace detail {

using draw_words = vector_t<std::uint64_t, philox_draws>;  // 32 bits in each

GRAFT_INLINE draw_words times(draw_words const& a, std::uint32_t b) {
    constexpr draw_words none{};
#if GRAFT_SIMD && defined(__AVX512F__)
    return std::bit_cast<draw_words>(
        _mm512_maskz_mul_epu32(0xff, std::bit_cast<__m512i>(a), std::bit_cast<__m512i>(none + b)));
#elif GRAFT_SIMD && defined(__AVX2__)
    return std::bit_cast<draw_words>(_mm256_mul_epu32(std::bit_cast<__m256i>(a), std::bit_cast<__m256i>(none + b)));
#elif GRAFT_SIMD && defined(__SSE2__) && !defined(__AVX__)
    return std::bit_cast<draw_words>(_mm_mul_epu32(std::bit_cast<__m128i>(a), std::bit_cast<__m128i>(none + b)));
#else
    return a * (none + b);
#endif
}

/// Numbers of a and of b by turns, from number `From` of each.
template <index_t From, class V, int... I>
GRAFT_INLINE V by_turns(V const& a, V const& b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (From + I / 2 + (I % 2 ? static_cast<int>(sizeof...(I)) : 0))...);
}

}  // namespace detail

/// Word j of draw `draw` + k goes to to[4k + j], as `philox` of that draw of a stream and step under a seed gives it.
GRAFT_INLINE void philox_words(std::uint32_t* to, std::uint64_t draw, std::uint64_t seed, std::uint32_t stream,
                               std::uint64_t step) {
    auto const low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
    if constexpr (philox_draws == 1) {
        auto const word =
            philox({low(draw), low(draw >> 32) ^ low(step >> 32), low(step), stream}, {low(seed), low(seed >> 32)});
        std::memcpy(to, word.data(), sizeof word);
    } else {
        using words = detail::draw_words;
        constexpr std::uint64_t mask = 0xffffffffu;
        constexpr words count = []<std::size_t... I>(std::index_sequence<I...>) {
            return words{I...};
        }(std::make_index_sequence<static_cast<std::size_t>(philox_draws)>{});
        words const index = count + draw;
        words w0 = index & mask, w1 = (index >> 32) ^ (step >> 32), w2 = words{} + low(step), w3 = words{} + stream;
        std::uint32_t key0 = low(seed), key1 = low(seed >> 32);
#pragma GCC unroll 10
        for (int round = 0; round < 10; ++round) {
            words const a = detail::times(w0, 0xD2511F53u), b = detail::times(w2, 0xCD9E8D57u);
            w0 = (b >> 32) ^ w1 ^ key0, w1 = b & mask;
            w2 = (a >> 32) ^ w3 ^ key1, w3 = a & mask;
            key0 += 0x9E3779B9u, key1 += 0xBB67AE85u;
        }
        words const first = w0 | w1 << 32, second = w2 | w3 << 32;
        constexpr auto all = std::make_integer_sequence<int, static_cast<int>(philox_draws)>{};
        words const out[2] = {detail::by_turns<0>(first, second, all),
                              detail::by_turns<philox_draws / 2>(first, second, all)};
        std::memcpy(to, out, sizeof out);
    }
}

}  // namespace graft
