// SPDX-License-Identifier: Apache-2.0
// AdamW that remembers its two moments in eight bits each.                               (layer 11: optimizer)
#pragma once

#include <graft/optimizer/adamw.hpp>
#include <graft/simd/philox.hpp>
#include <graft/simd/widen.hpp>

#include <algorithm>
#include <cmath>

namespace graft {

/// The formulas of `adamw`, in float; between steps m and v are bytes, with one scale (the largest) per 128 of each:
///
///     m = scale · c |c| / 127²     c in −127 … 127         v = scale · (c / 255)⁴     c in 2 … 255
///
/// Codes lie closer where numbers are small, so that √v of a weak gradient beside a strong one keeps its digits: next
/// to the largest, neighbours are 1.6 % apart, at a hundredth of it 16 % (m) and 5 % (v). A number between two codes
/// takes the upper one with the chance that makes it right on average: β₂ = 0.999 often moves v by less than half a
/// code a step, which rounding to the nearest would drop each time. The chance is a function of step and place, so a
/// run that is resumed is the same run. v is never coded below that of c = 2, the square of m's least code: m / √v of
/// what was rounded stays below the ratio of the two scales.
///
/// cost     2 1/16 bytes per parameter, in whole blocks of 128
struct adamw8 {
    static constexpr index_t block = 128;
    static constexpr std::uint32_t stream = 0x61646d38;  // keeps its draws apart from other uses
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;

    /// Both scales of every block, then the codes of m, then those of v.
    template <class T>
    constexpr index_t state_bytes(piece const& p) const { return blocks(p) * (2 * block + 8); }
    template <class T>
    constexpr index_t scratch_bytes(piece const&) const {
        return block * static_cast<index_t>(3 * sizeof(float) + sizeof(std::uint32_t) + sizeof(T));
    }
    /// Is every scale finite? Codes always are.
    template <class T>
    bool sound(std::byte const* state, piece const& p) const {
        auto const* const scales = reinterpret_cast<float const*>(state);
        return std::all_of(scales, scales + 2 * blocks(p), [](float s) { return std::isfinite(s); });
    }

    template <class T>
    void apply(update<T> const& u) const {
        index_t const all = blocks(u.of);
        auto* const scales = detail::numbers<float>(u.state);
        auto* const codes = reinterpret_cast<std::int8_t*>(scales + 2 * all);
        detail::adam_step const step(beta1, beta2, u.rate, u.step);
        auto* const room = detail::numbers<float>(u.scratch);
        for (index_t b = 0; b < all; ++b) {
            place<T> at{u, room, room + block, room + 2 * block, nullptr, nullptr, b * block, block};
            at.words = reinterpret_cast<std::uint32_t*>(room + 3 * block);
            at.d = reinterpret_cast<T*>(at.words + block);
            at.count = std::min(block, u.of.count() - at.first);
            std::int8_t *const m = codes + at.first, *const v = codes + all * block + at.first;
            for (index_t i = 0; i < block; i += 16) {
                store_scaled(std::bit_cast<signed16>(load_bytes16(m + i)), 1.0f / 127, at.m + i);
                store_affine(std::bit_cast<signed16>(load_bytes16(v + i)), 1.0f / 255, 128.0f / 255, at.v + i);
            }
            move(at, scales + 2 * b, step);
            for (index_t i = 0; i < block; i += 4 * philox_draws)
                philox_words(at.words + i, static_cast<std::uint64_t>((at.first + i) / 4), 0, stream,
                             static_cast<std::uint64_t>(u.step));
            encode_m(m, at.m, at.words, scales[2 * b]);
            encode_v(v, at.v, at.words, scales[2 * b + 1]);
        }
    }

private:
    using P = pack<float>;
    using whole = detail::vector_t<std::int32_t, P::width>;
    using reals = detail::vector_t<float, P::width>;

    template <class T>
    struct place {
        update<T> const& u;
        float *m, *v, *g;
        std::uint32_t* words;
        T* d;
        index_t first, count;
    };
    static constexpr index_t blocks(piece const& p) { return (p.count() + block - 1) / block; }
    static P real(whole const& x) { return std::bit_cast<P>(__builtin_convertvector(x, reals)); }
    static P floor(P x) { return real(__builtin_convertvector(std::bit_cast<reals>(x), whole)); }  // of x ≥ 0
    /// 16 of a word's bits as a number in [0, 1).
    static P chance(std::uint32_t const* words, int shift) {
        whole w;
        std::memcpy(&w, words, sizeof w);
        return real(w >> shift & 0xffff) * P(0x1p-16f);
    }
    static void store(std::int8_t* to, P x) {
        whole const code = __builtin_convertvector(std::bit_cast<reals>(x), whole);
        for (index_t i = 0; i < P::width; ++i) to[i] = static_cast<std::int8_t>(code[i]);
    }
    /// 1 / scale; 0 of a scale below which float has no inverse: such moments are forgotten.
    static float inverse(float& scale) {
        if (scale < 1e-36f) scale = 0;
        return scale > 0 ? 1 / scale : 0;
    }

    /// One step of a block, from codes as fractions in m and v to moments and their scales.
    template <class T>
    void move(place<T> const& at, float* scales, detail::adam_step const& step) const {
        update<T> const& u = at.u;
        auto const all = [](double x) { return P(static_cast<float>(x)); };
        P const b1 = all(beta1), a1 = all(1 - beta1), b2 = all(beta2), a2 = all(1 - beta2), scale = all(u.scale);
        P const root = all(step.root), eps = all(epsilon), sm = scales[0], sv = scales[1];
        std::fill_n(at.g, block, 0.0f);
        if (u.gradients)
            for (index_t i = 0; i < at.count; ++i) at.g[i] = static_cast<float>(u.gradients[at.first + i]);
        P most_m = all(0), most_v = all(0);
        for (index_t i = 0; i < block; i += P::width) {
            P const tm = P::load(at.m + i), tv = P::load(at.v + i), g = P::load(at.g + i) * scale, square = tv * tv;
            P const m = fma(b1, sm * tm * abs(tm), a1 * g), v = fma(b2, sv * square * square, a2 * g * g);
            most_m = max(abs(m), most_m), most_v = max(v, most_v);
            m.store(at.m + i), v.store(at.v + i);
            (m / fma(sqrt(v), root, eps)).store(at.g + i);
        }
        scales[0] = reduce_max(most_m), scales[1] = reduce_max(most_v);
        for (index_t i = 0; i < at.count; ++i) at.d[i] = static_cast<T>(at.g[i]);
        pack<T> const shrink = detail::kept(u, weight_decay), rate(static_cast<T>(-step.rate));
        T* const x = u.parameters + at.first;
        detail::by_packs<T>(at.count, [&](index_t i, index_t n) __attribute__((always_inline)) {
            detail::put(x + i, n, fma(rate, detail::take(at.d + i, n), shrink * detail::take(x + i, n)));
        });
    }

    /// k² ≤ a ≤ (k + 1)² in units of the least code: k + 1 with chance (a − k²) / (2k + 1).
    static void encode_m(std::int8_t* to, float const* m, std::uint32_t const* words, float& scale) {
        P const unit = 127.0f * 127.0f * inverse(scale), most = 127.0f;
        for (index_t i = 0; i < block; i += P::width) {
            P const x = P::load(m + i), a = abs(x) * unit, k = floor(min(sqrt(a), most));
            P const up = select(chance(words + i, 0) * (k + k + P(1.0f)) < a - k * k, P(1.0f), P(0.0f));
            P const code = min(k + up, most);
            store(to + i, select(x < P(0.0f), -code, code));
        }
    }
    /// k⁴ ≤ a ≤ (k + 1)⁴, likewise.
    static void encode_v(std::int8_t* to, float const* v, std::uint32_t const* words, float& scale) {
        P const unit = 255.0f * 255.0f * 255.0f * 255.0f * inverse(scale), most = 255.0f;
        auto const fourth = [](P x) { return x * x * (x * x); };
        for (index_t i = 0; i < block; i += P::width) {
            P const a = P::load(v + i) * unit, k = floor(min(sqrt(sqrt(a)), most));
            P const low = fourth(k), high = fourth(k + P(1.0f));
            P const up = select(chance(words + i, 16) * (high - low) < a - low, P(1.0f), P(0.0f));
            store(to + i, max(min(k + up, most), P(2.0f)) - P(128.0f));
        }
    }
};
static_assert(Optimizer<adamw8>);

}  // namespace graft
