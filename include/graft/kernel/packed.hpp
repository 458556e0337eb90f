// SPDX-License-Identifier: Apache-2.0
// Packing a right factor once for many products.                                           (layer 6: kernel)
#pragma once

#include <graft/kernel/product.hpp>
#include <graft/kernel/rows.hpp>

namespace graft {

/// Packs a matrix, a stored weight, one of these with factors of its rows, or the transpose of one into `memory`
/// (`packed_numbers` of T, aligned to 64 bytes for full speed). Products with it have the bits of those with b.
/// cost: each number is read (decoded) once.
template <class T, Factor B>
packed_factor<T> pack_factor(B const& b, T* memory, workers const* on = nullptr) {
    constexpr index_t step =  // columns at a time: whole panels of every target, whole blocks of every format
        std::min(index_t{96}, product_tiling<T>::group);
    static_assert(step % product_tiling<T>::panel == 0 && step % 32 == 0);
    auto const source = detail::source_of<T>(detail::untransposed(b), detail::is_transposed<B>);
    index_t const depth = rows(b), across = columns(b), block = depth_of(depth);
    index_t const padded = round_up(across, product_tiling<T>::unit), tasks = (across + step - 1) / step;
    auto const pack_columns = [&](index_t task, index_t) {
        alignas(64) std::byte scratch[static_cast<std::size_t>(std::max(source.scratch_bytes, index_t(1)))];
        index_t const n0 = task * step;
        for (index_t k0 = 0; k0 < depth; k0 += block) {
            index_t const length = std::min(block, depth - k0);
            source.pack_group(k0, length, n0, std::min(step, across - n0), memory + k0 * padded + n0 * length,
                              scratch);
        }
    };
    each_task(on, tasks, pack_columns);
    return {memory, depth, across};
}

}  // namespace graft
