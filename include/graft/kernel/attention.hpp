// SPDX-License-Identifier: Apache-2.0
// Grouped-query attention, causal or not, forward and pull; no tokens × tokens matrix exists.     (layer 6: kernel)
#pragma once

#include <graft/kernel/attention_tiles.hpp>
#include <graft/kernel/softmax.hpp>

#include <algorithm>

namespace graft {

namespace detail {

template <class T>
T attention_scale(index_t head) {
    return T(1) / sqrt(static_cast<T>(head));
}

/// One head of one tile of rows; k and v are cut to their head.
template <class T>
void attend_tile(matrix<T> o, matrix<T> lse, matrix<T> q, matrix<T> k, matrix<T> v, attention_shape const& shape,
                 score_bias<T> bias, row_tile const& rows, attention_tiles<T> const& n, scratch_parts<T> parts) {
    constexpr index_t width = native_width<T>;
    T *const qt = parts.take(shape.head * n.rows), *const s = parts.take(n.keys * n.rows);
    T *const values = parts.take(n.keys * n.head), *const acc = parts.take(n.rows * n.head);
    T *const largest = parts.take(n.rows), *const total = parts.take(n.rows), *const shrink = parts.take(n.rows);
    transpose_tile(qt, n.rows, q.slice(rows.start, rows.count), attention_scale<T>(shape.head));
    std::fill_n(acc, n.rows * n.head, T(0));
    std::fill_n(largest, n.rows, static_cast<T>(no_maximum));
    std::fill_n(total, n.rows, T(0));

    for (index_t key = rows.first / shape.tile * shape.tile; key <= rows.last; key += shape.tile) {
        index_t const keys = std::min(shape.tile, rows.last + 1 - key), behind = rows_behind(shape, rows.start, key);
        key_row_products(s, n.rows, k.slice(key, keys), qt, behind);
        add_score_bias(s, n.rows, bias, rows.start, rows.count, key, keys);
        hide_unseen(s, n.rows, shape, rows, key, keys, static_cast<T>(unseen_score));
        for (index_t i = 0; i < n.rows; i += width) {
            index_t const seen = std::clamp(i + width - behind, index_t{0}, keys);  // by any row of this pack
            auto const before = pack<T>::load(largest + i);
            pack<T> m = before, sum = T(0);
            for (index_t c = 0; c < seen; ++c) m = max(m, pack<T>::load(s + c * n.rows + i));
            for (index_t c = 0; c < seen; ++c) {
                auto const p = softmax_exp(pack<T>::load(s + c * n.rows + i) - m);
                p.store(s + c * n.rows + i);
                sum += p;
            }
            for (index_t c = seen; c < keys; ++c) pack<T>(T(0)).store(s + c * n.rows + i);
            auto const f = softmax_exp(before - m);
            m.store(largest + i), f.store(shrink + i);
            fma(pack<T>::load(total + i), f, sum).store(total + i);
        }
        for (index_t i = 0; i < rows.count; ++i)
            if (shrink[i] != T(1))
                for (index_t j = 0; j < n.head; j += width)
                    (pack<T>::load(acc + i * n.head + j) * pack<T>(shrink[i])).store(acc + i * n.head + j);
        copy_tile(values, n.head, v.slice(key, keys));
        row_head_products(acc, n.head, small_factor<T>{s, 1, n.rows}, values, rows.count, keys, behind);
    }
    for (index_t i = 0; i < rows.count; ++i) {
        add_tile(o.slice(rows.start + i, 1).as_fresh(), acc + i * n.head, n.head, T(1) / total[i]);
        if (lse) lse(rows.start + i, 0) = largest[i] + log(total[i]);
    }
}

/// All heads of one key head for one row, as in generation: K is read once, along its rows.
template <class T>
void attend_row(matrix<T> o, matrix<T> lse, matrix<T> q, matrix<T> k, matrix<T> v, attention_shape const& shape,
                score_bias<T> bias, attention_tiles<T> const& n, scratch_parts<T> parts) {
    index_t const group = q.columns / shape.head;
    T *const s = parts.take(group * n.keys), *const values = parts.take(n.keys * n.head),
             *const acc = parts.take(group * n.head);
    T *const largest = parts.take(group), *const total = parts.take(group);
    T const scale = attention_scale<T>(shape.head);
    std::fill_n(acc, group * n.head, T(0));
    std::fill_n(largest, group, static_cast<T>(no_maximum));
    std::fill_n(total, group, T(0));
    index_t const first = shape.first_key ? *shape.first_key : 0;
    index_t const end = shape.causal ? std::min(shape.past + 1, k.rows) : k.rows;
    for (index_t key = first; key < end; key += shape.tile) {
        index_t const keys = std::min(shape.tile, end - key);
        for (index_t c = 0; c < keys; ++c)
            for (index_t g = 0; g < group; ++g)
                s[g * n.keys + c] = scale * row_dot(q.data + g * shape.head, k.row(key + c), shape.head) +
                                    (bias ? bias.data[key + c] : T(0));
        for (index_t g = 0; g < group; ++g) {
            T* const row = s + g * n.keys;
            T const before = largest[g], m = row_max(row, keys, before), shrink = softmax_exp(before - m);
            total[g] = total[g] * shrink + row_exp(row, keys, m);
            for (index_t j = 0; j < shape.head; ++j) acc[g * n.head + j] *= shrink;
            largest[g] = m;
        }
        copy_tile(values, n.head, v.slice(key, keys));
        small_product(acc, n.head, small_factor<T>{s, n.keys, 1}, values, n.head, group, n.head, keys, true);
    }
    for (index_t g = 0; g < group; ++g) {
        add_tile(o.cut(g * shape.head, shape.head).as_fresh(), acc + g * n.head, n.head, T(1) / total[g]);
        if (lse) lse(0, g) = largest[g] + log(total[g]);
    }
}

}  // namespace detail

/// Numbers of T that `attention` needs for up to `rows` rows, `keys` keys and `lanes` workers.
template <class T>
constexpr index_t attention_scratch(attention_shape const& s, index_t rows, index_t keys, index_t lanes) {
    detail::attention_tiles<T> const n(s, rows, keys);
    return lanes * std::max(n.forward(s), n.single(s));
}

/// o = softmax(q kᵀ / √head) v for each head, over the keys each row sees; lse (rows × heads) keeps each row's
/// log-sum-exp, without data it is not wanted.
///
/// shapes   q, o: rows × (heads · head)    k, v: at least past + rows keys × (kv_heads · head)
/// cost     4 rows keys heads head flops, halved by causality
template <class T>
void attention(matrix<T> o, matrix<T> lse, matrix<T> q, matrix<T> k, matrix<T> v, attention_shape const& s,
               T* scratch, score_bias<T> bias = {}) {
    detail::attention_tiles<T> const n(s, q.rows, k.rows);
    index_t const group = s.heads / s.kv_heads, tiles = (q.rows + s.tile - 1) / s.tile;
    if (q.rows == 1) {  // the weights of the other path are columns of a tile: one row would waste them
        each_task(o.on, s.kv_heads, [&](index_t kv, index_t lane) {
            index_t const first = kv * group * s.head, width = group * s.head;
            detail::attend_row(o.cut(first, width), lse ? lse.cut(kv * group, group) : lse, q.cut(first, width),
                               k.cut(kv * s.head, s.head), v.cut(kv * s.head, s.head), s, bias, n,
                               detail::scratch_parts<T>{scratch + lane * n.single(s)});
        });
        return;
    }
    each_task(o.on, s.heads * tiles, [&](index_t task, index_t lane) {
        index_t const h = task % s.heads, kv = h / group;
        detail::attend_tile(o.cut(h * s.head, s.head), lse ? lse.cut(h, 1) : lse, q.cut(h * s.head, s.head),
                            k.cut(kv * s.head, s.head), v.cut(kv * s.head, s.head), s, bias,
                            detail::row_tile(s, q.rows, k.rows, tiles - 1 - task / s.heads), n,  // the longest first
                            detail::scratch_parts<T>{scratch + lane * n.forward(s)});
    });
}

namespace detail {

/// One row of scores p and of dy vᵀ in ds becomes P and P (dP - D); keys outside [first, end) of `keys` get 0.
template <class T>
void weigh_row(T* p, T* ds, T lse, T delta, index_t first, index_t end, index_t keys) {
    first = std::clamp(first, index_t{0}, keys), end = std::clamp(end, first, keys);
    along<T>(end, [=](index_t j, auto access) {
        auto const weight = softmax_exp(access.load(p + j) - pack<T>(lse));
        access.store(p + j, weight);
        access.store(ds + j, weight * (access.load(ds + j) - pack<T>(delta)));
    });
    for (T* const row : {p, ds}) std::fill(row, row + first, T(0)), std::fill(row + end, row + keys, T(0));
}

/// dk and dv of one tile of keys from `key` on, of one key head: over all rows that see it and all heads that share it.
template <class T>
void pull_key_tile(matrix<T> dk, matrix<T> dv, matrix<T> dy, matrix<T> q, matrix<T> k, matrix<T> v, matrix<T> lse,
                   matrix<T> delta, index_t key, attention_shape const& shape, score_bias<T> bias,
                   attention_tiles<T> const& n, scratch_parts<T> parts) {
    index_t const keys = std::min(shape.tile, k.rows - key), d = shape.head;
    T *const kt = parts.take(d * n.keys), *const vt = parts.take(d * n.keys);
    T *const p = parts.take(n.rows * n.keys), *const ds = parts.take(n.rows * n.keys);
    T *const queries = parts.take(n.rows * n.head), *const grads = parts.take(n.rows * n.head);
    T *const dk_sum = parts.take(n.keys * n.head), *const dv_sum = parts.take(n.keys * n.head);
    T const scale = attention_scale<T>(d);
    transpose_tile(kt, n.keys, k.slice(key, keys), scale);
    transpose_tile(vt, n.keys, v.slice(key, keys), T(1));
    std::fill_n(dk_sum, n.keys * n.head, T(0));
    std::fill_n(dv_sum, n.keys * n.head, T(0));

    index_t const first_row = shape.causal ? std::max(index_t{0}, key - shape.past) : 0;
    for (index_t t = first_row / shape.tile; t * shape.tile < q.rows; ++t) {
        row_tile const rows(shape, q.rows, k.rows, t);
        if (rows.first >= key + keys) continue;
        index_t const behind = rows_behind(shape, rows.start, key);
        for (index_t h = 0; h < q.columns / d; ++h) {
            auto const qh = q.slice(rows.start, rows.count).cut(h * d, d),
                       dyh = dy.slice(rows.start, rows.count).cut(h * d, d);
            for (index_t i = 0; i < rows.count; i += small_rows) {
                index_t const count = std::min(small_rows, rows.count - i);
                row_key_products(p + i * n.keys, n.keys, qh.slice(i, count), kt, n.keys, keys, behind - i);
                row_key_products(ds + i * n.keys, n.keys, dyh.slice(i, count), vt, n.keys, keys, behind - i);
                for (index_t r = i; r < i + count; ++r) {
                    for (index_t c = 0; c < keys && bias; ++c)
                        p[r * n.keys + c] += bias.data[(rows.start + r) * bias.step + key + c];
                    weigh_row(p + r * n.keys, ds + r * n.keys, lse(rows.start + r, h), delta(rows.start + r, h),
                              shape.first_key ? shape.first_key[rows.start + r] - key : 0,
                              std::min(keys, r + 1 - behind), n.keys);
                }
            }
            copy_tile(queries, n.head, qh);
            copy_tile(grads, n.head, dyh);
            key_head_products(dv_sum, n.head, p, n.keys, grads, rows.count, keys, behind);
            key_head_products(dk_sum, n.head, ds, n.keys, queries, rows.count, keys, behind);
        }
    }
    if (dk) add_tile(dk.slice(key, keys), dk_sum, n.head, scale);
    if (dv) add_tile(dv.slice(key, keys), dv_sum, n.head, T(1));
}

/// dq of one head of one tile of rows. What it reads of q and dy is copied before dq is written.
template <class T>
void pull_row_tile(matrix<T> dq, matrix<T> dy, matrix<T> q, matrix<T> k, matrix<T> v, matrix<T> lse, matrix<T> delta,
                   attention_shape const& shape, score_bias<T> bias, row_tile const& rows,
                   attention_tiles<T> const& n, scratch_parts<T> parts) {
    constexpr index_t width = native_width<T>;
    T *const qt = parts.take(shape.head * n.rows), *const dyt = parts.take(shape.head * n.rows);
    T *const p = parts.take(n.keys * n.rows), *const ds = parts.take(n.keys * n.rows);
    T *const packed = parts.take(n.keys * n.head), *const acc = parts.take(n.rows * n.head);
    T *const norm = parts.take(n.rows), *const offset = parts.take(n.rows);
    T const scale = attention_scale<T>(shape.head);
    transpose_tile(qt, n.rows, q.slice(rows.start, rows.count), scale);
    transpose_tile(dyt, n.rows, dy.slice(rows.start, rows.count), T(1));
    std::fill_n(acc, n.rows * n.head, T(0));
    for (index_t i = 0; i < n.rows; ++i) {
        norm[i] = i < rows.count ? lse(rows.start + i, 0) : T(0);
        offset[i] = i < rows.count ? delta(rows.start + i, 0) : T(0);
    }
    for (index_t key = rows.first / shape.tile * shape.tile; key <= rows.last; key += shape.tile) {
        index_t const keys = std::min(shape.tile, rows.last + 1 - key), behind = rows_behind(shape, rows.start, key);
        key_row_products(p, n.rows, k.slice(key, keys), qt, behind);
        add_score_bias(p, n.rows, bias, rows.start, rows.count, key, keys);
        key_row_products(ds, n.rows, v.slice(key, keys), dyt, behind);
        for (index_t c = 0; c < keys; ++c)
            for (index_t i = std::clamp(behind + c, index_t{0}, n.rows) / width * width; i < n.rows; i += width) {
                T* const at = ds + c * n.rows + i;
                auto const weight = softmax_exp(pack<T>::load(p + c * n.rows + i) - pack<T>::load(norm + i));
                (weight * (pack<T>::load(at) - pack<T>::load(offset + i))).store(at);
            }
        hide_unseen(ds, n.rows, shape, rows, key, keys, T(0));
        copy_tile(packed, n.head, k.slice(key, keys));
        row_head_products(acc, n.head, small_factor<T>{ds, 1, n.rows}, packed, rows.count, keys, behind);
    }
    add_tile(dq.slice(rows.start, rows.count), acc, n.head, scale);
}

}  // namespace detail

/// Numbers of T that `attention_pull` needs for up to `rows` rows, `keys` keys and `lanes` workers.
template <class T>
constexpr index_t attention_pull_scratch(attention_shape const& s, index_t rows, index_t keys, index_t lanes) {
    detail::attention_tiles<T> const n(s, rows, keys);
    return rows * s.heads + lanes * std::max(n.pull_q(s), n.pull_kv(s));
}

/// With P = softmax(S) computed again from lse and D = rowsum(dy o):
///     dv += Pᵀ dy    dS = P (dy vᵀ - D) / √head    dk += dSᵀ q    dq += dS k
/// A gradient without data is not wanted. A fresh dq may be the buffer of q, dy or o, since it is written last; dk and
/// dv may not be those of k and v, which dq needs.
///
/// cost     14 rows keys heads head flops, halved by causality (7 products: the weights are computed twice, so that
///          each gradient is summed by one worker in one order)
/// source   FlashAttention-2, arXiv 2307.08691, algorithm 2
template <class T>
void attention_pull(matrix<T> dq, matrix<T> dk, matrix<T> dv, matrix<T> dy, matrix<T> q, matrix<T> k, matrix<T> v,
                    matrix<T> o, matrix<T> lse, attention_shape const& s, T* scratch, score_bias<T> bias = {}) {
    detail::attention_tiles<T> const n(s, q.rows, k.rows);
    index_t const d = s.head, group = s.heads / s.kv_heads, wide = group * d;
    index_t const row_tiles = (q.rows + s.tile - 1) / s.tile, key_tiles = (k.rows + s.tile - 1) / s.tile;
    matrix<T> const delta(scratch, q.rows, s.heads, dy.on);
    scratch += q.rows * s.heads;
    each_row(dy.on, q.rows, q.columns, [&](index_t i) {
        for (index_t h = 0; h < s.heads; ++h) delta(i, h) = row_dot(dy.row(i) + h * d, o.row(i) + h * d, d);
    });
    if (dk || dv)
        each_task(dy.on, s.kv_heads * key_tiles, [&](index_t task, index_t lane) {
            index_t const kv = task % s.kv_heads;
            detail::pull_key_tile(dk ? dk.cut(kv * d, d) : dk, dv ? dv.cut(kv * d, d) : dv, dy.cut(kv * wide, wide),
                                  q.cut(kv * wide, wide), k.cut(kv * d, d), v.cut(kv * d, d),
                                  lse.cut(kv * group, group), delta.cut(kv * group, group), task / s.kv_heads * s.tile,
                                  s, bias, n, detail::scratch_parts<T>{scratch + lane * n.pull_kv(s)});
        });
    if (dq)
        each_task(dy.on, s.heads * row_tiles, [&](index_t task, index_t lane) {
            index_t const h = task % s.heads, kv = h / group;
            detail::pull_row_tile(dq.cut(h * d, d), dy.cut(h * d, d), q.cut(h * d, d), k.cut(kv * d, d),
                                  v.cut(kv * d, d), lse.cut(h, 1), delta.cut(h, 1), s, bias,
                                  detail::row_tile(s, q.rows, k.rows, row_tiles - 1 - task / s.heads), n,
                                  detail::scratch_parts<T>{scratch + lane * n.pull_q(s)});
        });
}

}  // namespace graft
