// SPDX-License-Identifier: Apache-2.0
// A matrix or a stored weight whose rows carry factors, as the right factor of a product.  (layer 6: kernel)
#pragma once

#include <graft/tensor/matrix.hpp>

namespace graft {

/// diag(k) M: row i of M times k[i]. Nothing is multiplied before the product packs the row.
template <class M, class T>
struct scaled_rows {
    M m;
    T const* k;
    index_t rows, columns;
};
template <class M, class T> inline constexpr bool is_matrix<scaled_rows<M, T>> = true;

/// A diagonal matrix, given by its numbers: one for each row of what it stands before.
template <class T>
struct diagonal {
    T const* numbers;
    constexpr explicit diagonal(T const* k) : numbers(k) {}
};

template <class T, class M>
    requires is_matrix<M>
constexpr scaled_rows<M, T> operator*(diagonal<T> k, M m) {
    return {m, k.numbers, m.rows, m.columns};
}

}  // namespace graft
