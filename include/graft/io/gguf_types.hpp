// SPDX-License-Identifier: Apache-2.0
// The codes a GGUF file uses for values and for tensors.                                 (layer 16: io)
#pragma once

#include <graft/quant/formats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace graft {

/// Types of metadata values, by their code in the file.
enum class gguf_type : std::uint32_t {
    uint8,
    int8,
    uint16,
    int16,
    uint32,
    int32,
    float32,
    boolean,
    string,
    array,
    uint64,
    int64,
    float64
};

inline constexpr std::uint32_t gguf_type_count = 13;

constexpr char const* name_of(gguf_type type) {
    constexpr char const* names[gguf_type_count] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                    "bool", "string", "array", "u64", "i64", "f64"};
    return names[static_cast<std::uint32_t>(type)];
}

/// Bytes of one value; 0 for strings and arrays, which have no fixed size.
constexpr std::uint64_t size_of(gguf_type type) {
    constexpr std::uint64_t sizes[gguf_type_count] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return sizes[static_cast<std::uint32_t>(type)];
}

/// One tensor type: `block` numbers in `bytes` bytes. All that are in use are known, so that sizes can be checked; only
/// those with a `format` can be weights.
struct ggml_type {
    std::uint32_t code;
    char const* name;
    std::uint64_t block, bytes;
};

inline constexpr std::array<ggml_type, 31> ggml_types{{
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},     {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},     {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},  {14, "Q6_K", 256, 210},
    {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74}, {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110}, {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},       {26, "I32", 1, 4},
    {27, "I64", 1, 8},        {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},  {30, "BF16", 1, 2},
    {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
}};

/// The tensor type with that code, or null.
constexpr ggml_type const* find_ggml_type(std::uint32_t code) {
    for (ggml_type const& t : ggml_types)
        if (t.code == code) return &t;
    return nullptr;
}

/// `general.file_type` of a model whose matrices have this format.
constexpr std::uint32_t file_type_of(weight_type type) {
    switch (type) {
        case weight_type::f32:
            return 0;
        case weight_type::f16:
            return 1;
        case weight_type::q4_0:
            return 2;
        case weight_type::q4_1:
            return 3;
        case weight_type::q8_0:
            return 7;
        case weight_type::q5_0:
            return 8;
        case weight_type::q5_1:
            return 9;
        case weight_type::q4_k:
            return 14;
        case weight_type::q5_k:
            return 16;
        case weight_type::q6_k:
            return 18;
        case weight_type::bf16:
            return 32;
    }
    return 0;
}

}  // namespace graft
