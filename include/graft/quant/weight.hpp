// SPDX-License-Identifier: Apache-2.0
// A frozen matrix as a file stores it, decoded a run at a time inside the product.       (layer 5: quant)
#pragma once

#include <graft/tensor/matrix.hpp>

#include <cstddef>

namespace graft {

/// How numbers of a row are stored. Blocks of `block` numbers take `bytes` bytes; a row is whole blocks.
enum class weight_type : unsigned char { f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k, q6_k };

/// One storage format and its decoder. One constant of this type exists per format (`quant/formats.hpp`).
struct format {
    /// to[l] = number first + l of the row, for 0 ≤ l < count. Block formats: `first`, `count` are multiples of 32.
    using decoder = void (*)(std::byte const* row, index_t first, index_t count, float* to);

    weight_type type;
    char const* name;  // "q4_1"
    index_t block, bytes;
    decoder decode;

    constexpr index_t row_bytes(index_t columns) const { return columns / block * bytes; }
};

/// `rows × columns` numbers in one format, row i at `data + i * row_bytes`: a factor of a product like a matrix.
struct weight {
    std::byte const* data = nullptr;
    index_t rows = 0, columns = 0, row_bytes = 0;
    format const* how = nullptr;

    constexpr weight() = default;
    constexpr weight(std::byte const* d, index_t r, index_t c, format const& f)
        : data(d), rows(r), columns(c), row_bytes(f.row_bytes(c)), how(&f) {}

    constexpr explicit operator bool() const { return data != nullptr; }
    constexpr std::byte const* row(index_t i) const { return data + i * row_bytes; }
    constexpr weight slice(index_t first, index_t count) const {
        weight w = *this;
        w.data = row(first), w.rows = count;
        return w;
    }
};

template <> inline constexpr bool is_matrix<weight> = true;

}  // namespace graft
