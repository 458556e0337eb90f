// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention by tiles of rows.                                       (layer 8: rule)
#pragma once

#include <graft/expression/operators.hpp>
#include <graft/kernel/attention.hpp>
#include <graft/kernel/attention_stored.hpp>
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
/// keeps    o and one log-sum-exp per row and head: P is computed again a tile at a time, never tokens × tokens. Sizes
///          with `stored_weights` keep P itself, heads × tokens × tokens, as published methods do; the pull uses it up.
/// source   Attention, arXiv 1706.03762; tiles and log-sum-exp: FlashAttention-2, arXiv 2307.08691, algorithm 2.
template <>
struct rule<attend_> : careful {
    static constexpr work_kind kind = work_kind::attention;
    static constexpr reads pull_reads{.operands = 0b111, .value = true, .residue = true};
    static constexpr unsigned pull_over = 0b001;  // the kernel reads k and v until the end
    static constexpr index_t residue(auto const& n) {
        if constexpr (requires { n.tokens; })
            if (stored(n)) return n.heads * n.tokens;
        return n.heads;
    }

    /// Products of rows × rows × head, half of which causality leaves: two forward, in a pull four of stored weights,
    /// seven where they are computed again.
    static constexpr double work(auto const& n, task t) {
        double const product = static_cast<double>(t.rows) * static_cast<double>(t.rows * n.heads * n.head) / 2;
        return product * (!t.pull ? 2 : stored(n) ? 4 : 7);
    }

    template <class T>
    static constexpr index_t scratch(auto const& n, call c) {
        attention_shape const shape{n.heads, n.kv_heads, n.head};
        if (c.pull)
            return stored(n) ? attention_stored_pull_scratch<T>(shape, c.rows, c.rows, c.lanes)
                             : attention_pull_scratch<T>(shape, c.rows, c.rows, c.lanes);
        index_t const cached = attention_scratch<T>(shape, c.rows, n.cached + c.rows, c.lanes);
        return stored(n) ? std::max(cached, attention_stored_scratch<T>(shape, c.rows, c.rows, c.lanes)) : cached;
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
        } else if (stored(here.n)) {
            return attention_stored(o, weights_of(here, q.rows), q, k, v, shape, here.space.next);
        }
        attention(o, here.residue, q, k, v, shape, here.space.next);
    }
    static void pull(auto const& here, auto dy, auto q, auto k, auto v, auto dq, auto dk, auto dv) {
        attention_shape shape{here.n.heads, here.n.kv_heads, here.n.head};
        shape.first_key = here.around.first_key;
        if (stored(here.n))
            return attention_stored_pull(dq, dk, dv, dy, q, k, v, weights_of(here, q.rows), shape, here.space.next);
        attention_pull(dq, dk, dv, dy, q, k, v, here.value, here.residue, shape, here.space.next);
    }

private:
    static constexpr bool stored(auto const& n) {
        if constexpr (!GRAFT_EXTRAS) return false;
        else if constexpr (requires { n.stored_weights; }) return n.stored_weights;
        else return false;
    }
    /// P of a batch: the residue has room for as many rows as are planned.
    static auto weights_of(auto const& here, index_t rows) { return here.residue.cut(0, here.n.heads * rows); }

    template <class T>
    static matrix<T> join(T* cache, index_t past, matrix<T> x) {
        for (index_t i = 0; i < x.rows; ++i) std::copy_n(x.row(i), x.columns, cache + (past + i) * x.columns);
        return {cache, past + x.rows, x.columns, x.on};
    }
};

}  // namespace graft
