// SPDX-License-Identifier: Apache-2.0
// The numbers of a right factor in the order in which the product reads them.             (layer 6: kernel)
#pragma once

#include <graft/kernel/tile.hpp>
#include <graft/tensor/matrix.hpp>

namespace graft {

/// A right factor, rows × columns, in the order in which the product reads it: `pack_factor` makes it.
/// It takes as many bytes as the numbers in T, and serves one direction: x t(W) and g W need a packing each. The left
/// factor is a matrix as it is: t(x) would sum in blocks that this order does not have.
template <class T>
struct packed_factor {
    T const* data = nullptr;
    index_t rows = 0, columns = 0;
};
template <class T> inline constexpr bool is_factor<packed_factor<T>> = true;

/// Numbers of T that a packed factor takes: columns are rounded up to whole units of a panel.
template <class T>
constexpr index_t packed_numbers(index_t rows, index_t columns) {
    return rows * round_up(columns, product_tiling<T>::unit);
}

namespace detail {

/// Blocks of the depth one after the other, in each its panels, in each panel the numbers of one step together.
template <class T>
struct packed_source {
    T const* data;
    index_t padded;
    static constexpr bool is_packed = true;
    static constexpr index_t scratch_bytes = 0;
    static constexpr index_t column_unit = product_tiling<T>::panel;

    T const* group(index_t k0, index_t depth, index_t n0) const { return data + k0 * padded + n0 * depth; }
};

}  // namespace detail

}  // namespace graft
