// SPDX-License-Identifier: Apache-2.0
// Rows of floats into a storage format, with the arithmetic of ggml's reference.          (layer 5: quant)
#pragma once

#include <graft/quant/half.hpp>
#include <graft/quant/weight.hpp>

namespace graft {

/// Whether `encode` writes this format (the K blocks are only read).
constexpr bool encodes(format const& how) { return how.type <= weight_type::q8_0; }

namespace detail {

/// a · b rounded to float even where the compiler may fuse it with a following addition.
inline float rounded_product(float a, float b) {
    float volatile const p = a * b;
    return p;
}

inline void put16(std::byte* to, std::uint16_t bits) { std::memcpy(to, &bits, sizeof bits); }

inline void put_half(std::byte* to, float x) {
    std::uint16_t const bits = float_to_half(x);
    require((bits & 0x7c00) != 0x7c00, fault::numeric, "encode: a number is not finite or too large for half precision",
            0, 0);
    put16(to, bits);
}

/// A block's numbers as whole numbers 0 … 31 (the low four bits of j and j + 16 share byte j), and their fifth bits.
struct packed_block {
    std::uint8_t low[16] = {};
    std::uint32_t fifth = 0;
    void put(int j, int q) {
        low[j % 16] = static_cast<std::uint8_t>(low[j % 16] | (q & 15) << (j < 16 ? 0 : 4));
        fifth |= static_cast<std::uint32_t>(q >> 4 & 1) << j;
    }
};

/// q = ⌊x / d + Half + ½⌋ in 0 … 2 Half - 1, where -Half stands for the number of largest magnitude. Returns d.
template <int Half>
float pack_symmetric(float const* x, packed_block& b) {
    float largest = 0;
    for (int j = 0; j < 32; ++j)
        if (abs(x[j]) > abs(largest)) largest = x[j];
    float const d = largest / -Half, inverse = d != 0 ? 1 / d : 0;
    for (int j = 0; j < 32; ++j) {
        int const q = static_cast<int>(rounded_product(x[j], inverse) + (static_cast<float>(Half) + 0.5f));
        b.put(j, q < 2 * Half ? q : 2 * Half - 1);
    }
    return d;
}

struct range {
    float scale, minimum;
};

/// q = ⌊(x - min) / d + ½⌋ in 0 … Top with d = (max - min) / Top.
template <int Top>
range pack_range(float const* x, packed_block& b) {
    float low = x[0], high = x[0];
    for (int j = 1; j < 32; ++j) low = x[j] < low ? x[j] : low, high = x[j] > high ? x[j] : high;
    float const d = (high - low) / Top, inverse = d != 0 ? 1 / d : 0;
    for (int j = 0; j < 32; ++j) {
        int const q = static_cast<int>(rounded_product(x[j] - low, inverse) + 0.5f);
        b.put(j, q < Top ? q : Top);
    }
    return {d, low};
}

inline void encode_block(weight_type type, float const* x, std::byte* to) {
    packed_block b;
    bool const fifth = type == weight_type::q5_0 || type == weight_type::q5_1;
    if (type == weight_type::q4_0 || type == weight_type::q5_0) {
        put_half(to, fifth ? pack_symmetric<16>(x, b) : pack_symmetric<8>(x, b));
        to += 2;
    } else {
        range const r = fifth ? pack_range<31>(x, b) : pack_range<15>(x, b);
        put_half(to, r.scale), put_half(to + 2, r.minimum);
        to += 4;
    }
    if (fifth) std::memcpy(to, &b.fifth, 4), to += 4;
    std::memcpy(to, b.low, 16);
}

/// q = x / d rounded half away from zero, d = max |x| / 127.
inline void encode_q8_0(float const* x, std::byte* to) {
    float largest = 0;
    for (int j = 0; j < 32; ++j) largest = abs(x[j]) > largest ? abs(x[j]) : largest;
    float const d = largest / 127, inverse = d != 0 ? 1 / d : 0;
    put_half(to, d);
    for (int j = 0; j < 32; ++j) {
        float const v = rounded_product(x[j], inverse);
        int const whole = static_cast<int>(v);
        float const rest = v - static_cast<float>(whole);
        to[2 + j] = static_cast<std::byte>(whole + (rest >= 0.5f) - (rest <= -0.5f));
    }
}

}  // namespace detail

/// One row of `count` finite numbers into how.row_bytes(count) bytes at `to`.
/// needs: `encodes(how)` (fault::format), whole blocks (fault::shape), finite numbers within the format's range
/// (fault::numeric).
inline void encode(format const& how, float const* from, index_t count, std::byte* to) {
    require(encodes(how), fault::format, "encode: K blocks are only read", static_cast<index_t>(how.type),
            static_cast<index_t>(weight_type::q8_0));
    require(count % how.block == 0, fault::shape, "encode: a row is whole blocks", count, round_up(count, how.block));
    for (index_t i = 0; i < count; ++i)
        require(abs(from[i]) <= 0x1.fffffep127f, fault::numeric, "encode: a number is not finite (index, count)", i,
                count);
    for (index_t i = 0; i < count; i += how.block, from += how.block, to += how.bytes) {
        switch (how.type) {
            case weight_type::f32:
                std::memcpy(to, from, 4);
                break;
            case weight_type::f16:
                detail::put_half(to, *from);
                break;
            case weight_type::bf16:
                detail::put16(to, float_to_brain(*from));
                break;
            case weight_type::q8_0:
                detail::encode_q8_0(from, to);
                break;
            default:
                detail::encode_block(how.type, from, to);
                break;
        }
    }
}

}  // namespace graft
