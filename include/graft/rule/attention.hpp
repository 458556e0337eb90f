// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention by tiles of rows.                                       (layer 8: rule)
#pragma once

#include <graft/expression/operators.hpp>
#include <graft/kernel/attention.hpp>
#include <graft/rule/rule.hpp>

#include <algorithm>

namespace graft {

/// o = softmax(q kᵀ / √head) v for each head, within each sequence and up to each row; heads / kv_heads heads share
/// their k and v.
///
/// With P = softmax(S) a row at a time and D = rowsum(dO o) = rowsum(dP P):
///     dv += Pᵀ dO     dP = dO vᵀ     dS = P (dP − D) / √head     dq = dS k     dk += dSᵀ q
///
/// shapes   q, o: tokens × (heads · head)    k, v: tokens × (kv_heads · head)
/// keeps    o and one log-sum-exp per row and head: P is computed again a tile at a time, never tokens × tokens.
/// source   Attention, arXiv 1706.03762; tiles and log-sum-exp: FlashAttention-2, arXiv 2307.08691, algorithm 2.
template <>
struct rule<attend_> : careful {
    static constexpr reads pull_reads{.operands = 0b111, .value = true, .residue = true};
    static constexpr unsigned pull_over = 0b001;  // the kernel reads k and v until the end
    static constexpr index_t residue(auto const& n) { return n.heads; }

    template <class T>
    static constexpr index_t scratch(auto const& n, call c) {
        attention_shape const shape{n.heads, n.kv_heads, n.head};
        return c.pull ? attention_pull_scratch<T>(shape, c.rows, c.rows, c.lanes)
                      : attention_scratch<T>(shape, c.rows, n.cached + c.rows, c.lanes);
    }

    template <class T>
    static void forward(auto const& here, matrix<T> o, matrix<T> q, matrix<T> k, matrix<T> v) {
        attention_shape shape{here.n.heads, here.n.kv_heads, here.n.head};
        shape.first_key = here.around.first_key;
        if (auto const& cache = here.around.cache) {  // generation: the new keys and values join those of the past
            require(cache.past + k.rows <= cache.capacity, fault::bounds, "attention: rows of the cache",
                    cache.past + k.rows, cache.capacity);
            shape.past = cache.past;
            k = join(cache.k, cache.past, k), v = join(cache.v, cache.past, v);
        }
        attention(o, here.residue, q, k, v, shape, here.space.next);
    }
    static void pull(auto const& here, auto dy, auto q, auto k, auto v, auto dq, auto dk, auto dv) {
        attention_shape shape{here.n.heads, here.n.kv_heads, here.n.head};
        shape.first_key = here.around.first_key;
        attention_pull(dq, dk, dv, dy, q, k, v, here.value, here.residue, shape, here.space.next);
    }

private:
    template <class T>
    static matrix<T> join(T* cache, index_t past, matrix<T> x) {
        for (index_t i = 0; i < x.rows; ++i) std::copy_n(x.row(i), x.columns, cache + (past + i) * x.columns);
        return {cache, past + x.rows, x.columns, x.on};
    }
};

}  // namespace graft
