// SPDX-License-Identifier: Apache-2.0
// The tiles of attention: their sizes, how they are filled, masked and multiplied.        (layer 6: kernel)
#pragma once

#include <graft/kernel/rows.hpp>
#include <graft/kernel/small_product.hpp>
#include <graft/simd/transpose.hpp>

#include <algorithm>
#include <bit>
#include <limits>

namespace graft {

/// What attention knows besides its operands. Row i is at key `past + i` and sees keys first_key[i] … past + i, as far
/// as there are keys; without `first_key` from key 0, if it is not causal all after it, too. `heads / kv_heads` query
/// heads share a key head. Rows and keys are worked on `tile` at a time.
struct attention_shape {
    index_t heads = 1, kv_heads = 1, head = 1;
    index_t past = 0;
    index_t const* first_key = nullptr;
    index_t tile = blocking::attention;
    bool causal = true;
};

/// What is added to the scores, for all heads alike: data[i · step + j] to that of row i and key j; step may be 0.
template <class T>
struct score_bias {
    T const* data = nullptr;
    index_t step = 0;
    explicit operator bool() const { return data != nullptr; }
};

namespace detail {

/// The score of a key that a row does not see: far enough below the first maximum that its weight is exactly 0.
inline constexpr double unseen_score = -1e30, no_maximum = -1e29;

/// Sizes of the tiles in scratch: rows and keys of a tile, padded to packs, and a padded head.
template <class T>
struct attention_tiles {
    index_t rows, keys, head;

    constexpr attention_tiles(attention_shape const& s, index_t all_rows, index_t all_keys)
        : rows(round_up(std::min(s.tile, all_rows), native_width<T>)),
          keys(round_up(std::min(s.tile, all_keys), native_width<T>)),
          head(round_up(s.head, native_width<T>)) {}

    constexpr index_t forward(attention_shape const& s) const {
        return s.head * rows + keys * rows + keys * head + rows * head + 3 * rows;
    }
    constexpr index_t single(attention_shape const& s) const {
        index_t const group = s.heads / s.kv_heads;
        return group * keys + keys * head + group * head + 2 * group;
    }
    constexpr index_t pull_q(attention_shape const& s) const {
        return 2 * s.head * rows + 2 * keys * rows + keys * head + rows * head + 2 * rows;
    }
    constexpr index_t pull_kv(attention_shape const& s) const {
        return 2 * s.head * keys + 2 * rows * keys + 2 * rows * head + 2 * keys * head;
    }
};

/// Hands out consecutive parts of one lane's scratch.
template <class T>
struct scratch_parts {
    T* next;
    T* take(index_t count) { return next += count, next - count; }
};

/// to (columns × padded) = scale · fromᵀ, zero beyond from's rows.
template <class T>
void transpose_tile(T* to, index_t padded, matrix<T> from, T scale) {
    constexpr index_t width = native_width<T>;
    for (index_t i = 0; i < padded; i += width)
        for (index_t j = 0; j < from.columns; j += width) {
            index_t const rows = std::clamp(from.rows - i, index_t{0}, width),
                          columns = std::min(width, from.columns - j);
            vector_t<T, width> square[width];
#pragma GCC unroll 16
            for (index_t l = 0; l < width; ++l) {
                pack<T> run = T(0);
                if (l < rows)
                    run = columns == width ? pack<T>::load(from.row(i + l) + j)
                                           : pack<T>::load_some(from.row(i + l) + j, columns);
                square[l] = std::bit_cast<vector_t<T, width>>(run * pack<T>(scale));
            }
            transpose<T>(square);
#pragma GCC unroll 16
            for (index_t l = 0; l < width; ++l)
                if (l < columns) std::bit_cast<pack<T>>(square[l]).store(to + (j + l) * padded + i);
        }
}

/// to (rows × padded) = from, zero beyond from's columns.
template <class T>
void copy_tile(T* to, index_t padded, matrix<T> from) {
    for (index_t i = 0; i < from.rows; ++i) {
        std::copy_n(from.row(i), from.columns, to + i * padded);
        std::fill(to + i * padded + from.columns, to + (i + 1) * padded, T(0));
    }
}

/// to (+)= scale · from, a padded tile.
template <class T>
void add_tile(matrix<T> to, T const* from, index_t padded, T scale) {
    for (index_t i = 0; i < to.rows; ++i)
        along<T>(to.columns, [&](index_t j, auto access) {
            put(access, to.row(i) + j, access.load(from + i * padded + j) * pack<T>(scale), to.fresh);
        });
}

/// Tile `index` of some rows, and the keys that any of them sees: [first, last].
struct row_tile {
    index_t start, count, first = 0, last, latest_first = 0;

    row_tile(attention_shape const& s, index_t all_rows, index_t all_keys, index_t index)
        : start(index * s.tile),
          count(std::min(s.tile, all_rows - start)),
          last(s.causal ? std::min(s.past + start + count, all_keys) - 1 : all_keys - 1) {
        if (!s.first_key) return;
        auto const [low, high] = std::minmax_element(s.first_key + start, s.first_key + start + count);
        first = *low, latest_first = *high;
    }
};

/// Rows of a tile before this one do not see its first key.
constexpr index_t rows_behind(attention_shape const& s, index_t start, index_t key) {
    return s.causal ? key - s.past - start : -(std::numeric_limits<index_t>::max() / 2);
}

/// Transposed tile (keys × padded rows) += the bias of rows from `row` and keys from `key` on.
template <class T>
void add_score_bias(T* s, index_t padded, score_bias<T> bias, index_t row, index_t rows, index_t key, index_t keys) {
    for (index_t i = 0; i < rows && bias; ++i)
        for (index_t c = 0; c < keys; ++c) s[c * padded + i] += bias.data[(row + i) * bias.step + key + c];
}

/// Transposed tile (keys × padded rows): writes `value` where the row does not see the key.
template <class T>
void hide_unseen(T* s, index_t padded, attention_shape const& shape, row_tile const& rows, index_t key, index_t keys,
                 T value) {
    index_t const behind = rows_behind(shape, rows.start, key);
    for (index_t c = std::max(index_t{0}, 1 - behind); c < keys; ++c)
        std::fill_n(s + c * padded, std::min(padded, behind + c), value);
    if (rows.latest_first <= key) return;
    for (index_t i = 0; i < rows.count; ++i)
        for (index_t c = 0; c < std::min(keys, shape.first_key[rows.start + i] - key); ++c) s[c * padded + i] = value;
}

/// Transposed tile (keys × padded rows) = a (keys × head) · right (head × padded rows), without the rows before all
/// keys.
template <class T>
void key_row_products(T* s, index_t padded, matrix<T> a, T const* right, index_t behind) {
    for (index_t c = 0; c < a.rows; c += small_rows) {
        index_t const skip = std::clamp(behind + c, index_t{0}, padded) / native_width<T> * native_width<T>;
        small_product(s + c * padded + skip, padded, small_factor<T>{a.row(c), a.stride, 1}, right + skip, padded,
                      std::min(small_rows, a.rows - c), padded - skip, a.columns, false);
    }
}

/// s (rows × padded keys) = a (rows × head) · right (head × padded keys), without the keys after all rows of a group.
template <class T>
void row_key_products(T* s, index_t stride, matrix<T> a, T const* right, index_t padded, index_t keys, index_t behind) {
    for (index_t i = 0; i < a.rows; i += small_rows) {
        index_t const count = std::min(small_rows, a.rows - i);
        index_t const seen = round_up(std::clamp(i + count - behind, index_t{0}, keys), native_width<T>);
        small_product(s + i * stride, stride, small_factor<T>{a.row(i), a.stride, 1}, right, padded, count, seen,
                      a.columns, false);
    }
}

/// acc (rows × padded head) += w b over the keys that each row sees; w is rows × keys, b (keys × padded head).
template <class T>
void row_head_products(T* acc, index_t head, small_factor<T> w, T const* b, index_t rows, index_t keys,
                       index_t behind) {
    for (index_t i = 0; i < rows; i += small_rows) {
        index_t const count = std::min(small_rows, rows - i), depth = std::min(keys, i + count - behind);
        if (depth > 0)
            small_product(acc + i * head, head, small_factor<T>{w.data + i * w.row, w.row, w.column}, b, head, count,
                          head, depth, true);
    }
}

/// acc (keys × padded head) += wᵀ b over the rows that see each key; w (rows × padded keys), b (rows × padded head).
template <class T>
void key_head_products(T* acc, index_t head, T const* w, index_t padded, T const* b, index_t rows, index_t keys,
                       index_t behind) {
    for (index_t c = 0; c < keys; c += small_rows) {
        index_t const skip = std::clamp(behind + c, index_t{0}, rows);
        small_product(acc + c * head, head, small_factor<T>{w + skip * padded + c, 1, padded}, b + skip * head, head,
                      std::min(small_rows, keys - c), head, rows - skip, true);
    }
}

}  // namespace detail

}  // namespace graft
