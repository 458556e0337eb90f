// SPDX-License-Identifier: Apache-2.0
// From the last stream to the loss: the final norm and the streamed cross-entropy.       (layer 12: block)
#pragma once

#include <graft/kernel/cross_entropy.hpp>
#include <graft/kernel/norm.hpp>
#include <graft/memory/buffer.hpp>
#include <graft/memory/visitor.hpp>
#include <graft/quant/weight.hpp>

#include <span>

namespace graft {

/// loss = Σ over rows with a target of  −log softmax(rms_norm(x) Wᵀ)[target].
///
/// shapes   x: tokens × width    W: vocabulary × width, in its file's format    norm: width
/// The logits are never formed: chunks of the vocabulary stream by, once (`kernel/cross_entropy.hpp`), for all rows or,
/// on a microcontroller, for `blocking::head_rows` at a time. Rows without a target are left out before anything is
/// computed; their gradient is exactly zero. `used` is told which rows of W were read, chunk by chunk; it changes no
/// bit.
template <class T>
struct loss_head {
    weight W;
    float const* norm = nullptr;
    double epsilon = 1e-5;
    memory_visitor used{};

    /// Bytes of scratch for `rows` rows with a target.
    static constexpr index_t scratch_bytes(index_t rows, index_t width) {
        rows = at_once(rows);
        index_t const numbers = 2 * round_up(rows * width, grain) + round_up(cross_entropy_scratch(rows), grain);
        return numbers * static_cast<index_t>(sizeof(T));
    }

    /// The sum of the losses of the rows in `list` (ascending), whose targets are `targets`. If `gradient` (tokens ×
    /// width) is not empty, it becomes scale · d(sum)/dx in every row.
    double operator()(matrix<T> x, std::span<index_t const> list, std::span<int const> targets, matrix<T> gradient,
                      T scale, T* scratch) const {
        index_t const all = static_cast<index_t>(list.size()), most = at_once(all);
        T* const space = scratch + 2 * round_up(most * x.columns, grain);
        double loss = 0;
        for (index_t first = 0; first < all; first += most) {
            index_t const rows = std::min(most, all - first);
            auto const part = [=](auto of) {
                return of.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows));
            };
            matrix<T> const picked{scratch, rows, x.columns, x.on};
            matrix<T> const z{scratch + round_up(rows * x.columns, grain), rows, x.columns, x.on};
            gather_rows(picked, x, part(list));
            rms_norm(z, picked, norm, epsilon);
            // The list ascends: rows that are still to be read lie behind those that are written.
            auto const dz = gradient ? gradient.slice(first, rows).as_fresh() : matrix<T>{};
            loss += cross_entropy(dz, z, W, part(targets), scale, space, std::span<T>{}, cross_entropy_chunk, used);
            if (gradient) rms_norm_pull(dz, dz, picked, norm, epsilon);
        }
        if (gradient) spread_rows(gradient, list);
        return loss;
    }

    static constexpr index_t grain = buffer_alignment / static_cast<index_t>(sizeof(T));

private:
    static constexpr index_t at_once(index_t rows) {
        return blocking::small ? std::min(rows, blocking::head_rows) : rows;
    }
};

}  // namespace graft
