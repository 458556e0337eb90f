// SPDX-License-Identifier: Apache-2.0
// What rules are given beside their operands: where sequences begin, where rows stand.   (layer 8: rule)
#pragma once

#include <graft/base/index.hpp>
#include <graft/base/rope_pairing.hpp>

#include <cstdint>

namespace graft {

/// The keys and values of one layer's past rows, for generation: `past` rows are in, room for `capacity`.
template <class T>
struct key_value_cache {
    T *k = nullptr, *v = nullptr;  // capacity × kv_width each
    index_t past = 0, capacity = 0;
    constexpr explicit operator bool() const { return k != nullptr; }
};

/// Which numbers dropout takes from what adapters read: a function of these, the map, the row and the column alone.
struct dropout_draw {
    double rate = 0;                   // 0 ≤ rate < 1; 0 where nothing is trained: evaluation, generation
    std::uint64_t seed = 0, draw = 0;  // another draw for every batch, below 2³²
};

/// Of a batch of rows in which several sequences follow each other. Only attention, RoPE and the loss look at it.
template <class T>
struct surroundings {
    double norm_epsilon = 1e-5;
    rope_pairing pairing = rope_pairing::half_split;
    T *cosines = nullptr, *sines = nullptr;  // rows × head/2: the angle of each row's position
    index_t const* first_key = nullptr;            // per row: the first row of its sequence; null: row 0 for all
    key_value_cache<T> cache;
    dropout_draw dropout{};
};

}  // namespace graft
