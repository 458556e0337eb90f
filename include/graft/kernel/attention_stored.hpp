// SPDX-License-Identifier: Apache-2.0
// Attention that keeps its weights, rows × keys for each head, from forward to pull.      (layer 6: kernel)
#pragma once

#include <graft/kernel/attention_tiles.hpp>
#include <graft/kernel/softmax.hpp>

#include <algorithm>

namespace graft {

namespace detail {

/// Sizes of what one lane needs: the tiles, and a strip of scores, a tile of rows × all keys.
template <class T>
struct stored_tiles : attention_tiles<T> {
    index_t strip;  // from row to row; the last tile of keys may write a part of a pack beyond them

    constexpr stored_tiles(attention_shape const& s, index_t all_rows, index_t all_keys)
        : attention_tiles<T>(s, all_rows, all_keys),
          strip(round_up(all_keys + native_width<T> - 1, native_width<T>)) {}

    constexpr index_t scores(attention_shape const& s) const { return this->rows * strip + s.head * this->keys; }
    constexpr index_t by_rows() const { return this->keys * this->head + this->rows * this->head; }
    constexpr index_t by_keys() const { return this->rows * (this->keys + this->head) + this->keys * this->head; }
};

/// The keys that a row sees: [first, end).
struct seen_keys {
    index_t first, end;

    seen_keys(attention_shape const& s, index_t row, index_t keys)
        : first(s.first_key ? s.first_key[row] : 0), end(s.causal ? std::min(s.past + row + 1, keys) : keys) {}
    index_t count() const { return end - first; }
};

/// s (a tile of rows × all keys) = scale · a bᵀ, where a row sees the key; numbers elsewhere mean nothing.
template <class T>
void score_strip(T* s, matrix<T> a, matrix<T> b, T scale, attention_shape const& shape, row_tile const& rows,
                 stored_tiles<T> const& n, scratch_parts<T> parts) {
    T* const right = parts.take(shape.head * n.keys);
    for (index_t key = rows.first / shape.tile * shape.tile; key <= rows.last; key += shape.tile) {
        index_t const keys = std::min(shape.tile, rows.last + 1 - key);
        transpose_tile(right, n.keys, b.slice(key, keys), scale);
        row_key_products(s + key, n.strip, a.slice(rows.start, rows.count), right, n.keys, keys,
                         rows_behind(shape, rows.start, key));
    }
}

/// to (+)= scale · w b for one head of one tile of rows; w is rows × all keys.
template <class T>
void mix_by_rows(matrix<T> to, matrix<T> w, matrix<T> b, T scale, attention_shape const& shape, row_tile const& rows,
                 stored_tiles<T> const& n, scratch_parts<T> parts) {
    T *const packed = parts.take(n.keys * n.head), *const acc = parts.take(n.rows * n.head);
    std::fill_n(acc, n.rows * n.head, T(0));
    for (index_t key = rows.first / shape.tile * shape.tile; key <= rows.last; key += shape.tile) {
        index_t const keys = std::min(shape.tile, rows.last + 1 - key);
        copy_tile(packed, n.head, b.slice(key, keys));
        row_head_products(acc, n.head, small_factor<T>{w.row(rows.start) + key, w.stride, 1}, packed, rows.count, keys,
                          rows_behind(shape, rows.start, key));
    }
    add_tile(to.slice(rows.start, rows.count), acc, n.head, scale);
}

/// to (+)= scale · Σ wᵀ b for one tile of keys from `key` on, of one key head: over all rows that see it and all heads
/// that share it; w holds their rows × all keys one after the other, b their columns.
template <class T>
void mix_by_keys(matrix<T> to, matrix<T> w, matrix<T> b, T scale, index_t key, attention_shape const& shape,
                 stored_tiles<T> const& n, scratch_parts<T> parts) {
    index_t const all = to.rows, keys = std::min(shape.tile, all - key), d = shape.head;
    T *const weights = parts.take(n.rows * n.keys), *const packed = parts.take(n.rows * n.head);
    T* const acc = parts.take(n.keys * n.head);
    std::fill_n(acc, n.keys * n.head, T(0));
    index_t const first_row = shape.causal ? std::max(index_t{0}, key - shape.past) : 0;
    for (index_t t = first_row / shape.tile; t * shape.tile < b.rows; ++t) {
        row_tile const rows(shape, b.rows, all, t);
        if (rows.first >= key + keys) continue;
        for (index_t h = 0; h < b.columns / d; ++h) {  // copied: a column of w would meet one set of the cache
            copy_tile(weights, n.keys, w.slice(rows.start, rows.count).cut(h * all + key, keys));
            copy_tile(packed, n.head, b.slice(rows.start, rows.count).cut(h * d, d));
            key_head_products(acc, n.head, weights, n.keys, packed, rows.count, keys,
                              rows_behind(shape, rows.start, key));
        }
    }
    add_tile(to.slice(key, keys), acc, n.head, scale);
}

/// One head of one tile of rows: P = softmax(q kᵀ / √head), o = P v.
template <class T>
void attend_stored_tile(matrix<T> o, matrix<T> P, matrix<T> q, matrix<T> k, matrix<T> v, attention_shape const& shape,
                        row_tile const& rows, stored_tiles<T> const& n, scratch_parts<T> parts) {
    scratch_parts<T> rest = parts;
    T* const scores = rest.take(n.rows * n.strip);
    score_strip(scores, q, k, T(1) / sqrt(static_cast<T>(shape.head)), shape, rows, n, rest);
    for (index_t i = 0; i < rows.count; ++i) {
        seen_keys const seen(shape, rows.start + i, k.rows);
        T const* const s = scores + i * n.strip + seen.first;
        T *const row = P.row(rows.start + i), *const p = row + seen.first;
        std::fill(row, p, T(0)), std::fill(row + seen.end, row + k.rows, T(0));
        T const inverse = T(1) / row_exp(p, s, seen.count(), row_max(s, seen.count(), static_cast<T>(no_maximum)));
        along<T>(seen.count(),
                 [=](index_t j, auto access) { access.store(p + j, access.load(p + j) * pack<T>(inverse)); });
    }
    mix_by_rows(o.as_fresh(), P, v, T(1), shape, rows, n, parts);
}

/// One head of one tile of rows: P becomes P (dP - D) with dP = dy vᵀ and D = rowsum(dP P).
template <class T>
void pull_stored_tile(matrix<T> P, matrix<T> dy, matrix<T> v, attention_shape const& shape, row_tile const& rows,
                      stored_tiles<T> const& n, scratch_parts<T> parts) {
    T* const strip = parts.take(n.rows * n.strip);
    score_strip(strip, dy, v, T(1), shape, rows, n, parts);
    for (index_t i = 0; i < rows.count; ++i) {
        seen_keys const seen(shape, rows.start + i, v.rows);
        T const* const dp = strip + i * n.strip + seen.first;
        T* const p = P.row(rows.start + i) + seen.first;
        T const delta = row_dot(static_cast<T const*>(p), dp, seen.count());
        along<T>(seen.count(), [=](index_t j, auto access) {
            access.store(p + j, access.load(p + j) * (access.load(dp + j) - pack<T>(delta)));
        });
    }
}

}  // namespace detail

/// Numbers of T that `attention_stored` needs for up to `rows` rows, `keys` keys and `lanes` workers.
template <class T>
constexpr index_t attention_stored_scratch(attention_shape const& s, index_t rows, index_t keys, index_t lanes) {
    detail::stored_tiles<T> const n(s, rows, keys);
    return lanes * std::max(n.scores(s), n.by_rows());
}

/// Numbers of T that `attention_stored_pull` needs.
template <class T>
constexpr index_t attention_stored_pull_scratch(attention_shape const& s, index_t rows, index_t keys, index_t lanes) {
    detail::stored_tiles<T> const n(s, rows, keys);
    return lanes * std::max({n.scores(s), n.by_rows(), n.by_keys()});
}

/// `attention` that also writes its weights: row i of P holds those of row i for head 0, then head 1, …, `keys`
/// numbers each, 0 where it does not see the key. What published methods keep; `attention` keeps one number instead.
///
/// shapes   q, o: rows × (heads · head)    k, v: keys × (kv_heads · head)    P: rows × (heads · keys)
/// cost     4 rows keys heads head flops, halved by causality
template <class T>
void attention_stored(matrix<T> o, matrix<T> P, matrix<T> q, matrix<T> k, matrix<T> v, attention_shape const& s,
                      T* scratch) {
    detail::stored_tiles<T> const n(s, q.rows, k.rows);
    index_t const d = s.head, group = s.heads / s.kv_heads, tiles = (q.rows + s.tile - 1) / s.tile;
    index_t const lane_scratch = attention_stored_scratch<T>(s, q.rows, k.rows, 1);
    each_task(o.on, s.heads * tiles, [&](index_t task, index_t lane) {
        index_t const h = task % s.heads, kv = h / group;
        detail::attend_stored_tile(o.cut(h * d, d), P.cut(h * k.rows, k.rows), q.cut(h * d, d), k.cut(kv * d, d),
                                   v.cut(kv * d, d), s,
                                   detail::row_tile(s, q.rows, k.rows, tiles - 1 - task / s.heads), n,
                                   detail::scratch_parts<T>{scratch + lane * lane_scratch});
    });
}

/// With the weights P of `attention_stored`, which are used up: they become P (dP - D).
///     dv += Pᵀ dy    dP = dy vᵀ    D = rowsum(dP P)    dS = P (dP - D) / √head    dk += dSᵀ q    dq += dS k
/// A gradient without data is not wanted. A fresh dq may be the buffer of q or dy, since it is written last; dk and dv
/// may not be those of k and v.
///
/// cost     8 rows keys heads head flops, halved by causality (4 products; each sum by one worker in one order)
/// source   the softmax's own derivative, as MeSP and MeBP pull it: no exponential is computed again
template <class T>
void attention_stored_pull(matrix<T> dq, matrix<T> dk, matrix<T> dv, matrix<T> dy, matrix<T> q, matrix<T> k,
                           matrix<T> v, matrix<T> P, attention_shape const& s, T* scratch) {
    detail::stored_tiles<T> const n(s, q.rows, k.rows);
    index_t const d = s.head, group = s.heads / s.kv_heads, wide = group * d, all = k.rows;
    index_t const row_tiles = (q.rows + s.tile - 1) / s.tile, key_tiles = (all + s.tile - 1) / s.tile;
    index_t const lane_scratch = attention_stored_pull_scratch<T>(s, q.rows, all, 1);
    T const scale = T(1) / sqrt(static_cast<T>(d));
    auto const parts = [=](index_t lane) { return detail::scratch_parts<T>{scratch + lane * lane_scratch}; };
    auto const each_tile_of_rows = [&](auto&& body) {  // body(head, its key head, rows, scratch), the longest first
        each_task(dy.on, s.heads * row_tiles, [&](index_t task, index_t lane) {
            index_t const h = task % s.heads;
            body(h, h / group, detail::row_tile(s, q.rows, all, row_tiles - 1 - task / s.heads), parts(lane));
        });
    };
    auto const add_by_keys = [&](matrix<T> to, matrix<T> b, T factor) {
        each_task(dy.on, s.kv_heads * key_tiles, [&](index_t task, index_t lane) {
            index_t const kv = task % s.kv_heads;
            detail::mix_by_keys(to.cut(kv * d, d), P.cut(kv * group * all, group * all), b.cut(kv * wide, wide),
                                factor, task / s.kv_heads * s.tile, s, n, parts(lane));
        });
    };
    if (dv) add_by_keys(dv, dy, T(1));
    if (!dk && !dq) return;
    each_tile_of_rows([&](index_t h, index_t kv, detail::row_tile const& rows, detail::scratch_parts<T> space) {
        detail::pull_stored_tile(P.cut(h * all, all), dy.cut(h * d, d), v.cut(kv * d, d), s, rows, n, space);
    });
    if (dk) add_by_keys(dk, q, scale);
    if (dq)
        each_tile_of_rows([&](index_t h, index_t kv, detail::row_tile const& rows, detail::scratch_parts<T> space) {
            detail::mix_by_rows(dq.cut(h * d, d), P.cut(h * all, all), k.cut(kv * d, d), scale, s, rows, n, space);
        });
}

}  // namespace graft
