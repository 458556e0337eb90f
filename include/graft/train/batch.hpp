// SPDX-License-Identifier: Apache-2.0
// What one pass reads: rows of several sequences, one after another, without padding.    (layer 13: train)
#pragma once

#include <graft/block/config.hpp>
#include <graft/kernel/rope.hpp>
#include <graft/memory/arena.hpp>
#include <graft/memory/visitor.hpp>
#include <graft/quant/weight.hpp>
#include <graft/rule/surroundings.hpp>
#include <graft/simd/blocking.hpp>

#include <span>

namespace graft {

/// `ids` and `targets` have one entry per row; targets[i] is the token that row i is to predict, or −1 for none.
/// `starts` holds the first row of each sequence, ascending, beginning with 0.
struct batch {
    std::span<int const> ids, targets;
    std::span<index_t const> starts;
};

/// What the rules are given beside their operands, worked out once per batch in planned memory.
template <class T>
class batch_view {
public:
    static constexpr index_t bytes(index_t tokens, index_t head) {
        index_t const half = head / 2, t = static_cast<index_t>(sizeof(T)), i = static_cast<index_t>(sizeof(index_t));
        auto const padded = [](index_t b) { return round_up(b, buffer_alignment); };
        return 2 * padded(tokens * half * t) + 3 * padded(tokens * i) +
               padded(tokens * static_cast<index_t>(sizeof(int)));
    }

    batch_view() = default;
    batch_view(arena& memory, index_t tokens, model_config const& c)
        : cosines(memory.take_numbers<T>(tokens * (c.head / 2))), sines(memory.take_numbers<T>(tokens * (c.head / 2))),
          positions(memory.take_numbers<index_t>(tokens)), first_key(memory.take_numbers<index_t>(tokens)),
          list(memory.take_numbers<index_t>(tokens)), picked(memory.take_numbers<int>(tokens)), most(tokens) {}

    /// `past`: rows of the one sequence that came before (generation).
    void set(batch const& b, model_config const& c, index_t past = 0) {
        rows = static_cast<index_t>(b.ids.size());
        require(rows > 0, fault::bounds, "batch: rows, at least", rows, 1);
        require(rows <= most, fault::bounds, "batch: rows", rows, most);
        require(b.targets.empty() || b.targets.size() == b.ids.size(), fault::shape, "batch: targets",
                static_cast<index_t>(b.targets.size()), rows);
        require(b.starts.empty() || b.starts[0] == 0, fault::bounds, "batch: the first start",
                b.starts.empty() ? 0 : b.starts[0], 0);
        index_t start = 0;
        std::size_t next = 0;
        with_target = 0;
        for (index_t i = 0; i < rows; ++i) {
            if (next < b.starts.size() && b.starts[next] == i) start = i, ++next;
            positions[i] = past + i - start, first_key[i] = start;
            int const id = b.ids[static_cast<std::size_t>(i)];
            require(id >= 0 && id < c.vocabulary, fault::bounds, "batch: token id", id, c.vocabulary);
            if (b.targets.empty()) continue;
            int const target = b.targets[static_cast<std::size_t>(i)];
            require(target < c.vocabulary, fault::bounds, "batch: target", target, c.vocabulary);
            if (target >= 0) list[with_target] = i, picked[with_target++] = target;
        }
        require(next == b.starts.size(), fault::bounds, "batch: starts that ascend and lie below the rows",
                static_cast<index_t>(next), static_cast<index_t>(b.starts.size()));
        index_t const half = c.head / 2;
        require(c.rope_factor_count == 0 || c.rope_factor_count == half, fault::shape, "config: rope factors",
                c.rope_factor_count, half);
        rope_table(matrix<T>{cosines, rows, half}, matrix<T>{sines, rows, half},
                   std::span<index_t const>(positions, static_cast<std::size_t>(rows)), c.rope_base,
                   std::span<float const>(c.rope_factors.data(), static_cast<std::size_t>(c.rope_factor_count)));
    }

    surroundings<T> around(model_config const& c) const {
        return {c.norm_epsilon, c.pairing, cosines, sines, first_key, {}};
    }
    std::span<index_t const> rows_with_target() const { return {list, static_cast<std::size_t>(with_target)}; }
    std::span<int const> targets() const { return {picked, static_cast<std::size_t>(with_target)}; }

    index_t rows = 0;  // of the batch that was set

private:
    T *cosines = nullptr, *sines = nullptr;
    index_t *positions = nullptr, *first_key = nullptr, *list = nullptr;
    int* picked = nullptr;
    index_t most = 0, with_target = 0;
};

/// The rows of the embedding that belong to the ids; `used` hears of each row.
template <class T>
void embed(matrix<T> x, weight const& embedding, std::span<int const> ids, memory_visitor used = {}) {
    constexpr index_t run = blocking::depth;
    float decoded[run];
    for (index_t i = 0; i < x.rows; ++i) {
        for (index_t j = 0; j < x.columns; j += run) {
            index_t const n = x.columns - j < run ? x.columns - j : run;
            embedding.how->decode(embedding.row(ids[static_cast<std::size_t>(i)]), j, n, decoded);
            for (index_t l = 0; l < n; ++l) x(i, j + l) = static_cast<T>(decoded[l]);
        }
        used(embedding.slice(ids[static_cast<std::size_t>(i)], 1));
    }
}

}  // namespace graft
